/* What the builders and the decoder say, asked from a real PostgreSQL. */
#include "pg.h"
#include "postgres/array.h"
#include "postgres/numeric.h"

#include <criterion/criterion.h>
#include <pawl/sugar.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct pw_kit_pg pg;
static PGconn          *conn;
static struct pw_arena *ar;
static struct pw_err    err;

static void setup(void)
{
    if (pw_kit_pg_missing())
        cr_skip_test("SKIPPED, no PostgreSQL: %s", pw_kit_pg_missing());
    cr_assert_eq(pw_kit_pg_start(&pg, NULL, &err), 0, "%s", err.text);
    conn = pw_kit_pg_connect(&pg);
    ar   = pw_arena_new(0);
    (void)pw_kit_pg_sql(conn, "SET TIME ZONE 'UTC'");
}

static void teardown(void)
{
    PQfinish(conn);
    pw_arena_free(ar);
    pw_kit_pg_stop(&pg);
}

TestSuite(array_pg, .init = setup, .fini = teardown);

static PGresult *ask(const char *sql, struct pw_array *a, struct pw_array *b)
{
    struct pw_array *arrays[] = { a, b };
    Oid              oids[2];
    const char      *values[2];
    int              lengths[2], formats[2] = { 1, 1 }, n = b ? 2 : 1;
    PGresult        *res;

    for (int i = 0; i < n; i++) {
        oids[i] = pw_type_array_oid(arrays[i]->type);
        pw_array_finish(arrays[i], &values[i], &lengths[i]);
    }
    res = PQexecParams(conn, sql, n, oids, values, lengths, formats, 1);
    cr_assert_eq(PQresultStatus(res), PGRES_TUPLES_OK, "%s: %s", sql, PQerrorMessage(conn));
    return res;
}

static pawl_value cell(const PGresult *res, int row, int col)
{
    pawl_value v;
    int        n = PQgetisnull(res, row, col) ? -1 : PQgetlength(res, row, col);

    cr_assert_eq(pw_cell_decode(PQftype(res, col), PQgetvalue(res, row, col), n, ar, &v, &err), 0, "%s", err.text);
    return v;
}

static int same(const pawl_value *a, const pawl_value *b)
{
    if (a->type != b->type)
        return 0;
    if (a->type == PAWL_V_F64)
        return memcmp(&a->f, &b->f, sizeof(a->f)) == 0;
    return a->i == b->i && a->b.n == b->b.n && (a->b.n == 0 || memcmp(a->b.p, b->b.p, a->b.n) == 0);
}

/* Sends the values, compares what PostgreSQL prints for each, then reads them back. texts NULL: an SQL NULL. */
static void round_trip(int32_t type, const pawl_value *v, const char *const *texts, size_t n)
{
    struct pw_array arr;
    PGresult       *res;

    pw_array_init(&arr, type);
    for (size_t i = 0; i < n; i++)
        cr_assert_eq(pw_array_put(&arr, &v[i], &err), 0, "%s %zu: %s", pw_type_name(type), i, err.text);
    res = ask("SELECT x, x::text FROM unnest($1) WITH ORDINALITY AS u(x, i) ORDER BY i", &arr, NULL);
    cr_assert_eq(PQntuples(res), n);
    for (size_t i = 0; i < n; i++) {
        pawl_value back = cell(res, (int)i, 0), text = cell(res, (int)i, 1);
        pawl_value null = pawl_null();

        cr_expect(same(&back, v[i].b.p || v[i].i || v[i].type != PAWL_V_TEXT ? &v[i] : &null), "%s %zu comes back",
                  pw_type_name(type), i);
        if (texts[i])
            cr_expect(text.b.n == strlen(texts[i]) && memcmp(text.b.p, texts[i], text.b.n) == 0,
                      "%s %zu: PostgreSQL read '%.*s'", pw_type_name(type), i, (int)text.b.n, (const char *)text.b.p);
        else
            cr_expect_eq(text.type, PAWL_V_NULL);
    }
    PQclear(res);
    pw_array_done(&arr);
}

#define TRIP(type, values, texts)                                                     \
    do {                                                                              \
        const pawl_value  v_[] = values;                                              \
        const char *const t_[] = texts;                                               \
        _Static_assert(sizeof(v_) / sizeof(v_[0]) == sizeof(t_) / sizeof(t_[0]), ""); \
        round_trip(type, v_, t_, sizeof(v_) / sizeof(v_[0]));                         \
    } while (0)
#define L(...)      \
    {               \
        __VA_ARGS__ \
    }

