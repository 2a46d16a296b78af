#include "pg.h"
#include "postgres/migrate.h"

#include <criterion/criterion.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct pw_kit_pg pg;
static PGconn          *conn;
static struct pw_err    err;
static size_t           applied;

static void setup(void)
{
    if (pw_kit_pg_missing())
        cr_skip_test("SKIPPED, no PostgreSQL: %s", pw_kit_pg_missing());
    cr_assert_eq(pw_kit_pg_start(&pg, NULL, &err), 0, "%s", err.text);
    conn = pw_kit_pg_connect(&pg);
}

static void teardown(void)
{
    PQfinish(conn);
    pw_kit_pg_stop(&pg);
}

TestSuite(migrate, .init = setup, .fini = teardown);

static const struct pw_migrate_step steps[] = {
    { 1, 0, "tables", "CREATE SCHEMA uw; CREATE TABLE uw.policy (id text PRIMARY KEY)" },
    { 3, PAWL_MIG_NO_TX, "index", "CREATE INDEX CONCURRENTLY policy_id ON uw.policy (id)" },
    { 4, 0, "column", "ALTER TABLE uw.policy ADD note text;\nSET search_path = uw;\nCOMMENT ON TABLE policy IS 'x'" },
};

static void expect_ok(const struct pw_migrate_step *st, size_t n, size_t want)
{
    cr_assert_eq(pw_migrate_apply(conn, "org.example.uw", st, n, 0, &applied, &err), 0, "%s", err.text);
    cr_expect_eq(applied, want, "%zu applied", applied);
}

/* All of the words must be in the message. */
static void expect_error(const struct pw_migrate_step *st, size_t n, enum pw_disp disp, const char *const *words)
{
    cr_assert_eq(pw_migrate_apply(conn, "org.example.uw", st, n, 0, &applied, &err), -1, "was applied");
    cr_expect_eq(err.disp, disp, "%s: %s", pw_disp_name(err.disp), err.text);
    for (; *words; words++)
        cr_expect(strstr(err.text, *words), "no '%s' in: %s", *words, err.text);
    cr_expect_eq(PQtransactionStatus(conn), PQTRANS_IDLE, "no transaction is left open");
}

static const char *ask(const char *sql)
{
    return pw_kit_pg_sql(conn, sql);
}

Test(migrate, the_runtimes_own_schema_is_made_once)
{
    uint32_t version = 99;
    glob_t   g;

    cr_assert_eq(glob(TEST_SCHEMA_DIR "/*.sql", 0, NULL, &g), 0);
    cr_assert_eq(g.gl_pathc, pw_migrate_runtime_n, "every file of schema/ is a step");
    globfree(&g);

    cr_assert_eq(pw_migrate_version(conn, "pawl", &version, &err), 0, "%s", err.text);
    cr_expect_eq(version, 0, "no schema, version 0");
    cr_assert_eq(pw_migrate_apply(conn, "pawl", pw_migrate_runtime, pw_migrate_runtime_n, 1, &applied, &err), 0, "%s",
                 err.text);
    cr_expect_eq(applied, pw_migrate_runtime_n);
    cr_expect_str_eq(ask("SELECT count(*) FROM pg_namespace WHERE nspname = 'pawl'"), "0", "a dry run makes nothing");

    cr_assert_eq(pw_migrate_apply(conn, "pawl", pw_migrate_runtime, pw_migrate_runtime_n, 0, &applied, &err), 0, "%s",
                 err.text);
    cr_expect_eq(applied, pw_migrate_runtime_n);
    cr_assert_eq(pw_migrate_apply(conn, "pawl", pw_migrate_runtime, pw_migrate_runtime_n, 0, &applied, &err), 0, "%s",
                 err.text);
    cr_expect_eq(applied, 0);
    cr_assert_eq(pw_migrate_version(conn, "pawl", &version, &err), 0, "%s", err.text);
    cr_expect_eq(version, pw_migrate_runtime[pw_migrate_runtime_n - 1].version);
}

