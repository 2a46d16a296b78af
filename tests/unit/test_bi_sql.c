/* What billing's tables promise by themselves, whoever writes into them. */
#include "billing_sql.h"
#include "pg.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct pw_kit_pg pg;
static PGconn          *conn;

static void setup(void)
{
    struct pw_err err;

    if (pw_kit_pg_missing())
        cr_skip_test("SKIPPED, no PostgreSQL: %s", pw_kit_pg_missing());
    cr_assert_eq(pw_kit_pg_start(&pg, NULL, &err), 0, "%s", err.text);
    conn = pw_kit_pg_connect(&pg);
    (void)pw_kit_pg_sql(conn, sql__001_ledger);
    (void)pw_kit_pg_sql(conn, sql__002_periods);
}

static void teardown(void)
{
    if (conn)
        PQfinish(conn);
    pw_kit_pg_stop(&pg);
}

TestSuite(bi_sql, .init = setup, .fini = teardown);

static const char *sql(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static const char *sql(const char *fmt, ...)
{
    char    text[4000];
    va_list ap;

    va_start(ap, fmt);
    cr_assert_lt(vsnprintf(text, sizeof(text), fmt, ap), (int)sizeof(text));
    va_end(ap);
    return pw_kit_pg_sql(conn, text);
}

/* It fails with that SQLSTATE, and its message has that part. */
static void refused_on(PGconn *c, const char *text, const char *state, const char *part)
{
    PGresult   *res  = PQexec(c, text);
    const char *have = PQresultErrorField(res, PG_DIAG_SQLSTATE);

    cr_assert(have && strcmp(have, state) == 0, "%s: %s %s", text, have ? have : "no error", PQresultErrorMessage(res));
    cr_assert_not_null(strstr(PQresultErrorMessage(res), part), "%s", PQresultErrorMessage(res));
    PQclear(res);
}

static void refused(const char *text, const char *state, const char *part)
{
    refused_on(conn, text, state, part);
}

/* A document with its entry of two lines and one instalment, as the plugin writes it. A refund corrects the version before. */
static void book_on(PGconn *c, const char *policy, int version, const char *kind, long long amount, const char *month,
                    const char *agent, int offset)
{
    char text[3000];

    (void)snprintf(
        text, sizeof(text),
        "INSERT INTO billing.document (policy_id, policy_version, kind, amount_minor, commission_minor, corrects, month, issued_on,"
        " starts_on, ends_on, currency, agent_id, event_id, occurred_at, source_topic, source_partition, source_offset)"
        " VALUES ('%1$s', %2$d, '%3$s', %4$lld, %4$lld / 10, CASE '%3$s' WHEN 'credit_note' THEN %2$d - 1 END, '%5$s', '%5$s',"
        " '%5$s', '%5$s', 'RUB', '%6$s', 'E', now(), 't', 0, %7$d);"
        "INSERT INTO billing.entry SELECT %7$d, %2$d, 0, '%5$s', 't', '%1$s', 'RUB' WHERE %4$lld > 0;"
        "INSERT INTO billing.line (source_topic, source_partition, source_offset, number, account, debit_minor, credit_minor, month,"
        " currency) SELECT 't', 0, %7$d, n, n::text, CASE n WHEN 1 THEN %4$lld ELSE 0 END, CASE n WHEN 2 THEN %4$lld ELSE 0 END,"
        " '%5$s', 'RUB' FROM generate_series(1, 2) n WHERE %4$lld > 0;"
        "INSERT INTO billing.instalment SELECT %7$d, %4$lld, 0, 1, '%5$s', 't' WHERE %4$lld > 0 AND '%3$s' = 'invoice'",
        policy, version, kind, amount, month, agent, offset);
    (void)pw_kit_pg_sql(c, text);
}

static void book(const char *policy, int version, const char *kind, long long amount, const char *month, const char *agent)
{
    static int offset;

    book_on(conn, policy, version, kind, amount, month, agent, offset++);
}

/* What the plugin does when a month is closed. */
static void close_month(const char *month)
{
    (void)sql("BEGIN;"
              "INSERT INTO billing.act (agent_id, month, currency, number, documents, charged_minor, refunded_minor,"
              " commission_minor, issued_at, event_id) SELECT agent_id, month, currency, number, documents, charged_minor,"
              " refunded_minor, commission_minor, now(), 'A' FROM billing.acts_due('%s');"
              "INSERT INTO billing.period VALUES ('%s', now(), 'C', 't', 0, 0);"
              "COMMIT",
              month, month);
}

static void no_faults(void)
{
    cr_assert_str_eq(sql("SELECT string_agg(fault || ': ' || what, ', ') FROM billing.faults"), "");
}

#define LINE(offset, n, debit, credit) "(" #offset ", " #debit ", " #credit ", 0, " #n ", '2025-01-01', 't', '1210', 'RUB')"
#define LINES                          "INSERT INTO billing.line VALUES "

Test(bi_sql, an_entry_that_does_not_balance_is_refused)
{
    refused(LINES LINE(1, 1, 100, 0), "23514", "t[0]@1 does not balance: debit 100, credit 0");
    refused(LINES LINE(1, 1, 100, 0) "," LINE(1, 2, 0, 99), "23514", "debit 100, credit 99");
    /* one of many, and the sum over all is right */
    refused(LINES LINE(1, 1, 5, 0) "," LINE(1, 2, 0, 5) "," LINE(2, 1, 7, 0) "," LINE(2, 2, 0, 8) "," LINE(3, 1, 1, 0), "23514",
            "does not balance");
    /* debit in one month or currency, credit in another */
    refused(LINES LINE(1, 1, 100, 0) ", (1, 0, 100, 0, 2, '2025-02-01', 't', '1210', 'RUB')", "23514", "does not balance");
    refused(LINES LINE(1, 1, 100, 0) ", (1, 0, 100, 0, 2, '2025-01-01', 't', '1210', 'USD')", "23514", "does not balance");
    (void)sql(LINES LINE(1, 1, 100, 0) "," LINE(1, 2, 0, 60) "," LINE(1, 3, 0, 40));
    cr_assert_str_eq(sql("SELECT count(*) FROM billing.line"), "3");
}

Test(bi_sql, an_entry_comes_in_one_statement)
{
    refused("BEGIN; " LINES LINE(1, 1, 100, 0) "; " LINES LINE(1, 2, 0, 100) "; COMMIT", "23514", "does not balance");
    (void)sql("ROLLBACK");
    cr_assert_str_eq(sql("SELECT count(*) FROM billing.line"), "0");
}

Test(bi_sql, a_line_is_a_debit_or_a_credit)
{
    refused(LINES LINE(1, 1, 0, 0), "23514", "line");
    refused(LINES LINE(1, 1, 5, 5), "23514", "line");
    refused(LINES LINE(1, 1, -5, 0) "," LINE(1, 2, 0, -5), "23514", "line");
}

Test(bi_sql, what_is_booked_is_never_changed)
{
    static const char *const tables[] = { "document", "instalment", "entry", "line", "act", "period" };

    book("P", 1, "invoice", 100, "2025-01-01", "A");
    close_month("2025-01-01");
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        char text[100];

        (void)snprintf(text, sizeof(text), "DELETE FROM billing.%s", tables[i]);
        refused(text, "23001", "is never changed");
        (void)snprintf(text, sizeof(text), "TRUNCATE billing.%s", tables[i]);
        refused(text, "23001", "is never changed");
    }
    refused("UPDATE billing.line SET debit_minor = debit_minor + 1", "23001", "billing.line");
    refused("UPDATE billing.document SET agent_id = 'B'", "23001", "billing.document");
    refused("UPDATE billing.period SET month = '2024-01-01'", "23001", "billing.period");
    no_faults();
}

