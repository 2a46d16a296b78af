#include "cli/plugin_schema.h"

#include <string.h>

/* The ABI's strings have a length; libpq wants an end. */
struct pw_migrate_step *pw_plugin_steps(struct pw_arena *ar, const struct pw_plugin *pl)
{
    struct pw_migrate_step *steps = pw_arena_array(ar, pl->n_migrations, sizeof(*steps));

    for (uint32_t i = 0; i < pl->n_migrations; i++)
        steps[i] = (struct pw_migrate_step){
            .version = pl->migrations[i].version,
            .flags   = pl->migrations[i].flags,
            .name    = pw_arena_strndup(ar, pl->migrations[i].name.p, pl->migrations[i].name.n),
            .sql     = pw_arena_strndup(ar, pl->migrations[i].up_sql.p, pl->migrations[i].up_sql.n),
        };
    return steps;
}

int pw_plugin_schema(struct pw_arena *ar, const char *dsn, const char *so, struct pw_err *err)
{
    size_t            applied;
    struct pw_plugin *pl;
    PGconn           *conn;
    int               rc;

    if (pw_plugin_load(ar, so, &pl, err) < 0)
        return -1;
    conn = PQconnectdb(dsn);
    if (PQstatus(conn) != CONNECTION_OK)
        rc = pw_err_set(err, PW_D_RETRY, "connect to PostgreSQL: %.*s", (int)strcspn(PQerrorMessage(conn), "\n"),
                        PQerrorMessage(conn));
    else if (pw_migrate_apply(conn, "pawl", pw_migrate_runtime, pw_migrate_runtime_n, 0, &applied, err) < 0)
        rc = -1;
    else
        rc = pw_migrate_apply(conn, pl->meta.id, pw_plugin_steps(ar, pl), pl->n_migrations, 0, &applied, err);
    PQfinish(conn);
    return rc;
}