Test(array_pg, values_of_every_type_are_what_was_meant_and_come_back)
{
    TRIP(PAWL_V_BOOL, L(pawl_bool(1), pawl_null(), pawl_bool(0)), L("true", NULL, "false"));
    TRIP(PAWL_V_I64, L(pawl_i64(INT64_MIN), pawl_i64(0), pawl_i64(INT64_MAX)),
         L("-9223372036854775808", "0", "9223372036854775807"));
    TRIP(PAWL_V_F64, L(pawl_f64(-2.5), pawl_f64(1e300), pawl_f64(__builtin_inf())), L("-2.5", "1e+300", "Infinity"));
    TRIP(PAWL_V_TEXT, L(pawl_text(pawl_cstr("h\xc3\xa9llo")), pawl_text(pawl_cstr("{a,\"b\\")), pawl_null()),
         L("h\xc3\xa9llo", "{a,\"b\\", NULL));
    TRIP(PAWL_V_BYTES, L(pawl_blob(((pawl_bytes){ "\0\xff", 2 })), pawl_null()), L("\\x00ff", NULL));
    TRIP(PAWL_V_UUID, L(pawl_uuid((const uint8_t *)"0123456789abcdef")), L("30313233-3435-3637-3839-616263646566"));
    TRIP(PAWL_V_JSON, L(pawl_json(pawl_cstr("{\"a\": [1, null]}")), pawl_null()), L("{\"a\": [1, null]}", NULL));
    TRIP(PAWL_V_TIME_US,
         L(pawl_time_us(0), pawl_time_us(1700000000123456), pawl_time_us(-1), pawl_time_us(INT64_MAX), pawl_time_us(INT64_MIN),
           pawl_time_us(INT64_C(-210866803200000000))),
         L("1970-01-01 00:00:00+00", "2023-11-14 22:13:20.123456+00", "1969-12-31 23:59:59.999999+00", "infinity", "-infinity",
           "4714-11-24 00:00:00+00 BC"));
    TRIP(PAWL_V_DATE,
         L(pawl_date(0), pawl_date(19675), pawl_date(-1), pawl_date(INT64_MAX), pawl_date(INT64_MIN), pawl_date(-2440588),
           pawl_date(INT64_C(2145031948) + 10957)),
         L("1970-01-01", "2023-11-14", "1969-12-31", "infinity", "-infinity", "4714-11-24 BC", "5874897-12-31"));
    TRIP(PAWL_V_NUMERIC,
         L(pawl_numeric(pawl_cstr("0.00")), pawl_numeric(pawl_cstr("-12345.678900")), pawl_numeric(pawl_cstr("NaN"))),
         L("0.00", "-12345.678900", "NaN"));
}

Test(array_pg, an_empty_array_has_no_rows)
{
    struct pw_array arr;
    PGresult       *res;

    for (int32_t t = PAWL_V_BOOL; t <= PAWL_V_DATE; t++) {
        pw_array_init(&arr, t);
        res = ask("SELECT x FROM unnest($1) AS u(x)", &arr, NULL);
        cr_expect_eq(PQntuples(res), 0);
        cr_expect_eq(PQftype(res, 0), pw_type_oid(t), "element type of %s", pw_type_sql(t));
        PQclear(res);
        pw_array_done(&arr);
    }
}

/* A decimal with an awkward shape; seeded, so the same in every run. */
static size_t decimal(unsigned *seed, char *to)
{
    size_t n      = 0;
    int    before = rand_r(seed) % 30, after = rand_r(seed) % 30, dull = rand_r(seed) % 3;

    if (rand_r(seed) % 3 == 0)
        to[n++] = "+-"[rand_r(seed) % 2];
    for (int i = 0; i < before; i++)
        to[n++] = (char)('0' + (dull && rand_r(seed) % 4 ? 0 : rand_r(seed) % 10));
    if (after || !before) {
        to[n++] = '.';
        for (int i = 0; i <= after; i++)
            to[n++] = (char)('0' + (dull && rand_r(seed) % 4 ? 0 : rand_r(seed) % 10));
    }
    if (rand_r(seed) % 4 == 0)
        n += (size_t)sprintf(to + n, "e%d", rand_r(seed) % 80 - 40);
    to[n] = 0;
    return n;
}