Test(bi_sql, nothing_is_booked_into_a_closed_month)
{
    book("P", 1, "invoice", 100, "2025-01-01", "A");
    close_month("2025-01-01");
    refused(LINES LINE(9, 1, 5, 0) "," LINE(9, 2, 0, 5), "23514",
            "2025-01 is booked, but all months through 2025-01 are closed");
    refused("INSERT INTO billing.entry VALUES (9, 1, 0, '2024-12-01', 't', 'P', 'RUB')", "23514", "2024-12");
    refused(
        "INSERT INTO billing.document (policy_id, policy_version, kind, amount_minor, commission_minor, month, issued_on,"
        " starts_on, ends_on, currency, agent_id, event_id, occurred_at, source_topic, source_partition, source_offset)"
        " VALUES ('P', 2, 'invoice', 0, 0, '2025-01-01', '2025-01-01', '2025-01-01', '2025-01-01', 'RUB', '', 'E', now(), 't', 0, 9)",
        "23514", "2025-01");
    book("P", 2, "invoice", 100, "2025-02-01", "A");
    no_faults();
}

Test(bi_sql, acts_and_their_lines_are_numbered_without_holes)
{
    book("P1", 1, "invoice", 1000, "2025-01-01", "A");
    book("P1", 2, "credit_note", 400, "2025-01-01", "A");
    book("P2", 1, "invoice", 50, "2025-01-01", "B");
    book("P3", 1, "invoice", 7, "2025-01-01", "");
    book("P4", 1, "invoice", 900, "2025-02-01", "A");                    /* a later month stays open */
    (void)sql("BEGIN; SELECT billing.acts_due('2025-01-01'); ROLLBACK"); /* a closing that failed takes no number */
    close_month("2025-01-01");
    cr_assert_str_eq(sql("SELECT string_agg(concat_ws(' ', agent_id, number, documents, charged_minor, refunded_minor,"
                         " commission_minor), ', ' ORDER BY agent_id) FROM billing.act"),
                     " 1 1 7 0 0, A 1 2 1000 400 60, B 1 1 50 0 5");
    book("P5", 1, "invoice", 1, "2025-03-01", "B");
    book("P6", 1, "invoice", 2, "2025-04-01", "A");
    close_month("2025-04-01"); /* three months at once; B has no business in February, so no act */
    cr_assert_str_eq(
        sql("SELECT string_agg(concat_ws(' ', agent_id, to_char(month, 'YYYY-MM'), number), ', ' ORDER BY agent_id, number)"
            " FROM billing.act WHERE month > '2025-01-01'"),
        "A 2025-02 2, A 2025-04 3, B 2025-03 2");
    cr_assert_str_eq(sql("SELECT string_agg(concat_ws(' ', number, document, kind), ', ' ORDER BY number) FROM billing.act_line"
                         " WHERE agent_id = 'A' AND month = '2025-01-01'"),
                     "1 P1/1 invoice, 2 P1/2 credit_note");
    cr_assert_str_eq(sql("SELECT count(*) FROM billing.acts_due('2025-04-01')"), "0", "what is closed is not due again");
    no_faults();
}

