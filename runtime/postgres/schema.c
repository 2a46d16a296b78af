/* The steps of the runtime's own schema: one row per file of schema/, made into strings by the build. */
#include "postgres/migrate.h"

#include "pawl_schema.h"

const struct pw_migrate_step pw_migrate_runtime[] = {
    { 1, 0, "pawl", sql__001_pawl },       { 2, 0, "decisions", sql__002_decisions }, { 3, 0, "retries", sql__003_retries },
    { 4, 0, "redrive", sql__004_redrive }, { 5, 0, "receipts", sql__005_receipts },   { 6, 0, "restored", sql__006_restored },
    { 7, 0, "crashes", sql__007_crashes }, { 8, 0, "event_ids", sql__008_event_ids }, { 9, 0, "claims", sql__009_claims },
};
const size_t pw_migrate_runtime_n = sizeof(pw_migrate_runtime) / sizeof(pw_migrate_runtime[0]);