Test(array_pg, twenty_thousand_decimals_mean_to_postgresql_what_its_own_parser_reads)
{
    struct pw_array numbers, texts;
    unsigned        seed = 20240229;
    PGresult       *res;
    char            text[128];

    pw_array_init(&numbers, PAWL_V_NUMERIC);
    pw_array_init(&texts, PAWL_V_TEXT);
    for (int i = 0; i < 20000; i++) {
        size_t     n = decimal(&seed, text);
        pawl_value v = pawl_numeric((pawl_bytes){ text, n });

        cr_assert_eq(pw_array_put(&numbers, &v, &err), 0, "%s", err.text);
        cr_assert_eq(pw_array_put_text(&texts, text, n, &err), 0);
    }
    res = ask(
        "SELECT t, x::text, t::numeric::text FROM unnest($1, $2) AS u(x, t) WHERE x::text IS DISTINCT FROM t::numeric::text LIMIT 5",
        &numbers, &texts);
    for (int i = 0; i < PQntuples(res); i++)
        cr_expect(false, "'%s' became %s, PostgreSQL reads %s", PQgetvalue(res, i, 0), PQgetvalue(res, i, 1),
                  PQgetvalue(res, i, 2));
    PQclear(res);
    res = ask("SELECT t::numeric, t::numeric::text FROM unnest($1) AS u(t)", &texts, NULL);
    cr_assert_eq(PQntuples(res), 20000);
    for (int i = 0; i < PQntuples(res); i++) {
        pawl_value got = cell(res, i, 0), want = cell(res, i, 1);

        cr_assert(got.b.n == want.b.n && memcmp(got.b.p, want.b.p, got.b.n) == 0, "read %.*s, PostgreSQL prints %.*s",
                  (int)got.b.n, (const char *)got.b.p, (int)want.b.n, (const char *)want.b.p);
    }
    PQclear(res);
    pw_array_done(&numbers);
    pw_array_done(&texts);
}

Test(array_pg, the_largest_numbers_are_taken)
{
    size_t          n    = PW_NUMERIC_MAX_INT_DIGITS + 1 + PW_NUMERIC_MAX_FRAC_DIGITS;
    char           *text = malloc(n);
    struct pw_array arr;
    pawl_value      v = pawl_numeric((pawl_bytes){ text, n }), back;
    PGresult       *res;

    memset(text, '9', n);
    text[PW_NUMERIC_MAX_INT_DIGITS] = '.';
    pw_array_init(&arr, PAWL_V_NUMERIC);
    cr_assert_eq(pw_array_put(&arr, &v, &err), 0, "%s", err.text);
    res  = ask("SELECT x FROM unnest($1) AS u(x)", &arr, NULL);
    back = cell(res, 0, 0);
    cr_expect(back.b.n == n && memcmp(back.b.p, text, n) == 0);
    PQclear(res);
    pw_array_done(&arr);
    free(text);
}

Test(array_pg, other_result_types_are_read_as_the_nearest_value)
{
    PGresult *res = PQexecParams(conn,
                                 "SELECT 1::int2, -2::int4, 1.5::float4, 'v'::varchar, 'c'::char(3), 'n'::name, "
                                 "'2023-11-14 22:13:20.5'::timestamp, '[1]'::json, NULL::int4, true",
                                 0, NULL, NULL, NULL, NULL, 1);

    cr_assert_eq(PQresultStatus(res), PGRES_TUPLES_OK, "%s", PQerrorMessage(conn));
    cr_expect_eq(cell(res, 0, 0).i, 1);
    cr_expect_eq(cell(res, 0, 1).i, -2);
    cr_expect_eq(cell(res, 0, 2).f, 1.5);
    cr_expect_eq(memcmp(cell(res, 0, 3).b.p, "v", 1), 0);
    cr_expect_eq(cell(res, 0, 4).b.n, 3);
    cr_expect_eq(cell(res, 0, 5).b.n, 1);
    cr_expect_eq(cell(res, 0, 6).i, 1700000000500000);
    cr_expect_eq(cell(res, 0, 7).type, PAWL_V_JSON);
    cr_expect_eq(cell(res, 0, 8).type, PAWL_V_NULL);
    cr_expect_eq(cell(res, 0, 9).i, 1);
    PQclear(res);
}

Test(array_pg, the_server_agrees_on_every_oid_and_name)
{
    char sql[160], want[16];

    for (int32_t t = PAWL_V_BOOL; t <= PAWL_V_DATE; t++) {
        (void)snprintf(sql, sizeof(sql), "SELECT '%s'::regtype::oid", pw_type_sql(t));
        (void)snprintf(want, sizeof(want), "%u", pw_type_oid(t));
        cr_expect_str_eq(pw_kit_pg_sql(conn, sql), want);
        (void)snprintf(sql, sizeof(sql), "SELECT typarray FROM pg_type WHERE oid = %u", pw_type_oid(t));
        (void)snprintf(want, sizeof(want), "%u", pw_type_array_oid(t));
        cr_expect_str_eq(pw_kit_pg_sql(conn, sql), want);
    }
    for (Oid oid = 1; oid < 4000; oid++) { /* what the refusal calls a type is the type's name, and its cast exists */
        char  named[64];
        char *end;

        if (pw_cell_check(oid, "x", &err) == 0 || !strstr(err.text, "is of type "))
            continue;
        (void)snprintf(named, sizeof(named), "%s", strstr(err.text, "is of type ") + 11);
        end  = strchr(named, ',');
        *end = 0;
        (void)snprintf(sql, sizeof(sql), "SELECT '%s'::regtype::oid", named);
        (void)snprintf(want, sizeof(want), "%u", oid);
        cr_expect_str_eq(pw_kit_pg_sql(conn, sql), want, "%s", named);
    }
}
