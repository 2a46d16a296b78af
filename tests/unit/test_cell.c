#include "postgres/cell.h"

#include <criterion/criterion.h>
#include <string.h>

static struct pw_arena *ar;

static void setup(void)
{
    ar = pw_arena_new(0);
}
static void teardown(void)
{
    ar = pw_arena_free(ar);
}

TestSuite(cell, .init = setup, .fini = teardown);

static pawl_value decode(Oid oid, const char *p, int n)
{
    struct pw_err err;
    pawl_value    v;

    cr_assert_eq(pw_cell_decode(oid, p, n, ar, &v, &err), 0, "oid %u: %s", oid, err.text);
    return v;
}

static void expect_bytes(Oid oid, const char *p, int n, int32_t type, const char *want)
{
    pawl_value v = decode(oid, p, n);

    cr_expect_eq(v.type, type);
    cr_expect(v.b.n == strlen(want) && memcmp(v.b.p, want, v.b.n) == 0, "oid %u: %.*s", oid, (int)v.b.n, (const char *)v.b.p);
}

Test(cell, integers_of_every_width_are_i64)
{
    cr_expect_eq(decode(21, "\xff\xfe", 2).i, -2);
    cr_expect_eq(decode(21, "\x7f\xff", 2).i, INT16_MAX);
    cr_expect_eq(decode(23, "\x80\0\0\0", 4).i, INT32_MIN);
    cr_expect_eq(decode(20, "\x80\0\0\0\0\0\0\0", 8).i, INT64_MIN);
    cr_expect_eq(decode(20, "\0\0\0\0\0\0\1\0", 8).i, 256);
    cr_expect_eq(decode(23, "\0\0\0\1", 4).type, PAWL_V_I64);
    cr_expect_eq(decode(16, "\1", 1).i, 1);
    cr_expect_eq(decode(16, "\0", 1).i, 0);
    cr_expect_eq(decode(16, "\1", 1).type, PAWL_V_BOOL);
}

Test(cell, floats_of_both_widths_are_f64)
{
    cr_expect_eq(decode(700, "\x3f\x80\0\0", 4).f, 1.0);
    cr_expect_eq(decode(701, "\xc0\x04\0\0\0\0\0\0", 8).f, -2.5);
    cr_expect_eq(decode(700, "\x3f\x80\0\0", 4).type, PAWL_V_F64);
}

Test(cell, times_and_dates_count_from_1970)
{
    cr_expect_eq(decode(1184, "\0\0\0\0\0\0\0\0", 8).i, PW_PG_EPOCH_US);
    cr_expect_eq(decode(1114, "\0\0\0\0\0\0\0\1", 8).i, PW_PG_EPOCH_US + 1);
    cr_expect_eq(decode(1184, "\x7f\xff\xff\xff\xff\xff\xff\xff", 8).i, INT64_MAX);
    cr_expect_eq(decode(1184, "\x80\0\0\0\0\0\0\0", 8).i, INT64_MIN);
    {
        struct pw_err err;
        pawl_value    v;

        cr_expect_eq(decode(1184, "\x7f\xfc\xa2\xfe\xc4\xc8\x1f\xfe", 8).i, INT64_MAX - 1);
        cr_expect_eq(pw_cell_decode(1184, "\x7f\xfc\xa2\xfe\xc4\xc8\x20\x00", 8, ar, &v, &err), -1,
                     "later than 1970 + INT64_MAX");
        cr_expect_eq(err.disp, PW_D_REJECT);
    }
    cr_expect_eq(decode(1082, "\xff\xff\xd5\x33", 4).i, 0, "1970-01-01 is 10957 days before 2000");
    cr_expect_eq(decode(1082, "\x7f\xff\xff\xff", 4).i, INT64_MAX);
    cr_expect_eq(decode(1082, "\x80\0\0\0", 4).i, INT64_MIN);
}

