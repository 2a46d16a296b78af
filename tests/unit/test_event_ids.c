/* The tables of event ids, and the functions that workers call, on a real PostgreSQL. Time goes by when a test moves the times
 * that are stored. */
#include "pg.h"
#include "postgres/migrate.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct pw_kit_pg pg;
static PGconn          *conn, *other;
static struct pw_err    err;

static void setup(void)
{
    size_t applied;

    if (pw_kit_pg_missing())
        cr_skip_test("SKIPPED, no PostgreSQL: %s", pw_kit_pg_missing());
    cr_assert_eq(pw_kit_pg_start(&pg, NULL, &err), 0, "%s", err.text);
    conn  = pw_kit_pg_connect(&pg);
    other = pw_kit_pg_connect(&pg);
    cr_assert_eq(pw_migrate_apply(conn, "pawl", pw_migrate_runtime, pw_migrate_runtime_n, 0, &applied, &err), 0, "%s",
                 err.text);
}

static void teardown(void)
{
    PQfinish(conn);
    PQfinish(other);
    pw_kit_pg_stop(&pg);
}

TestSuite(event_ids, .init = setup, .fini = teardown);

static const char *ask(PGconn *c, const char *sql)
{
    return pw_kit_pg_sql(c, sql);
}

/* Takes the ids for records of t[0], the first of them at that offset; returns who has those that are taken. */
static const char *take(PGconn *c, const char *group, const char *ids, int offset)
{
    char sql[600];

    (void)snprintf(sql, sizeof(sql),
                   "SELECT coalesce(string_agg(i || ':' || coalesce(source_offset::text, '?'), ' ' ORDER BY i), '') FROM "
                   "pawl.event_ids_take('%s', (SELECT array_agg(md5(x)::uuid ORDER BY n) FROM unnest('{%s}'::text[]) WITH "
                   "ORDINALITY u(x, n)), array_fill(7::bigint, array[cardinality('{%s}'::text[])]), array_fill(0::bigint, "
                   "array[cardinality('{%s}'::text[])]), (SELECT array_agg(%d + n - 1) FROM generate_series(1, "
                   "cardinality('{%s}'::text[])) n))",
                   group, ids, ids, ids, offset, ids);
    return ask(c, sql);
}

static const char *turn(PGconn *c)
{
    return ask(c, "SELECT pawl.event_ids_turn('g', '2 minutes')");
}

static void minutes_go_by(int n)
{
    char sql[200];

    (void)snprintf(
        sql, sizeof(sql),
        "UPDATE pawl.event_id_slots SET opened_at = opened_at - interval '%d min', closed_at = closed_at - interval '%d min'",
        n, n);
    (void)ask(conn, sql);
}

static const char *tables(void)
{
    return ask(conn, "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relname ~ '^event_ids_[0-9]+$'");
}

Test(event_ids, an_id_is_taken_once_and_its_record_is_known)
{
    (void)turn(conn);
    cr_expect_str_eq(take(conn, "g", "a,b,c", 10), "");
    cr_expect_str_eq(take(conn, "g", "d,b,e,a", 20), "2:11 4:10");
    cr_expect_str_eq(take(conn, "g", "d", 30), "1:20");
}

Test(event_ids, groups_know_nothing_of_each_other)
{
    (void)turn(conn);
    (void)ask(conn, "SELECT pawl.event_ids_turn('h', '90 days')");
    cr_expect_str_eq(take(conn, "g", "a", 10), "");
    cr_expect_str_eq(take(conn, "h", "a", 11), "");
    cr_expect_str_eq(take(conn, "h", "a", 12), "1:11");
}

Test(event_ids, what_is_rolled_back_was_never_taken)
{
    (void)turn(conn);
    (void)ask(conn, "BEGIN");
    cr_expect_str_eq(take(conn, "g", "a", 10), "");
    (void)ask(conn, "ROLLBACK");
    cr_expect_str_eq(take(conn, "g", "a", 11), "");
}