Test(bi_sql, a_closing_waits_for_open_bookings_and_sees_them)
{
    PGconn *other = pw_kit_pg_connect(&pg);

    (void)pw_kit_pg_sql(other, "BEGIN");
    cr_assert_str_eq(pw_kit_pg_sql(other, "SELECT billing.closed_through()"), "", "nothing is closed, and that stays so");
    refused("SET lock_timeout = '50ms'; SELECT * FROM billing.acts_due('2025-01-01')", "55P03", "lock timeout");
    book_on(other, "P", 1, "invoice", 100, "2025-01-01", "A", 1);
    (void)pw_kit_pg_sql(other, "COMMIT");
    cr_assert_str_eq(sql("SELECT documents FROM billing.acts_due('2025-01-01')"), "1");

    /* and the other way round: who books waits for the closing, then sees it */
    (void)sql("BEGIN; SELECT billing.acts_due('2025-01-01')");
    refused_on(other, "SET lock_timeout = '50ms'; SELECT billing.closed_through()", "55P03", "lock timeout");
    (void)sql("INSERT INTO billing.period VALUES ('2025-01-01', now(), 'C', 't', 0, 0); COMMIT");
    cr_assert_str_eq(pw_kit_pg_sql(other, "SELECT billing.closed_through()"), "2025-01-01");
    PQfinish(other);
}