Test(cell, bytes_are_lent_and_not_copied)
{
    static const char text[] = "\1{\"a\":1}";

    cr_expect_eq(decode(25, text, 8).b.p, (const void *)text);
    cr_expect_eq(decode(3802, text, 8).b.p, (const void *)(text + 1));
    expect_bytes(25, "abc", 3, PAWL_V_TEXT, "abc");
    expect_bytes(1043, "abc", 3, PAWL_V_TEXT, "abc");
    expect_bytes(1042, "abc ", 4, PAWL_V_TEXT, "abc ");
    expect_bytes(19, "abc", 3, PAWL_V_TEXT, "abc");
    expect_bytes(17, "abc", 3, PAWL_V_BYTES, "abc");
    expect_bytes(114, "[1]", 3, PAWL_V_JSON, "[1]");
    expect_bytes(3802, "\1[1]", 4, PAWL_V_JSON, "[1]");
    expect_bytes(2950, "0123456789abcdef", 16, PAWL_V_UUID, "0123456789abcdef");
    expect_bytes(1700, "\0\1\0\0\x40\0\0\2\0\3", 10, PAWL_V_NUMERIC, "-3.00");
    cr_expect_not_null(decode(25, "", 0).b.p, "empty is not NULL");
}

Test(cell, null_is_null_whatever_the_type)
{
    cr_expect_eq(decode(20, NULL, -1).type, PAWL_V_NULL);
    cr_expect_eq(decode(25, "x", -1).type, PAWL_V_NULL);
}

Test(cell, a_type_outside_the_abi_is_refused_by_its_name)
{
    struct pw_err err;
    pawl_value    v;

    cr_assert_eq(pw_cell_check(1186, "valid_for", &err), -1);
    cr_expect_eq(err.disp, PW_D_FATAL);
    cr_expect(strstr(err.text, "'valid_for' is of type interval") && strstr(err.text, "valid_for::text"), "%s", err.text);
    cr_assert_eq(pw_cell_check(54321, "mood", &err), -1);
    cr_expect(strstr(err.text, "54321::regtype") && strstr(err.text, "mood::text"), "%s", err.text);
    cr_assert_eq(pw_cell_decode(1186, "0123456789abcdef", 16, ar, &v, &err), -1);
    cr_expect_eq(pw_cell_check(3802, "doc", &err), 0);
}

Test(cell, a_cell_of_a_wrong_length_is_refused)
{
    static const struct {
        Oid oid;
        int n;
    } bad[] = { { 16, 0 },   { 16, 2 },   { 20, 7 },   { 20, 9 },    { 21, 4 },    { 23, 2 },   { 700, 8 }, { 701, 4 },
                { 1184, 4 }, { 1114, 0 }, { 1082, 8 }, { 2950, 15 }, { 2950, 17 }, { 1700, 3 }, { 3802, 0 } };
    static const char zeros[32];

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct pw_err err;
        pawl_value    v;

        cr_expect_eq(pw_cell_decode(bad[i].oid, zeros, bad[i].n, ar, &v, &err), -1, "oid %u, %d bytes", bad[i].oid, bad[i].n);
        cr_expect_eq(err.disp, PW_D_FATAL);
        cr_expect_eq(v.type, PAWL_V_NULL);
    }
    {
        struct pw_err err;
        pawl_value    v;

        cr_expect_eq(pw_cell_decode(3802, "\2{}", 3, ar, &v, &err), -1, "jsonb of version 2");
    }
}

Test(cell, every_type_of_the_abi_has_its_postgresql_type)
{
    for (int32_t t = PAWL_V_BOOL; t <= PAWL_V_DATE; t++) {
        cr_expect_neq(pw_type_oid(t), 0);
        cr_expect_neq(pw_type_array_oid(t), 0);
        cr_expect_not_null(pw_type_sql(t));
        cr_expect_eq(pw_cell_type(pw_type_oid(t)), t, "what is written as %s is read as %s", pw_type_name(t),
                     pw_type_name(pw_cell_type(pw_type_oid(t))));
    }
    for (size_t i = 0; i < 4; i++) {
        int32_t none = (int32_t[]){ PAWL_V_NULL, PAWL_V_DATE + 1, -1, INT32_MIN }[i];

        cr_expect_eq(pw_type_oid(none), 0);
        cr_expect_eq(pw_type_array_oid(none), 0);
        cr_expect_null(pw_type_sql(none));
        cr_expect_not_null(pw_type_name(none));
    }
    cr_expect_str_eq(pw_type_sql(PAWL_V_I64), "bigint");
    cr_expect_eq(pw_cell_type(1186), PAWL_V_NULL);
}