Test(event_ids, an_id_that_is_given_back_can_be_taken_again_in_the_same_transaction)
{
    (void)turn(conn);
    (void)ask(conn, "BEGIN");
    (void)take(conn, "g", "a,b", 10);
    (void)ask(conn, "SELECT pawl.event_ids_free('g', array[md5('a')::uuid])");
    cr_expect_str_eq(take(conn, "g", "a,b", 20), "2:11");
    (void)ask(conn, "COMMIT");
    cr_expect_str_eq(take(conn, "g", "a,b", 30), "1:20 2:11");
}

Test(event_ids, who_meets_an_id_of_an_open_transaction_waits_for_its_end)
{
    (void)turn(conn);
    (void)ask(other, "SET lock_timeout = '100ms'");
    (void)ask(conn, "BEGIN");
    (void)take(conn, "g", "a", 10);
    cr_expect_eq(PQsendQuery(other, "SELECT * FROM pawl.event_ids_take('g', array[md5('a')::uuid], '{7}', '{0}', '{20}')"), 1);
    for (PGresult *res; (res = PQgetResult(other)); PQclear(res))
        cr_expect_str_eq(PQresultErrorField(res, PG_DIAG_SQLSTATE), "55P03");
    (void)ask(conn, "COMMIT");
    cr_expect_str_eq(take(other, "g", "a", 20), "1:10");
}

Test(event_ids, an_id_lives_for_the_window_and_at_most_half_of_it_longer)
{
    (void)turn(conn); /* a window of 2 minutes: a table for each minute */
    (void)take(conn, "g", "a", 10);
    minutes_go_by(1);
    (void)turn(conn);
    (void)take(conn, "g", "b", 11);
    cr_expect_str_eq(tables(), "event_ids_1 event_ids_2");
    cr_expect_str_eq(take(conn, "g", "a,b", 20), "1:10 2:11");
    minutes_go_by(1);
    (void)turn(conn);
    cr_expect_str_eq(take(conn, "g", "a,b", 21), "1:10 2:11", "both are at most 2 minutes old");
    minutes_go_by(1);
    (void)turn(conn);
    cr_expect_str_eq(ask(conn, "SELECT string_agg(slot::text, ' ') FROM pawl.event_id_slots WHERE retired_at IS NOT NULL"),
                     "1");
    cr_expect_str_eq(take(conn, "g", "a,b", 22), "2:11", "the first table is 2 minutes old at its end");
    (void)turn(conn);
    cr_expect_str_eq(tables(), "event_ids_2 event_ids_3 event_ids_4", "it is dropped whole");
}

Test(event_ids, before_its_time_no_table_is_opened)
{
    (void)turn(conn);
    for (int i = 0; i < 5; i++)
        cr_expect_gt(strtol(turn(conn), NULL, 10), 1000);
    cr_expect_str_eq(tables(), "event_ids_1");
}

Test(event_ids, after_a_long_rest_old_tables_go_one_after_the_other)
{
    for (int i = 0; i < 3; i++) {
        (void)turn(conn);
        minutes_go_by(1);
    }
    minutes_go_by(100000);
    (void)turn(conn);
    cr_expect_str_eq(ask(conn, "SELECT count(*) FROM pawl.event_id_slots WHERE retired_at IS NOT NULL"), "2");
    (void)turn(conn);
    (void)turn(conn);
    cr_expect_str_eq(tables(), "event_ids_3 event_ids_4");
}

Test(event_ids, a_clock_that_was_set_back_does_not_keep_a_table_open)
{
    (void)turn(conn);
    minutes_go_by(-600); /* opened ten hours from now */
    (void)turn(conn);
    cr_expect_str_eq(ask(conn, "SELECT slot FROM pawl.event_id_slots WHERE closed_at IS NULL"), "2");
    cr_expect_str_eq(ask(conn, "SELECT opened_at <= clock_timestamp() FROM pawl.event_id_slots WHERE slot = 2"), "t");
}

