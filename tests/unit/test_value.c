#include "plugin/value.h"

#include <criterion/criterion.h>
#include <string.h>

static struct pw_arena *ar;
static struct pw_err    err;

static void up(void)
{
    ar = pw_arena_new(4096);
}

static void down(void)
{
    ar = pw_arena_free(ar);
}

TestSuite(value, .init = up, .fini = down);

static int parse(uint32_t type, const char *text, pawl_value *ret)
{
    return pw_value_parse(ar, type, text, strlen(text), ret, &err);
}

static void accepts(uint32_t type, const char *text)
{
    pawl_value v;

    cr_assert_eq(parse(type, text, &v), 0, "%s: %s", text, err.text);
}

static void refuses(uint32_t type, const char *text)
{
    pawl_value v;

    cr_assert_eq(parse(type, text, &v), -1, "'%s'", text);
}

static int cmp(uint32_t type, const char *a, const char *b)
{
    pawl_value x, y;

    cr_assert_eq(parse(type, a, &x), 0);
    cr_assert_eq(parse(type, b, &y), 0);
    cr_assert_eq(pw_value_cmp(&x, &y), -pw_value_cmp(&y, &x));
    return pw_value_cmp(&x, &y);
}

Test(value, whole_numbers_have_64_bits_exactly)
{
    pawl_value v;

    cr_assert_eq(parse(PAWL_V_I64, "9223372036854775807", &v), 0);
    cr_assert_eq(v.i, INT64_MAX);
    cr_assert_eq(parse(PAWL_V_I64, "-9223372036854775808", &v), 0);
    cr_assert_eq(v.i, INT64_MIN);
    refuses(PAWL_V_I64, "9223372036854775808");
    refuses(PAWL_V_I64, "-9223372036854775809");
    refuses(PAWL_V_I64, "");
    refuses(PAWL_V_I64, "-");
    refuses(PAWL_V_I64, " 1");
    refuses(PAWL_V_I64, "1.0");
    refuses(PAWL_V_I64, "0x1");
}

Test(value, floating_point_is_finite_and_plain)
{
    accepts(PAWL_V_F64, "-1.5e3");
    refuses(PAWL_V_F64, "nan");
    refuses(PAWL_V_F64, "inf");
    refuses(PAWL_V_F64, "1e999");
    refuses(PAWL_V_F64, "0x1p3");
    refuses(PAWL_V_F64, "1 ");
    refuses(PAWL_V_F64, "");
}

Test(value, booleans_are_two_words)
{
    pawl_value v;

    cr_assert_eq(parse(PAWL_V_BOOL, "true", &v), 0);
    cr_assert_eq(v.i, 1);
    cr_assert_eq(parse(PAWL_V_BOOL, "false", &v), 0);
    cr_assert_eq(v.i, 0);
    refuses(PAWL_V_BOOL, "yes");
    refuses(PAWL_V_BOOL, "TRUE");
    refuses(PAWL_V_BOOL, "truefalse");
}

Test(value, decimals_are_digits_and_one_point)
{
    accepts(PAWL_V_NUMERIC, "0");
    accepts(PAWL_V_NUMERIC, "-12.50");
    accepts(PAWL_V_NUMERIC, "007.1");
    refuses(PAWL_V_NUMERIC, "");
    refuses(PAWL_V_NUMERIC, "-");
    refuses(PAWL_V_NUMERIC, ".5");
    refuses(PAWL_V_NUMERIC, "5.");
    refuses(PAWL_V_NUMERIC, "1.2.3");
    refuses(PAWL_V_NUMERIC, "+1");
    refuses(PAWL_V_NUMERIC, "1e3");
    refuses(PAWL_V_NUMERIC, "1,5");
    refuses(PAWL_V_NUMERIC, "NaN");
    refuses(PAWL_V_NUMERIC, " 1");
}

Test(value, a_decimal_of_the_largest_length_is_taken_and_one_more_is_not)
{
    char text[PW_VALUE_DECIMAL_MAX + 2];

    memset(text, '9', sizeof(text));
    text[PW_VALUE_DECIMAL_MAX] = 0;
    accepts(PAWL_V_NUMERIC, text);
    text[PW_VALUE_DECIMAL_MAX]     = '9';
    text[PW_VALUE_DECIMAL_MAX + 1] = 0;
    refuses(PAWL_V_NUMERIC, text);
}

Test(value, decimals_compare_digit_by_digit)
{
    cr_assert_eq(cmp(PAWL_V_NUMERIC, "1.35", "1.350"), 0);
    cr_assert_eq(cmp(PAWL_V_NUMERIC, "001", "1"), 0);
    cr_assert_eq(cmp(PAWL_V_NUMERIC, "-0.00", "0"), 0);
    cr_assert_lt(cmp(PAWL_V_NUMERIC, "9.99", "10"), 0);
    cr_assert_lt(cmp(PAWL_V_NUMERIC, "-10", "-9.99"), 0);
    cr_assert_lt(cmp(PAWL_V_NUMERIC, "-1", "0.5"), 0);
    cr_assert_gt(cmp(PAWL_V_NUMERIC, "0.10", "0.09"), 0);
    cr_assert_lt(cmp(PAWL_V_NUMERIC, "0.1", "0.10000000000000000000000000000001"), 0);
    /* doubles would call these equal */
    cr_assert_lt(cmp(PAWL_V_NUMERIC, "9007199254740992.0000001", "9007199254740992.0000002"), 0);
}

Test(value, other_numbers_compare_as_numbers)
{
    cr_assert_lt(cmp(PAWL_V_I64, "9", "10"), 0);
    cr_assert_lt(cmp(PAWL_V_F64, "-1.5", "1e2"), 0);
    cr_assert_eq(cmp(PAWL_V_F64, "100", "1e2"), 0);
}

Test(value, text_is_utf8_without_nul)
{
    pawl_value v;

    accepts(PAWL_V_TEXT, "");
    accepts(PAWL_V_TEXT, "\xd0\x9f\xe2\x82\xac\xf0\x9f\x98\x80");
    cr_assert_eq(pw_value_parse(ar, PAWL_V_TEXT, "a\0b", 3, &v, &err), -1);
    refuses(PAWL_V_TEXT, "\xc0\xaf");         /* overlong */
    refuses(PAWL_V_TEXT, "\xe0\x80\xaf");     /* overlong */
    refuses(PAWL_V_TEXT, "\xed\xa0\x80");     /* surrogate */
    refuses(PAWL_V_TEXT, "\xf4\x90\x80\x80"); /* above U+10FFFF */
    refuses(PAWL_V_TEXT, "\xe2\x82");         /* cut off */
    refuses(PAWL_V_TEXT, "\x80");
}

Test(value, an_error_does_not_repeat_the_text)
{
    pawl_value v;

    cr_assert_eq(parse(PAWL_V_NUMERIC, "hunter2", &v), -1);
    cr_assert_null(strstr(err.text, "hunter2"));
}