/* Red control: why everybody locks. */
Test(bi_sql, without_the_lock_a_document_would_be_in_a_closed_month_and_in_no_act)
{
    PGconn *other = pw_kit_pg_connect(&pg);

    (void)sql("CREATE OR REPLACE FUNCTION billing.closed_through() RETURNS date LANGUAGE sql VOLATILE AS"
              " 'SELECT max(month) FROM billing.period'");
    (void)pw_kit_pg_sql(other, "BEGIN");
    book_on(other, "P", 1, "invoice", 100, "2025-01-01", "A", 1);
    close_month("2025-01-01");
    (void)pw_kit_pg_sql(other, "COMMIT");
    cr_assert_str_eq(sql("SELECT string_agg(fault, ', ') FROM billing.faults"), "act and documents differ");
    PQfinish(other);
}

Test(bi_sql, who_waited_for_a_closing_sees_it_in_the_same_statement)
{
    PGconn   *other = pw_kit_pg_connect(&pg);
    PGresult *res;

    (void)sql("BEGIN; SELECT billing.acts_due('2025-01-01')");
    cr_assert(
        PQsendQuery(other, "SELECT k.i, c.through FROM (VALUES (1)) k(i) CROSS JOIN billing.closed_through() AS c(through)"));
    for (int i = 0;
         strcmp(sql("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'billing.period'::regclass"), "1") != 0;
         i++)
        cr_assert_lt(i, 100000, "the other one never waits");
    (void)sql("INSERT INTO billing.period VALUES ('2025-01-01', now(), 'C', 't', 0, 0); COMMIT");
    res = PQgetResult(other);
    cr_assert_eq(PQresultStatus(res), PGRES_TUPLES_OK, "%s", PQresultErrorMessage(res));
    cr_assert_str_eq(PQgetvalue(res, 0, 1), "2025-01-01", "its snapshot is older than the closing; the function's is not");
    PQclear(res);
    PQfinish(other);
}

Test(bi_sql, bookings_do_not_wait_for_each_other)
{
    PGconn *other = pw_kit_pg_connect(&pg);

    (void)sql("BEGIN; SELECT billing.closed_through()");
    book("P1", 1, "invoice", 100, "2025-01-01", "A");
    (void)pw_kit_pg_sql(other, "SET lock_timeout = '50ms'; BEGIN; SELECT billing.closed_through()");
    book_on(other, "P2", 1, "invoice", 100, "2025-01-01", "A", 500);
    (void)pw_kit_pg_sql(other, "COMMIT");
    (void)sql("COMMIT");
    cr_assert_str_eq(sql("SELECT count(*) FROM billing.document"), "2");
    PQfinish(other);
}

Test(bi_sql, the_trial_balance_balances)
{
    book("P1", 1, "invoice", 1000, "2025-01-01", "A");
    book("P2", 1, "invoice", 234, "2025-02-01", "B");
    (void)sql("INSERT INTO billing.account VALUES ('1', 'Receivable', 'asset')");
    cr_assert_str_eq(
        sql("SELECT string_agg(concat_ws(' ', currency, account, name, debit_minor, credit_minor, balance_minor), ', ')"
            " FROM billing.trial_balance"),
        "RUB 1 Receivable 1234 0 1234, RUB 2 0 1234 -1234");
    cr_assert_str_eq(
        sql("SELECT string_agg(concat_ws(' ', to_char(month, 'MM'), account, opening_minor, debit_minor, credit_minor,"
            " closing_minor), ', ') FROM billing.turnover"),
        "01 1 0 1000 0 1000, 01 2 0 0 1000 -1000, 02 1 1000 234 0 1234, 02 2 -1000 0 234 -1234");
    cr_assert_str_eq(
        sql("SELECT string_agg(concat_ws(' ', policy_id, number, amount_minor), ', ' ORDER BY policy_id) FROM billing.due"),
        "P1 1 1000, P2 1 234");
}