/* Two batches that insert into different tables would not see each other's ids. So no turn while a batch is under way. */
static const char *at_the_boundary(void)
{
    static char doubled[100];

    (void)turn(conn);
    (void)ask(conn, "BEGIN");
    cr_assert_str_eq(take(conn, "g", "a", 10), ""); /* a batch, in the table of its time */
    (void)ask(other, "SET lock_timeout = '300ms'; UPDATE pawl.event_id_slots SET opened_at = opened_at - interval '1 min'");
    (void)turn(other);
    cr_assert_eq(
        PQsendQuery(other, "SELECT count(*) FROM pawl.event_ids_take('g', array[md5('a')::uuid], '{7}', '{0}', '{20}')"),
        1); /* another batch, a moment later */
    for (PGresult *res; (res = PQgetResult(other)); PQclear(res))
        (void)snprintf(doubled, sizeof(doubled), "%s",
                       PQresultStatus(res) == PGRES_TUPLES_OK ? PQgetvalue(res, 0, 0) :
                                                                PQresultErrorField(res, PG_DIAG_SQLSTATE));
    (void)ask(conn, "COMMIT");
    return doubled;
}

Test(event_ids, a_batch_under_way_keeps_its_table_open_so_nobody_can_pass_it_by)
{
    cr_expect_str_eq(at_the_boundary(), "55P03", "it waits for the first");
    cr_expect_str_eq(ask(conn, "SELECT count(*) FROM pawl.event_id_slots"), "1", "the turn gave up");
    (void)turn(conn);
    cr_expect_str_eq(ask(conn, "SELECT count(*) FROM pawl.event_id_slots"), "2");
    cr_expect_str_eq(take(other, "g", "a", 20), "1:10", "from the closed table");
}

Test(event_ids, without_the_lock_of_the_group_two_batches_take_one_id)
{
    (void)ask(
        conn,
        "DO $$ BEGIN EXECUTE replace(pg_get_functiondef('pawl.event_ids_take(text, uuid[], bigint[], bigint[], bigint[])'::regprocedure),"
        " 'PERFORM pg_advisory_xact_lock_shared(pawl.event_ids_lock(p_group));', ''); END $$");
    cr_expect_str_eq(at_the_boundary(), "0", "the second is told that nobody has it");
}

Test(event_ids, a_turn_holds_batches_up_for_no_longer_than_its_lock_timeout)
{
    (void)turn(conn);
    (void)ask(conn, "BEGIN");
    (void)take(conn, "g", "a", 10);
    (void)ask(other, "UPDATE pawl.event_id_slots SET opened_at = opened_at - interval '1 min'");
    cr_expect_str_eq(turn(other), "5000", "it gives up, and is asked again later");
    (void)ask(conn, "COMMIT");
    cr_expect_str_eq(ask(other, "SHOW lock_timeout"), "0", "the session has its own again");
}

Test(event_ids, one_turns_at_a_time)
{
    (void)turn(conn);
    (void)ask(conn, "BEGIN");
    (void)turn(conn);
    cr_expect_str_eq(turn(other), "1000");
    (void)ask(conn, "COMMIT");
}

Test(event_ids, a_table_that_somebody_reads_is_dropped_later)
{
    (void)turn(conn);
    minutes_go_by(1);
    (void)turn(conn);
    minutes_go_by(2);
    (void)turn(conn);
    (void)ask(other, "BEGIN; SELECT count(*) FROM pawl.event_ids_1");
    cr_expect_str_eq(turn(conn), "10000");
    cr_expect_str_eq(take(conn, "g", "a", 10), "", "batches go on");
    (void)ask(other, "COMMIT");
    (void)turn(conn);
    cr_expect_str_eq(tables(), "event_ids_2 event_ids_3");
}

