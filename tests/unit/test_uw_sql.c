/* Underwriting's tables: the steps of its schema over a table with rows, and the history of classes. */
#include "pg.h"
#include "underwriting_steps.h"

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
    (void)pw_kit_pg_sql(conn, sql__001_policy);
}

static void teardown(void)
{
    if (conn)
        PQfinish(conn);
    pw_kit_pg_stop(&pg);
}

TestSuite(uw_sql, .init = setup, .fini = teardown);

static const char *sql(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static const char *sql(const char *fmt, ...)
{
    char    text[2000];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return pw_kit_pg_sql(conn, text);
}

/* As version 1.1 writes it. */
static void old_row(int offset, int version)
{
    (void)sql(
        "INSERT INTO underwriting.premium (source_topic, source_partition, source_offset, event_id, policy_id, policy_version,"
        " kind, amount_minor, currency, breakdown, occurred_at)"
        " VALUES ('t', 0, %d, 'E', 'P', %d, 'renewed', 1, 'RUB', '', now())",
        offset, version);
}

static bool refused(int offset, int version)
{
    char      text[400];
    PGresult *res;
    bool      unique;

    (void)snprintf(text, sizeof(text),
                   "INSERT INTO underwriting.premium (source_topic, source_partition, source_offset, event_id, policy_id,"
                   " policy_version, kind, amount_minor, currency, breakdown, occurred_at)"
                   " VALUES ('t', 0, %d, 'E', 'P', %d, 'renewed', 1, 'RUB', '', now())",
                   offset, version);
    res    = PQexec(conn, text);
    unique = strcmp(PQresultErrorField(res, PG_DIAG_SQLSTATE) ? PQresultErrorField(res, PG_DIAG_SQLSTATE) : "", "23505") == 0;
    PQclear(res);
    return unique;
}

static void key_is_new(void)
{
    cr_assert_str_eq(sql("SELECT string_agg(a.attname, ' ' ORDER BY array_position(i.indkey::int2[], a.attnum))"
                         " FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)"
                         " WHERE i.indrelid = 'underwriting.premium'::regclass AND i.indisprimary AND i.indisvalid"),
                     "source_topic source_partition source_offset policy_version");
    cr_assert_str_eq(sql("SELECT count(*) FROM pg_index WHERE indrelid = 'underwriting.premium'::regclass"), "1");
    old_row(2, 8); /* an event may have several rows now */
    old_row(2, 9);
    cr_assert(refused(2, 9));
}

Test(uw_sql, the_steps_keep_what_is_there_and_older_workers_write_on)
{
    old_row(1, 1);
    cr_assert(refused(1, 2), "one row an event, as long as that is the key");
    (void)sql("INSERT INTO underwriting.policy VALUES ('P', 1, 1, '2025-01-01', '2025-12-31', 'active', '3', 'RUB')");
    (void)pw_kit_pg_sql(conn, sql__002_facts);
    old_row(3, 2);
    (void)pw_kit_pg_sql(conn, sql__003_key_beside);
    (void)pw_kit_pg_sql(conn, sql__003_key_beside); /* it may be run again */
    (void)pw_kit_pg_sql(conn, sql__004_key);
    key_is_new();
    cr_assert_str_eq(sql("SELECT count(*) || ' ' || count(starts_on) FROM underwriting.premium"), "4 0");
    cr_assert_str_eq(sql("SELECT (facts IS NULL)::text FROM underwriting.policy"), "true");
    cr_assert_str_eq(sql("SELECT count(*) FROM underwriting.bonus_malus"), "0", "older rows do not tell their period");
}

Test(uw_sql, an_index_that_was_broken_off_is_made_anew)
{
    old_row(1, 1);
    (void)pw_kit_pg_sql(conn, sql__002_facts);
    (void)pw_kit_pg_sql(conn, sql__003_key_beside);
    (void)sql("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'underwriting.premium_key'::regclass");
    (void)pw_kit_pg_sql(conn, sql__003_key_beside);
    (void)pw_kit_pg_sql(conn, sql__004_key);
    key_is_new();
}

static void said(int version, const char *kind, const char *starts_on, const char *from_day, const char *class_name,
                 const char *claims)
{
    (void)sql(
        "INSERT INTO underwriting.premium (source_topic, source_partition, source_offset, event_id, policy_id, policy_version,"
        " kind, amount_minor, currency, breakdown, occurred_at, starts_on, ends_on, from_day, bonus_malus, claims)"
        " VALUES ('t', 0, %d, 'E', 'P', %d, '%s', 1, 'RUB', '', now(), '%s', '%s'::date + 364, '%s', %s, %s)",
        version, version, kind, starts_on, starts_on, from_day, class_name, claims);
}

Test(uw_sql, the_history_of_classes_is_what_was_said_last_of_each_period)
{
    (void)pw_kit_pg_sql(conn, sql__002_facts);
    said(1, "issued", "2025-01-01", "2025-01-01", "'3'", "NULL");
    said(2, "renewed", "2027-01-01", "2027-01-01", "'1'", "1");
    said(3, "renewed", "2026-01-01", "2026-01-01", "'4'", "0"); /* late */
    said(4, "reclassed", "2027-01-01", "2027-01-01", "'2'", "1");
    said(5, "corrected", "2027-01-01", "2027-03-01", "NULL", "1"); /* says nothing about the class */
    said(6, "corrected", "2027-01-01", "2027-06-01", "'7'", "1");
    said(7, "cancelled", "2027-01-01", "2027-01-01", "NULL", "1");
    cr_assert_str_eq(
        sql("SELECT string_agg(concat_ws(' ', starts_on, from_day, coalesce(class_before, '-'), coalesce(claims::text, '-'),"
            " class, policy_version), ', ' ORDER BY starts_on, from_day) FROM underwriting.bonus_malus"),
        "2025-01-01 2025-01-01 - - 3 1, 2026-01-01 2026-01-01 3 0 4 3, 2027-01-01 2027-01-01 4 1 2 4,"
        " 2027-01-01 2027-06-01 2 1 7 6");
}