Test(migrate, every_table_and_column_of_the_runtime_says_what_it_is)
{
    cr_assert_eq(pw_migrate_apply(conn, "pawl", pw_migrate_runtime, pw_migrate_runtime_n, 0, &applied, &err), 0, "%s",
                 err.text);
    cr_expect_str_eq(
        ask("SELECT string_agg(c.relname || coalesce('.' || a.attname, ''), ', ') FROM pg_class c JOIN pg_namespace n ON n.oid = "
            "c.relnamespace JOIN (SELECT attrelid, attname, attnum FROM pg_attribute WHERE attnum > 0 UNION ALL SELECT oid, NULL, 0 "
            "FROM pg_class) a ON a.attrelid = c.oid WHERE n.nspname = 'pawl' AND c.relkind IN ('r', 'v') "
            "AND (CASE WHEN a.attnum = 0 THEN obj_description(c.oid) ELSE col_description(c.oid, a.attnum) END) IS NULL"),
        "");
    cr_expect_str_eq(
        ask("SELECT count(*) >= 8 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'pawl' AND "
            "c.relkind IN ('r', 'v')"),
        "t");
}

Test(migrate, offset_updates_stay_inside_their_page)
{
    cr_assert_eq(pw_migrate_apply(conn, "pawl", pw_migrate_runtime, pw_migrate_runtime_n, 0, &applied, &err), 0, "%s",
                 err.text);
    (void)ask(
        "INSERT INTO pawl.offsets (group_name, topic, \"partition\", next_offset, start_offset) VALUES ('g', 't', 0, 0, 0)");
    for (int i = 0; i < 50; i++)
        (void)ask("UPDATE pawl.offsets SET next_offset = next_offset + 1, outbox_seq = outbox_seq + 1, bookmark_hash = 1");
    (void)ask("SELECT pg_stat_force_next_flush()"); /* PostgreSQL 15 */
    cr_expect_str_eq(
        ask("SELECT n_tup_upd = n_tup_hot_upd AND n_tup_upd = 50 FROM pg_stat_user_tables WHERE relname = 'offsets'"), "t");
    cr_expect_str_eq(ask("SELECT next_offset FROM pawl.progress"), "50");
}

Test(migrate, the_views_show_dead_letters_and_what_waits)
{
    cr_assert_eq(pw_migrate_apply(conn, "pawl", pw_migrate_runtime, pw_migrate_runtime_n, 0, &applied, &err), 0, "%s",
                 err.text);
    (void)ask(
        "INSERT INTO pawl.offsets (group_name, topic, \"partition\", next_offset, start_offset) VALUES ('g', 't', 0, 9, 2), ('g', 't', 1, 0, 0);"
        "INSERT INTO pawl.outbox (group_name, topic, \"partition\", seq, kind, source_offset, target, code, reason) VALUES "
        "('g', 't', 0, 1, 1, 4, 'out', NULL, NULL), ('g', 't', 0, 2, 2, 5, 'dlq', 'policy.exists', 'why'), ('g', 't', 0, 3, 1, 5, 'out', NULL, NULL)");
    cr_expect_str_eq(
        ask("SELECT next_offset || ' ' || outputs_waiting || ' ' || dead_letters FROM pawl.progress WHERE \"partition\" = 0"),
        "9 2 1");
    cr_expect_str_eq(ask("SELECT outputs_waiting || ' ' || dead_letters FROM pawl.progress WHERE \"partition\" = 1"), "0 0");
    cr_expect_str_eq(ask("SELECT source_offset || ' ' || code || ' ' || target FROM pawl.dead_letters"), "5 policy.exists dlq");
}

Test(migrate, steps_run_in_order_with_their_row_and_checksum)
{
    expect_ok(steps, 2, 2);
    expect_ok(steps, 3, 1);
    expect_ok(steps, 3, 0);
    cr_expect_str_eq(ask("SELECT string_agg(version || ' ' || name, ', ' ORDER BY version) FROM pawl.migrations"),
                     "1 tables, 3 index, 4 column");
    cr_expect_str_eq(
        ask("SELECT checksum = encode(sha256('CREATE INDEX CONCURRENTLY policy_id ON uw.policy (id)'), 'hex') FROM pawl.migrations "
            "WHERE version = 3"),
        "t");
    cr_expect_str_eq(ask("SELECT indisvalid FROM pg_index WHERE indexrelid = 'uw.policy_id'::regclass"), "t");
    cr_expect_str_eq(ask("SHOW search_path"), "\"$user\", public", "a step's SET ends with it");
    cr_expect_str_eq(ask("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"), "0", "the lock is given back");
}

