/* migrate: the schema of the runtime (pawl.*) and of plugins, by numbered steps under an advisory lock. Blocking; for commands. */
#ifndef PW_POSTGRES_MIGRATE_H
#define PW_POSTGRES_MIGRATE_H

#include "base/err.h"

#include <libpq-fe.h>
#include <pawl/plugin.h>
#include <stddef.h>
#include <stdint.h>

struct pw_migrate_step {
    uint32_t    version, flags; /* PAWL_MIG_NO_TX */
    const char *name, *sql;     /* NUL-terminated */
};

/* Applies what is missing of `owner`'s steps ("pawl", or a plugin's id) in order, each in its own transaction together
 * with its row in pawl.migrations (owner, version, name, sha256 checksum, applied_at). A step that was applied with another
 * checksum, a database newer than the steps, or a gap is an error that names the step. *ret_applied counts. dry_run only looks. */
int pw_migrate_apply(PGconn *conn, const char *owner, const struct pw_migrate_step *steps, size_t n, int dry_run, size_t *ret_applied,
                     struct pw_err *err) PW_MUST_CHECK;
/* The version the database has for owner, 0 if none. The schema pawl need not exist. */
int pw_migrate_version(PGconn *conn, const char *owner, uint32_t *ret_version, struct pw_err *err) PW_MUST_CHECK;

/* The runtime's own steps, from runtime/postgres/schema/NNN_*.sql embedded at build time. */
extern const struct pw_migrate_step pw_migrate_runtime[];
extern const size_t pw_migrate_runtime_n;

#endif
