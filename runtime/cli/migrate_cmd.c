/* pawl migrate: the runtime's schema, then that of each plugin. */
#include "cli/cli.h"
#include "cli/plugin_schema.h"
#include "plugin/plugin.h"
#include "postgres/migrate.h"
#include "supervisor/supervisor.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct job {
    PGconn          *conn;
    struct pw_arena *ar;
    int              dry_run;
};

/* The DSN's own words overrule what stands before it, and are overruled by what stands after. */
static PGconn *open_database(const char *dsn, struct pw_err *err)
{
    const char *keys[]   = { "connect_timeout", "fallback_application_name", "dbname", "client_encoding", NULL };
    const char *values[] = { "10", "pawl migrate", dsn, "UTF8", NULL };
    PGconn     *conn     = PQconnectdbParams(keys, values, 1);

    if (PQstatus(conn) == CONNECTION_OK)
        return conn;
    (void)pw_err_set(err, PW_D_RETRY, "connect to PostgreSQL: %.*s", (int)strcspn(PQerrorMessage(conn), "\n"),
                     PQerrorMessage(conn));
    PQfinish(conn);
    return NULL;
}

static int migrate(const struct job *job, const char *owner, const struct pw_migrate_step *steps, size_t n, struct pw_err *err)
{
    size_t applied = 0, first = 0;
    int    rc = pw_migrate_apply(job->conn, owner, steps, n, job->dry_run, &applied, err);

    if (rc == 0)
        first = n - applied;
    else { /* some were applied before the one that failed: which, the database knows */
        uint32_t      version = 0;
        struct pw_err ignored;

        if (applied == 0 || pw_migrate_version(job->conn, owner, &version, &ignored) < 0)
            return -1;
        while (first < n && steps[first].version <= version)
            first++;
        first = first >= applied ? first - applied : 0;
    }
    for (size_t i = first; i < first + applied; i++)
        (void)printf("%s: %s step %" PRIu32 " '%s'\n", owner, job->dry_run ? "would apply" : "applied", steps[i].version,
                     steps[i].name);
    if (applied == 0)
        (void)printf("%s: up to date at step %" PRIu32 "\n", owner, n ? steps[n - 1].version : 0);
    (void)fflush(stdout); /* before an error goes to stderr */
    return rc;
}

/* Did an earlier pipeline name the same file? */
static int seen(const struct pw_topology *tp, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (strcmp(tp->pipelines[j].plugin_path, tp->pipelines[i].plugin_path) == 0)
            return 1;
    return 0;
}

/* Plugins are loaded before anything is changed: a wrong one must not leave half of the work behind. */
static int load_plugins(struct pw_arena *ar, const struct pw_topology *tp, struct pw_plugin **plugins, struct pw_err *err)
{
    size_t i;
    int    rc = 0;

    for (i = 0; i < tp->pipelines_n && rc == 0; i++) /* all pins before the first line of any plugin */
        rc = pw_stage_check_pin(pw_cli_plugin_path(ar, tp, &tp->pipelines[i]), tp->pipelines[i].plugin_sha256, err);
    for (i = rc < 0 ? i : 0; i < tp->pipelines_n && rc == 0; i++)
        if (!seen(tp, i))
            rc = pw_plugin_load(ar, pw_cli_plugin_path(ar, tp, &tp->pipelines[i]), &plugins[i], err);
    if (rc < 0) /* i is behind it */
        return pw_err_wrap(err, "%s:%d: pipeline '%s'", tp->file, tp->pipelines[i - 1].line, tp->pipelines[i - 1].name);
    return 0;
}

static int migrate_all(const struct job *job, const struct pw_topology *tp, struct pw_plugin *const *plugins,
                       struct pw_err *err)
{
    if (migrate(job, "pawl", pw_migrate_runtime, pw_migrate_runtime_n, err) < 0)
        return -1;
    for (size_t i = 0; i < tp->pipelines_n; i++) {
        const struct pw_plugin *pl = plugins[i];

        if (pl && pl->n_migrations && migrate(job, pl->meta.id, pw_plugin_steps(job->ar, pl), pl->n_migrations, err) < 0)
            return -1;
    }
    return 0;
}

static int run(struct pw_arena *ar, const struct pw_topology *tp, int dry_run)
{
    struct pw_plugin **plugins = pw_arena_array(ar, tp->pipelines_n, sizeof(struct pw_plugin *));
    struct job         job     = { .ar = ar, .dry_run = dry_run };
    struct pw_err      err     = { 0 };
    int                rc;

    if (load_plugins(ar, tp, plugins, &err) < 0)
        return pw_cli_fail(PW_EXIT_CONFIG, "%s", err.text);
    job.conn = open_database(tp->postgres_dsn, &err);
    rc       = job.conn ? migrate_all(&job, tp, plugins, &err) : -1;
    PQfinish(job.conn);
    if (rc < 0)
        return pw_cli_fail(err.disp == PW_D_RETRY ? PW_CLI_EXIT_RETRY : PW_CLI_EXIT_FAILED, "%s", err.text);
    return 0;
}

int pw_cmd_migrate(const struct pw_cli_args *args)
{
    struct pw_arena    *ar   = pw_arena_new(64 << 10);
    struct pw_topology *tp   = pw_cli_topology(ar, args->arg);
    int                 code = tp ? run(ar, tp, pw_cli_opt(args, "--dry-run") != NULL) : PW_EXIT_CONFIG;

    pw_arena_free(ar);
    return code;
}