Test(migrate, a_failed_step_leaves_nothing_and_says_where)
{
    static const struct pw_migrate_step bad[] = {
        { 1, 0, "fine", "CREATE TABLE a (i int)" },
        { 2, 0, "broken", "CREATE TABLE b (i int); -- \xd1\x8f\xd1\x8f\nCREATE TABLE c (\n  i int,\n  j nosuchtype\n)" },
        { 3, 0, "never", "CREATE TABLE d (i int)" },
    };

    expect_error(
        bad, 3, PW_D_FATAL,
        (const char *[]){ "migrate org.example.uw: step 2 'broken'", "at line 4", "nosuchtype", "42704", "rolled back", NULL });
    cr_expect_eq(applied, 1, "the one before stays");
    cr_expect_str_eq(
        ask("SELECT string_agg(relname, ',' ORDER BY relname) FROM pg_class WHERE relname IN ('a', 'b', 'c', 'd')"), "a");
    cr_expect_str_eq(ask("SELECT max(version) FROM pawl.migrations"), "1");
}

Test(migrate, a_step_that_was_changed_is_refused)
{
    struct pw_migrate_step changed[3];

    expect_ok(steps, 3, 3);
    memcpy(changed, steps, sizeof(steps));
    changed[0].sql = "CREATE SCHEMA uw; CREATE TABLE uw.policy (id text PRIMARY KEY) ";
    expect_error(changed, 3, PW_D_FATAL, (const char *[]){ "step 1 'tables'", "other SQL", "into a new step", NULL });
}

Test(migrate, a_newer_database_is_refused)
{
    expect_ok(steps, 3, 3);
    expect_error(steps, 2, PW_D_FATAL, (const char *[]){ "step 4 'column'", "newer", NULL });
    expect_error(steps, 0, PW_D_FATAL, (const char *[]){ "step 1 'tables'", "newer", NULL });
}

Test(migrate, a_gap_is_refused)
{
    static const struct pw_migrate_step slipped[] = {
        { 1, 0, "tables", "CREATE SCHEMA uw; CREATE TABLE uw.policy (id text PRIMARY KEY)" },
        { 2, 0, "late", "SELECT 1" },
        { 3, PAWL_MIG_NO_TX, "index", "CREATE INDEX CONCURRENTLY policy_id ON uw.policy (id)" },
    };
    static const struct pw_migrate_step removed[] = {
        { 1, 0, "tables", "CREATE SCHEMA uw; CREATE TABLE uw.policy (id text PRIMARY KEY)" },
        { 4, 0, "column", "ALTER TABLE uw.policy ADD note text" },
    };

    expect_ok(steps, 2, 2);
    expect_error(slipped, 3, PW_D_FATAL, (const char *[]){ "step 2 'late' is missing", "later step 3 'index'", NULL });
    expect_error(removed, 2, PW_D_FATAL, (const char *[]){ "step 3 'index'", "removed or renumbered", NULL });
}

Test(migrate, owners_do_not_see_each_other)
{
    static const struct pw_migrate_step other[] = { { 1, 0, "own", "CREATE TABLE own (i int)" } };
    uint32_t                            version;

    expect_ok(steps, 3, 3);
    cr_assert_eq(pw_migrate_apply(conn, "org.example.billing", other, 1, 0, &applied, &err), 0, "%s", err.text);
    cr_assert_eq(pw_migrate_version(conn, "org.example.billing", &version, &err), 0);
    cr_expect_eq(version, 1);
    cr_assert_eq(pw_migrate_version(conn, "org.example.uw", &version, &err), 0);
    cr_expect_eq(version, 4);
    cr_assert_eq(pw_migrate_version(conn, "org.example.none", &version, &err), 0);
    cr_expect_eq(version, 0);
}

Test(migrate, a_step_may_not_end_its_transaction)
{
    static const char *const bad[] = { "CREATE TABLE t (i int); COMMIT", "COMMIT; BEGIN", "ROLLBACK; SELECT 1",
                                       "SELECT 1; END" };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct pw_migrate_step st = { 1, 0, "control", bad[i] };

        expect_error(&st, 1, PW_D_FATAL, (const char *[]){ "step 1 'control'", "has no place in a step", NULL });
        cr_expect_str_eq(ask("SELECT count(*) FROM pawl.migrations"), "0");
    }
}

