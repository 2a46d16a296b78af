/* migrate: the schema of the runtime (pawl.*) and of plugins, by numbered steps under an advisory lock. Blocking; for commands. */
#ifndef PW_POSTGRES_MIGRATE_H
#define PW_POSTGRES_MIGRATE_H

#include "base/err.h"

#include <libpq-fe.h>
#include <pawl/plugin.h>
#include <stddef.h>
#include <stdint.h>

/* The session's advisory lock while steps are applied, the same for every owner: pg_try_advisory_lock(this), "pawlmigr" in ASCII. */
#define PW_MIGRATE_LOCK_KEY INT64_C(0x7061776c6d696772)
/* How long another migration of the same database is waited for. PAWL_MIGRATE_WAIT_MS in the environment overrules it. */
#define PW_MIGRATE_WAIT_MS 60000
/* lock_timeout of a step: how long it may wait for a table, and so let everybody else queue behind it. */
#define PW_MIGRATE_LOCK_TIMEOUT_MS 10000
#define PW_MIGRATE_STEPS           10000 /* of one owner */
#define PW_MIGRATE_STEP_BYTES      (1u << 20)

struct pw_migrate_step {
    uint32_t    version, flags; /* PAWL_MIG_NO_TX */
    const char *name, *sql;     /* NUL-terminated */
};

/* Applies what is missing of `owner`'s steps ("pawl", or a plugin's id) in order, each in its own transaction together
 * with its row in pawl.migrations (owner, version, name, sha256 checksum, applied_at). A step that was applied with another
 * checksum, a database newer than the steps, or a gap is an error that names the step. *ret_applied counts, also on an
 * error; what it counts stays applied. dry_run only looks, and counts what would be applied.
 *
 * A step's SQL may be several statements, but no BEGIN, COMMIT or COPY. With PAWL_MIG_NO_TX it is one statement, run outside
 * a transaction and without lock_timeout (CREATE INDEX CONCURRENTLY waits for others by design); its row is written after
 * it, so it must be repeatable: a process that dies between the two runs it again. Settings a step made end with it. */
int pw_migrate_apply(PGconn *conn, const char *owner, const struct pw_migrate_step *steps, size_t n, int dry_run,
                     size_t *ret_applied, struct pw_err *err) PW_MUST_CHECK;
/* The version the database has for owner, 0 if none. The schema pawl need not exist. */
int pw_migrate_version(PGconn *conn, const char *owner, uint32_t *ret_version, struct pw_err *err) PW_MUST_CHECK;

/* The runtime's own steps, from runtime/postgres/schema/NNN_*.sql embedded at build time. */
extern const struct pw_migrate_step pw_migrate_runtime[];
extern const size_t                 pw_migrate_runtime_n;

#endif
