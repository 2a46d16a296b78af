/* The program as people run it: what it prints, and how it exits. */
#include "base/buf.h"
#include "pg.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char             dir[64], file[96];
static struct pw_buf    out, errs;
static struct pw_kit_pg pg;

static void setup(void)
{
    strcpy(dir, "/tmp/pawl-cli-XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
    (void)snprintf(file, sizeof(file), "%s/t.yaml", dir);
}

static void teardown(void)
{
    char command[128];

    (void)snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    cr_expect_eq(system(command), 0);
    pw_buf_done(&out);
    pw_buf_done(&errs);
    pw_kit_pg_stop(&pg);
}

TestSuite(cli, .init = setup, .fini = teardown, .timeout = 120);

static void slurp(const char *path, struct pw_buf *to)
{
    FILE *f = fopen(path, "r");

    cr_assert_not_null(f);
    pw_buf_reset(to);
    for (size_t n = 1; n > 0; to->n += n)
        n = fread(pw_buf_room(to, 4096), 1, 4096, f);
    to->p[to->n] = 0;
    fclose(f);
}

/* Runs `pawl ARGS` with stdout and stderr in files; returns the exit code, 128 + signal. */
static int pawl(const char *arg, ...)
{
    char   *argv[32] = { TEST_PAWL }, paths[2][96];
    int     n        = 1, status;
    va_list ap;
    pid_t   pid;

    va_start(ap, arg);
    for (const char *a = arg; a; a = va_arg(ap, const char *))
        argv[n++] = (char *)a;
    va_end(ap);
    for (int i = 0; i < 2; i++)
        (void)snprintf(paths[i], sizeof(paths[i]), "%s/%d", dir, i);
    pid = fork();
    if (pid == 0) {
        for (int i = 0; i < 2; i++)
            (void)dup2(open(paths[i], O_WRONLY | O_CREAT | O_TRUNC, 0644), i + 1);
        (void)execv(TEST_PAWL, argv);
        _exit(127);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    slurp(paths[0], &out);
    slurp(paths[1], &errs);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void expect(int got, int code, const struct pw_buf *where, const char *text)
{
    cr_expect_eq(got, code, "exit code %d\n%s%s", got, out.p, errs.p);
    cr_expect(strstr(where->p, text), "no '%s' in:\n%s%s", text, out.p, errs.p);
}

static const char *outputs = ""; /* of topology(), the key and all below it */

static void topology(const char *dsn, const char *plugins, const char *plugin, const char *config)
{
    FILE *f = fopen(file, "w");

    cr_assert_not_null(f);
    (void)fprintf(
        f,
        "version: 1\nrun_dir: %s/run\nplugin_dir: %s\nkafka:\n  bootstrap.servers: localhost:1\npostgres:\n  dsn: \"%s\"\n"
        "pipelines:\n  first:\n    source:\n      topics: [t]\n      group: g\n    plugin:\n      path: %s\n%s%s%s%s",
        dir, plugins, dsn, plugin, config ? "      config: " : "", config ? config : "", config ? "\n" : "", outputs);
    cr_assert_eq(fclose(f), 0);
}

Test(cli, help_and_version)
{
    expect(pawl("--help", NULL), 0, &out, "Usage: pawl COMMAND");
    expect(pawl("help", NULL), 0, &out, "Usage: pawl COMMAND");
    expect(pawl("help", "migrate", NULL), 0, &out, "--dry-run");
    expect(pawl("migrate", "--help", NULL), 0, &out, "--dry-run");
    expect(pawl("--help", "--markdown", NULL), 0, &out, "# Commands\n");
    expect(pawl("--version", NULL), 0, &out, "pawl " TEST_VERSION);
    expect(pawl("--version", NULL), 0, &out, "\nplugin ABI 1.");
    expect(pawl("--version", NULL), 0, &out, ", librdkafka ");
}

Test(cli, nobody_leaves_where_nothing_runs)
{
    expect(pawl("leave", "--run-dir", "/nowhere", NULL), 1, &errs, "nothing runs here");
}

Test(cli, wrong_usage_is_exit_code_64)
{
    expect(pawl(NULL), 64, &errs, "pawl: a command is missing\npawl: see `pawl --help`\n");
    expect(pawl("statsu", NULL), 64, &errs, "did you mean 'status'?");
    expect(pawl("help", "statsu", NULL), 64, &errs, "did you mean 'status'?");
    expect(pawl("run", NULL), 64, &errs, "TOPOLOGY is missing\npawl: see `pawl run --help`\n");
    expect(pawl("run", "--log-level", "loud", "x.yaml", NULL), 64, &errs, "--log-level is 'loud'");
    expect(pawl("status", NULL), 64, &errs, "give either a topology or --run-dir DIR");
    expect(pawl("leave", NULL), 64, &errs, "give either a topology or --run-dir DIR");
    expect(pawl("reload", NULL), 64, &errs, "give either a topology or --run-dir DIR");
    expect(pawl("status", "--run-dir", "/x", "t.yaml", NULL), 64, &errs, "give either");
    expect(pawl("reload", "--run-dir", "/x", "t.yaml", NULL), 64, &errs, "give either");
    expect(pawl("log-level", "t.yaml", NULL), 64, &errs, "give a topology and a level");
    expect(pawl("log-level", "t.yaml", "debug", "--run-dir", "/x", NULL), 64, &errs, "give a topology and a level");
    expect(pawl("log-level", "t.yaml", "loud", NULL), 64, &errs, "no level 'loud'");
    expect(pawl("log-level", "t.yaml", "debug", "--for", "8d", NULL), 64, &errs, "--for takes a time such as 10m");
    expect(pawl("log-level", "t.yaml", "debug", "--for", "soon", NULL), 64, &errs, "--for takes a time such as 10m");
    expect(pawl("log-level", "debug", "--run-dir", "/x", NULL), 1, &errs, "nothing runs here");
    expect(pawl("worker", NULL), 64, &errs, "`pawl run TOPOLOGY` starts workers");
    expect(pawl("worker", "--pipeline", "p", "--slot", "0", "--generation", "1", "--topology", "t", "--topology-fd", "0",
                "--blackbox-fd", "1", "--control-fd", "2", "--plugin", "x", NULL),
           64, &errs, "`pawl run TOPOLOGY` starts workers");
}

Test(cli, a_full_disk_is_a_failure)
{
    int status = system("'" TEST_PAWL "' schema > /dev/full 2> /dev/null");

    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 1, "status %x", status);
}

Test(cli, schema_prints_json_and_its_manual_markdown)
{
    expect(pawl("schema", NULL), 0, &out, "\"$schema\"");
    expect(pawl("schema", "--manual", NULL), 0, &out, "# Topology reference");
}

Test(cli, validate_finds_a_right_topology_right_and_a_wrong_one_wrong)
{
    topology("dbname=x password=hush", TEST_GOOD_PLUGINS, "underwriting.so", NULL);
    expect(pawl("validate", file, NULL), 0, &out, ": ok, 1 pipeline\n");
    cr_assert_eq(truncate(file, 40), 0);
    expect(pawl("validate", file, NULL), 1, &errs, "t.yaml:");
    expect(pawl("validate", "/nonexistent.yaml", NULL), 1, &errs, "/nonexistent.yaml");
}

Test(cli, validate_loads_plugins_and_checks_their_configuration)
{
    outputs = "    outputs: { premiums: p }\n";
    topology("dbname=x", TEST_GOOD_PLUGINS, "underwriting.so", TEST_CONF "/underwriting.cfg");
    expect(pawl("validate", "--plugins", file, NULL), 0, &out, "pipeline first: plugin org.pawl.underwriting/");
    topology("dbname=x", TEST_GOOD_PLUGINS, "underwriting.so", NULL);
    expect(pawl("validate", "--plugins", file, NULL), 1, &errs, "pipeline 'first'");
    topology("dbname=x", TEST_GOOD_PLUGINS, "none.so", NULL);
    expect(pawl("validate", "--plugins", file, NULL), 1, &errs, "none.so");
}

Test(cli, validate_wants_a_topic_for_each_output_and_an_output_for_each_topic)
{
    topology("dbname=x", TEST_GOOD_PLUGINS, "underwriting.so", TEST_CONF "/underwriting.cfg");
    expect(pawl("validate", "--plugins", file, NULL), 1, &errs, "has an output 'premiums'; name its topic under outputs");
    outputs = "    outputs: { premiums: p, acts: a }\n";
    topology("dbname=x", TEST_GOOD_PLUGINS, "underwriting.so", TEST_CONF "/underwriting.cfg");
    expect(pawl("validate", "--plugins", file, NULL), 1, &errs,
           "outputs names 'acts', which is no output of plugin org.pawl.underwriting");
    outputs = "    outputs: { premium: p }\n";
    topology("dbname=x", TEST_GOOD_PLUGINS, "underwriting.so", TEST_CONF "/underwriting.cfg");
    expect(pawl("validate", "--plugins", file, NULL), 1, &errs, "pipeline 'first'");
    expect(pawl("validate", "--plugins", TEST_CONF "/auto.yaml", NULL), 1, &errs, "underwriting.so");
    cr_assert_eq(setenv("PAWL_PLUGIN_DIR", TEST_GOOD_PLUGINS, 1), 0);
    expect(pawl("validate", "--plugins", TEST_CONF "/auto.yaml", NULL), 0, &out, "ok, 2 pipelines");
}

Test(cli, only_the_pinned_plugin_is_loaded)
{
    static const char another[] =
        "underwriting.so\n      sha256: 7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed";

    outputs = "    outputs: { premiums: p }\n";
    topology("dbname=x", TEST_GOOD_PLUGINS, another, TEST_CONF "/underwriting.cfg");
    expect(pawl("validate", "--plugins", file, NULL), 1, &errs, "it is another file");
    expect(pawl("migrate", file, NULL), 78, &errs, "it is another file");
    expect(pawl("run", file, NULL), 78, &errs, "it is another file");
}

Test(cli, a_plugin_that_ends_its_process_is_not_valid)
{
    topology("dbname=x", TEST_PLUGINS, "constructor_exits.so", NULL);
    expect(pawl("validate", "--plugins", file, NULL), 1, &errs, "ended the process with exit code");
    topology("dbname=x", TEST_PLUGINS, "constructor_crashes.so", NULL);
    expect(pawl("validate", "--plugins", file, NULL), 1, &errs, "crashed while it was loaded: SIG");
}

Test(cli, migrate_brings_an_empty_database_up_to_date)
{
    struct pw_err err;
    PGconn       *conn;

    if (pw_kit_pg_missing())
        cr_skip_test("SKIPPED, no PostgreSQL: %s", pw_kit_pg_missing());
    cr_assert_eq(pw_kit_pg_start(&pg, NULL, &err), 0, "%s", err.text);
    topology(pg.dsn, TEST_GOOD_PLUGINS, "underwriting.so", TEST_CONF "/underwriting.cfg");
    expect(pawl("migrate", "--dry-run", file, NULL), 0, &out, "pawl: would apply step 1 'pawl'\n");
    expect(pawl("migrate", file, NULL), 0, &out, "pawl: applied step 1 'pawl'\n");
    cr_expect(strstr(out.p, "org.pawl.underwriting: applied step 1 "), "%s", out.p);
    expect(pawl("migrate", file, NULL), 0, &out, "pawl: up to date at step ");
    cr_expect(strstr(out.p, "org.pawl.underwriting: up to date at step "), "%s", out.p);
    conn = pw_kit_pg_connect(&pg);
    cr_expect_str_eq(pw_kit_pg_sql(conn, "SELECT count(*) > 0 FROM pawl.migrations WHERE owner = 'org.pawl.underwriting'"),
                     "t");

    (void)pw_kit_pg_sql(conn, "UPDATE pawl.migrations SET checksum = 'x' WHERE owner = 'pawl'");
    expect(pawl("migrate", file, NULL), 1, &errs, "pawl: migrate pawl: step 1 'pawl' was applied with other SQL");
    PQfinish(conn);
    cr_assert_eq(pw_kit_pg_halt(&pg, PW_KIT_PG_FAST, &err), 0, "%s", err.text);
    expect(pawl("migrate", file, NULL), 75, &errs, "connect to PostgreSQL");
}

Test(cli, migrate_changes_nothing_when_a_plugin_is_wrong)
{
    topology("host=/nonexistent password=hush", TEST_GOOD_PLUGINS, "none.so", NULL);
    expect(pawl("migrate", file, NULL), 78, &errs, "pipeline 'first'");
    topology("host=/nonexistent password=hush", TEST_GOOD_PLUGINS, "underwriting.so", NULL);
    expect(pawl("migrate", file, NULL), 75, &errs, "connect to PostgreSQL");
    cr_expect_null(strstr(errs.p, "hush"), "a secret is printed: %s", errs.p);
}

Test(cli, status_of_nothing_says_so)
{
    expect(pawl("status", "--run-dir", dir, NULL), 1, &errs, dir);
}