Test(migrate, copy_is_refused_and_the_connection_goes_on)
{
    static const struct pw_migrate_step in  = { 1, 0, "in", "CREATE TABLE t (i int); COPY t FROM STDIN" };
    static const struct pw_migrate_step out = { 1, 0, "out", "COPY (SELECT generate_series(1, 1000)) TO STDOUT; SELECT 1" };

    expect_error(&in, 1, PW_D_FATAL, (const char *[]){ "COPY has no place", NULL });
    expect_error(&out, 1, PW_D_FATAL, (const char *[]){ "COPY has no place", NULL });
    expect_ok(steps, 3, 3);
}

Test(migrate, a_step_without_a_transaction_is_one_statement)
{
    static const struct pw_migrate_step two = { 1, PAWL_MIG_NO_TX, "two", "SELECT 1; SELECT 2" };

    expect_error(&two, 1, PW_D_FATAL, (const char *[]){ "step 1 'two'", "multiple commands", "outside a transaction", NULL });
}

Test(migrate, steps_that_are_not_ascending_are_refused_before_anything_runs)
{
    static const struct pw_migrate_step zero     = { 0, 0, "zero", "SELECT 1" };
    static const struct pw_migrate_step flags    = { 1, 2, "flags", "SELECT 1" };
    static const struct pw_migrate_step huge     = { (uint32_t)INT32_MAX + 1, 0, "huge", "SELECT 1" };
    static const struct pw_migrate_step last     = { INT32_MAX, 0, "last", "SELECT 1" };
    struct pw_migrate_step              twice[2] = { steps[0], steps[0] };

    expect_error(&zero, 1, PW_D_FATAL, (const char *[]){ "step 0 'zero'", "ascend", NULL });
    expect_error(&flags, 1, PW_D_FATAL, (const char *[]){ "unknown flags", NULL });
    expect_error(&huge, 1, PW_D_FATAL, (const char *[]){ "ascend", NULL });
    expect_error(twice, 2, PW_D_FATAL, (const char *[]){ "ascend", NULL });
    cr_expect_str_eq(ask("SELECT count(*) FROM pg_namespace WHERE nspname = 'pawl'"), "0");
    expect_ok(&last, 1, 1);
}

Test(migrate, sql_of_the_largest_size_runs_and_a_byte_more_does_not)
{
    char                  *sql = malloc(PW_MIGRATE_STEP_BYTES + 2);
    struct pw_migrate_step st  = { 1, 0, "long", sql };

    memset(sql, ' ', PW_MIGRATE_STEP_BYTES + 1);
    memcpy(sql, "SELECT 1", 8);
    sql[PW_MIGRATE_STEP_BYTES + 1] = 0;
    expect_error(&st, 1, PW_D_FATAL, (const char *[]){ "1048577 bytes", NULL });
    sql[PW_MIGRATE_STEP_BYTES] = 0;
    expect_ok(&st, 1, 1);
    free(sql);
}

Test(migrate, as_many_steps_as_the_limit_and_not_one_more)
{
    struct pw_migrate_step *many = calloc(PW_MIGRATE_STEPS + 1, sizeof(*many));

    for (uint32_t i = 0; i <= PW_MIGRATE_STEPS; i++)
        many[i] = (struct pw_migrate_step){ i + 1, 0, "s", "SELECT 1" };
    expect_error(many, PW_MIGRATE_STEPS + 1, PW_D_FATAL, (const char *[]){ "10001 steps", NULL });
    cr_assert_eq(pw_migrate_apply(conn, "org.example.uw", many, PW_MIGRATE_STEPS, 1, &applied, &err), 0, "%s", err.text);
    cr_expect_eq(applied, PW_MIGRATE_STEPS);
    free(many);
}