Test(event_ids, a_worker_needs_no_right_on_the_tables)
{
    (void)turn(conn);
    (void)ask(conn,
              "CREATE ROLE worker; GRANT USAGE ON SCHEMA pawl TO worker; GRANT SELECT ON ALL TABLES IN SCHEMA pawl TO worker;"
              "GRANT EXECUTE ON FUNCTION pawl.event_ids_take, pawl.event_ids_free, pawl.event_ids_turn TO worker;"
              "SET ROLE worker");
    (void)ask(conn, "BEGIN");
    cr_expect_str_eq(take(conn, "g", "a", 10), "");
    (void)ask(conn, "SELECT pawl.event_ids_free('g', array[md5('a')::uuid]); COMMIT");
    (void)ask(other, "UPDATE pawl.event_id_slots SET opened_at = opened_at - interval '1 min'");
    (void)turn(conn);
    cr_expect_str_eq(ask(other, "SELECT tableowner FROM pg_tables WHERE tablename = 'event_ids_2'"), "postgres");
    cr_expect_str_eq(
        ask(conn, "SELECT has_table_privilege('pawl.event_ids_2', 'SELECT') OR has_table_privilege('pawl.event_ids', 'INSERT')"
                  " OR has_function_privilege('pawl.event_ids_forget(text)', 'EXECUTE')"),
        "f");
}

Test(event_ids, nobody_may_call_them_who_was_not_allowed_to)
{
    cr_expect_str_eq(
        ask(conn,
            "CREATE ROLE stranger; GRANT USAGE ON SCHEMA pawl TO stranger; SELECT count(*) FROM pg_proc p JOIN pg_namespace n "
            "ON n.oid = p.pronamespace WHERE n.nspname = 'pawl' AND p.proname LIKE 'event_ids_%' AND "
            "has_function_privilege('stranger', p.oid, 'EXECUTE')"),
        "0");
    cr_expect_str_eq(
        ask(conn,
            "SELECT count(*) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'pawl' AND "
            "p.prosecdef AND NOT coalesce(array_to_string(p.proconfig, ' '), '') LIKE '%search_path=pg_catalog, pg_temp%'"),
        "0", "what runs with the owner's rights looks names up in a fixed place");
}

Test(event_ids, people_may_ask_which_record_has_an_id)
{
#define FIND(group, text)                                                                                \
    ask(conn, "SELECT string_agg(topic_hash || ' ' || \"partition\" || ' ' || source_offset, ',') FROM " \
              "pawl.event_ids_find('" group "', array[md5('" text "')::uuid])")
    cr_expect_str_eq(FIND("g", "a"), "", "before there is a table");
    (void)turn(conn);
    (void)take(conn, "g", "a,b", 10);
    (void)ask(other, "UPDATE pawl.event_id_slots SET opened_at = opened_at - interval '1 min'");
    (void)turn(conn); /* into the next table */
    (void)take(conn, "g", "c", 20);
    (void)ask(conn, "CREATE ROLE operator; GRANT USAGE ON SCHEMA pawl TO operator;"
                    "GRANT EXECUTE ON FUNCTION pawl.event_ids_find TO operator; SET ROLE operator");
    cr_expect_str_eq(FIND("g", "a"), "7 0 10");
    cr_expect_str_eq(FIND("g", "c"), "7 0 20");
    cr_expect_str_eq(FIND("g", "d"), "");
    cr_expect_str_eq(FIND("h", "a"), "", "of another group");
}

Test(event_ids, a_group_can_be_made_to_forget)
{
    (void)turn(conn);
    (void)take(conn, "g", "a", 10);
    cr_expect_str_eq(ask(conn, "SELECT pawl.event_ids_forget('g')"), "1");
    cr_expect_str_eq(tables(), "");
    (void)turn(conn);
    cr_expect_str_eq(take(conn, "g", "a", 20), "");
}
