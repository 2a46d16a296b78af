/* pawl plugin test: a plugin's cases, each file in a process of its own. */
#include "cli/children.h"
#include "cli/cli.h"
#include "cli/golden.h"
#include "cli/plugin_apart.h"
#include "cli/plugin_schema.h"
#include "cli/private_pg.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define FILE_SECONDS 300 /* for all cases of one file */

struct test {
    struct pw_arena        *ar;
    const char *const      *paths;
    size_t                  n;
    struct pw_golden_job    job;
    struct pw_golden_counts sum;
    bool                    database;
    char                    dsn[512];
};

/* ---- one file ---- */

static void test_file(struct test *te, const char *path)
{
    struct pw_golden_counts counts;
    struct pw_buf           report = { 0 };
    struct pw_err           err;

    te->job.path   = path;
    te->job.now[0] = 0;
    if (pw_golden_run_apart(&te->job, FILE_SECONDS, &report, &counts, &err) < 0) {
        te->sum.failed++;
        (void)pw_cli_fail(0, "%s", err.text);
    } else {
        (void)fwrite(report.p, 1, report.n, stdout); /* checked when all is printed */
        (void)printf("%s: %u cases, %u failed%s\n", path, counts.cases, counts.failed, counts.updated ? ", updated" : "");
    }
    te->sum.cases += counts.cases;
    te->sum.failed += counts.failed;
    te->sum.updated += counts.updated;
    te->sum.in_database += counts.in_database;
    pw_buf_done(&report);
}

/* ---- the database ---- */

/* In a child, since a plugin has to be loaded: the schema of the runtime, and that of the plugin of every file. */
static int migrate(void *arg, struct pw_buf *out, struct pw_err *err)
{
    struct test          *te = arg;
    struct pw_golden_file gf;

    (void)out;
    for (size_t i = 0; i < te->n; i++) {
        const char *so;

        if (pw_golden_open(te->ar, te->paths[i], &gf, err) < 0)
            return -1;
        so = te->job.plugin ? te->job.plugin : gf.plugin;
        pw_golden_done(&gf);
        if (so && pw_plugin_schema(te->ar, te->dsn, so, err) < 0)
            return -1;
        if (te->job.plugin)
            break;
    }
    return 0;
}

static int start_database(struct test *te)
{
    struct pw_buf out = { 0 };
    struct pw_err err;
    int           rc = 0;

    if (pw_private_pg_start(te->dsn, sizeof(te->dsn), &err) < 0 || pw_plugin_apart(migrate, te, FILE_SECONDS, &out, &err) < 0)
        rc = pw_cli_fail(-1, "plugin test: %s", err.text);
    pw_buf_done(&out);
    te->job.dsn = te->dsn;
    return rc;
}

static int run_all(struct test *te)
{
    for (size_t i = 0; i < te->n && !pw_children_stop; i++)
        test_file(te, te->paths[i]);
    (void)printf("%u cases: %u as expected, %u failed", te->sum.cases,
                 te->sum.cases - (te->sum.failed < te->sum.cases ? te->sum.failed : te->sum.cases), te->sum.failed);
    if (te->sum.updated)
        (void)printf(", %u written", te->sum.updated);
    if (te->database)
        (void)printf(", %u in the database", te->sum.in_database);
    (void)printf("\n");
    if (te->database && !te->sum.in_database)
        (void)printf("no case has a key 'database': of the SQL, only that PostgreSQL takes it has been shown\n");
    return fflush(stdout) == 0 && te->sum.failed == 0 && !pw_children_stop ? 0 : PW_CLI_EXIT_FAILED;
}

int pw_cmd_plugin_test(const struct pw_cli_args *args)
{
    struct test   te   = { .ar  = pw_arena_new(64 << 10),
                           .job = { .plugin = pw_cli_opt(args, "--plugin"),
                                    .config = pw_cli_opt(args, "--config"),
                                    .update = pw_cli_opt(args, "--update") != NULL } };
    int           code = PW_CLI_EXIT_FAILED;
    struct pw_err err;

    te.database = pw_cli_opt(args, "--database") != NULL;
    te.job.now  = mmap(NULL, PW_GOLDEN_NOW, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    PW_ASSERT(te.job.now != MAP_FAILED);
    if (pw_golden_files(te.ar, args->arg, &te.paths, &te.n, &err) < 0)
        (void)pw_cli_fail(0, "plugin test: %s", err.text);
    else if (!te.database || start_database(&te) == 0)
        code = run_all(&te);
    if (te.database)
        pw_children_end();
    (void)munmap(te.job.now, PW_GOLDEN_NOW); /* our own mapping */
    pw_arena_free(te.ar);
    return code;
}