Test(migrate, two_at_a_time_apply_each_step_once)
{
    static const struct pw_migrate_step slow[] = { { 1, 0, "slow", "CREATE TABLE s (i int); SELECT pg_sleep(0.3)" },
                                                   { 2, PAWL_MIG_NO_TX, "index", "CREATE INDEX CONCURRENTLY s_i ON s (i)" } };
    size_t                              sum    = 0;
    int                                 status;
    pid_t                               pids[3];

    for (int i = 0; i < 3; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            PGconn *own = pw_kit_pg_connect(&pg);
            size_t  n   = 0;

            _exit(pw_migrate_apply(own, "org.example.uw", slow, 2, 0, &n, &err) < 0 ? 99 : (int)n);
        }
    }
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(waitpid(pids[i], &status, 0), pids[i]);
        cr_assert(WIFEXITED(status) && WEXITSTATUS(status) != 99, "status %x", status);
        sum += (size_t)WEXITSTATUS(status);
    }
    cr_expect_eq(sum, 2, "%zu applied in all", sum);
}

Test(migrate, a_lock_held_for_too_long_is_an_error_that_may_pass)
{
    PGconn *other = pw_kit_pg_connect(&pg);
    char    sql[80];

    (void)snprintf(sql, sizeof(sql), "SELECT pg_advisory_lock(%lld)", (long long)PW_MIGRATE_LOCK_KEY);
    (void)pw_kit_pg_sql(other, sql);
    cr_assert_eq(setenv("PAWL_MIGRATE_WAIT_MS", "150", 1), 0);
    expect_error(steps, 3, PW_D_RETRY, (const char *[]){ "another migration", "8097884912564660082", NULL });
    PQfinish(other);
    expect_ok(steps, 3, 3);
}

Test(migrate, a_step_does_not_queue_for_a_table_for_ever)
{
    static const struct pw_migrate_step st = { 1, 0, "busy", "SET LOCAL lock_timeout = '100ms'; ALTER TABLE busy ADD j int" };
    PGconn                             *other = pw_kit_pg_connect(&pg);

    (void)ask("CREATE TABLE busy (i int)");
    (void)pw_kit_pg_sql(other, "BEGIN; LOCK TABLE busy");
    expect_error(&st, 1, PW_D_RETRY, (const char *[]){ "step 1 'busy'", "55P03", "quieter time", NULL });
    PQfinish(other);
    {
        static const struct pw_migrate_step shows = { 1, 0, "shows",
                                                      "CREATE TABLE shown AS SELECT current_setting('lock_timeout') AS t" };

        expect_ok(&shows, 1, 1);
        cr_expect_str_eq(ask("SELECT t FROM shown"), "10s");
        cr_expect_str_eq(ask("SHOW lock_timeout"), "0");
    }
}

Test(migrate, a_lost_connection_is_retried)
{
    static const struct pw_migrate_step st = { 1, 0, "suicide", "SELECT pg_terminate_backend(pg_backend_pid())" };

    cr_assert_eq(pw_migrate_apply(conn, "org.example.uw", &st, 1, 0, &applied, &err), -1);
    cr_expect_eq(err.disp, PW_D_RETRY, "%s", err.text);
    cr_expect(strstr(err.text, "run `pawl migrate` again"), "%s", err.text);
    cr_assert_eq(pw_migrate_apply(conn, "org.example.uw", &st, 1, 0, &applied, &err), -1, "the connection is broken");
    cr_expect_eq(err.disp, PW_D_RETRY, "%s", err.text);
}

Test(migrate, an_open_transaction_of_the_caller_is_refused)
{
    (void)ask("BEGIN");
    cr_assert_eq(pw_migrate_apply(conn, "org.example.uw", steps, 3, 0, &applied, &err), -1);
    cr_expect_eq(err.disp, PW_D_FATAL);
    cr_expect(strstr(err.text, "a transaction is open"), "%s", err.text);
}

Test(migrate, a_role_without_rights_is_told_which)
{
    (void)ask("CREATE ROLE small LOGIN");
    (void)ask("SET ROLE small");
    expect_error(steps, 3, PW_D_FATAL, (const char *[]){ "permission denied", "CREATE on the database", NULL });
    (void)ask("RESET ROLE; CREATE SCHEMA pawl AUTHORIZATION small; CREATE SCHEMA uw AUTHORIZATION small; SET ROLE small");
    {
        static const struct pw_migrate_step st = { 1, 0, "t", "CREATE TABLE uw.t (i int)" };

        expect_ok(&st, 1, 1);
    }
}