/* 1000 and 500 charged, 400 and 1100 paid back: each credit note is at most what was left. */
Test(bi_sql, credit_notes_are_held_against_all_invoices_of_their_period)
{
    book("P1", 1, "invoice", 1000, "2025-01-01", "A");
    book("P1", 2, "credit_note", 400, "2025-01-01", "A");
    book("P1", 3, "invoice", 500, "2025-01-01", "A");
    book("P1", 4, "credit_note", 1100, "2025-01-01", "A");
    no_faults();
    book("P1", 5, "invoice", 9999, "2026-01-01", "A"); /* of another period */
    book("P1", 6, "invoice", 0, "2025-01-01", "A");
    book("P1", 7, "credit_note", 1, "2025-01-01", "A");
    cr_assert_not_null(strstr(sql("SELECT string_agg(fault || ': ' || what, ', ') FROM billing.faults"),
                              "credit note above its invoice: P1/7"));
}

/* The audit must see what the triggers keep out: they are off here. */
Test(bi_sql, faults_shows_what_must_never_be)
{
    book("P1", 1, "invoice", 1000, "2025-01-01", "A");
    book("P1", 2, "credit_note", 400, "2025-01-01", "A");
    book("P2", 1, "invoice", 0, "2025-01-01", "A");
    close_month("2025-01-01");
    no_faults();
    (void)sql("SET session_replication_role = replica");
#define BREAKS(change, want)                                                                                             \
    do {                                                                                                                 \
        (void)sql("BEGIN; " change);                                                                                     \
        cr_expect_not_null(strstr(sql("SELECT string_agg(DISTINCT fault, ', ') FROM billing.faults"), (want)), "%s: %s", \
                           (want), sql("SELECT string_agg(DISTINCT fault, ', ') FROM billing.faults"));                  \
        (void)sql("ROLLBACK");                                                                                           \
    } while (0)
    BREAKS("UPDATE billing.line SET debit_minor = 999 WHERE debit_minor = 1000", "entry does not balance");
    BREAKS("DELETE FROM billing.entry WHERE policy_version = 1", "line without its entry");
    BREAKS("DELETE FROM billing.entry WHERE policy_version = 1", "document and entry differ");
    BREAKS("DELETE FROM billing.document WHERE policy_version = 2", "document and entry differ");
    BREAKS("UPDATE billing.instalment SET amount_minor = 999", "instalments do not add up");
    BREAKS("DELETE FROM billing.instalment", "instalments do not add up");
    BREAKS("UPDATE billing.document SET amount_minor = 1001 WHERE policy_version = 2", "credit note above its invoice");
    BREAKS("UPDATE billing.document SET corrects = 7 WHERE policy_version = 2", "credit note above its invoice");
    BREAKS("UPDATE billing.document SET agent_id = 'B' WHERE policy_version = 2", "credit note above its invoice");
    BREAKS("UPDATE billing.document SET ends_on = '2025-12-31' WHERE policy_version = 2", "credit note above its invoice");
    BREAKS("UPDATE billing.act SET charged_minor = 999", "act and documents differ");
    BREAKS("DELETE FROM billing.act", "act and documents differ");
    BREAKS("UPDATE billing.document SET month = '2024-12-01' WHERE policy_id = 'P2'", "act and documents differ");
    BREAKS("UPDATE billing.act SET number = 2", "act numbers have a gap");
    no_faults();
}

Test(bi_sql, the_workers_role_needs_no_more_than_the_readme_says)
{
    (void)sql(
        "CREATE ROLE w; GRANT USAGE ON SCHEMA billing TO w; GRANT SELECT ON ALL TABLES IN SCHEMA billing TO w;"
        "GRANT INSERT ON ALL TABLES IN SCHEMA billing TO w; GRANT UPDATE ON billing.account, billing.period TO w; SET ROLE w");
    cr_assert_str_eq(sql("SELECT billing.closed_through()"), "");
    (void)sql("INSERT INTO billing.account VALUES ('1', 'x', 'asset') ON CONFLICT (code) DO UPDATE SET name = excluded.name");
    book("P1", 1, "invoice", 1000, "2025-01-01", "A");
    close_month("2025-01-01");
    refused("UPDATE billing.period SET month = '2024-01-01'", "23001", "never changed");
    refused("DELETE FROM billing.line", "42501", "permission denied");
    no_faults();
}
