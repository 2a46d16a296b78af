#include "decimal.h"

#include <criterion/criterion.h>
#include <limits.h>
#include <string.h>

static bool parse(const char *s, int64_t units, uint32_t scale)
{
    struct decimal d;

    return decimal_parse(s, strlen(s), &d) && d.units == units && d.scale == scale;
}

static bool refused(const char *s)
{
    struct decimal d;

    return !decimal_parse(s, strlen(s), &d);
}

Test(decimal, text_is_read_exactly)
{
    cr_assert(parse("0", 0, 0));
    cr_assert(parse("1.80", 18, 1), "zeros at the end carry nothing");
    cr_assert(parse("5760.50", 57605, 1));
    cr_assert(parse("-0.05", -5, 2));
    cr_assert(parse("007", 7, 0));
    cr_assert(parse("1.000000000", 1, 0));
}

Test(decimal, what_is_no_decimal_is_refused)
{
    const char *bad[] = { "", "-", ".", "1.", ".5", "1.2.3", "1e3", " 1", "1 ", "+1", "0x10", "--1", "1,5", "NaN" };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_assert(refused(bad[i]), "'%s'", bad[i]);
}

Test(decimal, the_largest_fits_and_one_more_does_not)
{
    cr_assert(parse("9223372036854775807", INT64_MAX, 0));
    cr_assert(refused("9223372036854775808"));
    cr_assert(parse("-9223372036854775807", -INT64_MAX, 0));
    cr_assert(refused("-9223372036854775808"), "given up, so that a sign can always be turned");
    cr_assert(parse("0.000000001", 1, 9));
    cr_assert(refused("0.0000000001"), "more digits than DECIMAL_SCALE_MAX");
}

Test(decimal, text_comes_back_in_its_shortest_form)
{
    const char *in[]  = { "1.80", "0", "0.05", "-12.5", "100", "0.000000001", "9223372036854775807" };
    const char *out[] = { "1.8", "0", "0.05", "-12.5", "100", "0.000000001", "9223372036854775807" };
    char        text[DECIMAL_TEXT_MAX];

    for (size_t i = 0; i < sizeof(in) / sizeof(in[0]); i++) {
        struct decimal d;
        size_t         n;

        cr_assert(decimal_parse(in[i], strlen(in[i]), &d));
        n = decimal_text(d, text);
        cr_assert(n == strlen(out[i]) && memcmp(text, out[i], n) == 0, "%s became %.*s", in[i], (int)n, text);
    }
}

Test(decimal, a_rule_has_a_name)
{
    enum decimal_rounding r;

    cr_assert(decimal_rounding_parse("half-up", 7, &r) && r == DECIMAL_HALF_UP);
    cr_assert(decimal_rounding_parse("half-even", 9, &r) && r == DECIMAL_HALF_EVEN);
    cr_assert(decimal_rounding_parse("down", 4, &r) && r == DECIMAL_DOWN);
    cr_assert_not(decimal_rounding_parse("up", 2, &r));
    cr_assert_not(decimal_rounding_parse("half-u", 6, &r));
    cr_assert_not(decimal_rounding_parse("", 0, &r));
}

/* units / 10^scale to a whole number. */
static int64_t rounded(int64_t units, uint32_t scale, enum decimal_rounding rule)
{
    struct decimal_product p = decimal_product_of(1);
    int64_t                ret;

    decimal_product_mul(&p, (struct decimal){ units, scale });
    cr_assert(decimal_product_round(&p, rule, &ret));
    return ret;
}

Test(decimal, each_rule_rounds_as_its_name_says)
{
    struct {
        int64_t tenths, up, even, down;
    } t[] = {
        { 0, 0, 0, 0 },   { 4, 0, 0, 0 },      { 5, 1, 0, 0 },      { 6, 1, 1, 0 },      { 14, 1, 1, 1 },
        { 15, 2, 2, 1 },  { 25, 3, 2, 2 },     { 26, 3, 3, 2 },     { 35, 4, 4, 3 },     { -4, 0, 0, 0 },
        { -5, -1, 0, 0 }, { -15, -2, -2, -1 }, { -25, -3, -2, -2 }, { -26, -3, -3, -2 },
    };

    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        cr_assert_eq(rounded(t[i].tenths, 1, DECIMAL_HALF_UP), t[i].up, "%ld half-up", (long)t[i].tenths);
        cr_assert_eq(rounded(t[i].tenths, 1, DECIMAL_HALF_EVEN), t[i].even, "%ld half-even", (long)t[i].tenths);
        cr_assert_eq(rounded(t[i].tenths, 1, DECIMAL_DOWN), t[i].down, "%ld down", (long)t[i].tenths);
    }
}

Test(decimal, a_product_of_many_factors_is_rounded_once)
{
    struct decimal_product p = decimal_product_of(100);
    struct decimal         f = { 15, 1 }, g = { 333, 3 };
    int64_t                ret;

    for (int i = 0; i < 3; i++)
        decimal_product_mul(&p, f); /* 337.5 */
    decimal_product_mul(&p, g);     /* 112.3875 */
    cr_assert(decimal_product_round(&p, DECIMAL_HALF_UP, &ret));
    cr_assert_eq(ret, 112, "rounding 337.5 to 338 first would give 112.554, then 113");
}

Test(decimal, a_division_is_exact_until_it_is_rounded)
{
    struct decimal_product p = decimal_product_of(7);
    int64_t                ret;

    decimal_product_div(&p, 2);
    decimal_product_div(&p, 7);
    decimal_product_mul(&p, (struct decimal){ 3, 0 });
    cr_assert(decimal_product_round(&p, DECIMAL_HALF_UP, &ret));
    cr_assert_eq(ret, 2, "1.5");
    cr_assert(decimal_product_round(&p, DECIMAL_DOWN, &ret));
    cr_assert_eq(ret, 1);
}

Test(decimal, the_largest_result_fits_and_one_more_is_an_overflow)
{
    struct decimal_product p = decimal_product_of(INT64_MAX), q = decimal_product_of(INT64_MAX);
    int64_t                ret = 5;

    decimal_product_mul(&p, (struct decimal){ 1, 0 });
    cr_assert(decimal_product_round(&p, DECIMAL_HALF_UP, &ret));
    cr_assert_eq(ret, INT64_MAX);
    decimal_product_mul(&q, (struct decimal){ 2, 0 });
    cr_assert_not(decimal_product_round(&q, DECIMAL_HALF_UP, &ret));
    cr_assert_eq(ret, INT64_MAX, "left alone");
}

Test(decimal, an_overflow_on_the_way_is_not_forgotten)
{
    struct decimal_product p = decimal_product_of(INT64_MAX), q = decimal_product_of(1), z;
    int64_t                ret;

    decimal_product_mul(&p, (struct decimal){ INT64_MAX, 0 }); /* 2^126: still inside 128 bits */
    cr_assert_not(p.overflow);
    decimal_product_mul(&p, (struct decimal){ 4, 0 });
    cr_assert(p.overflow);
    decimal_product_mul(&p, (struct decimal){ 0, 0 });
    cr_assert_not(decimal_product_round(&p, DECIMAL_DOWN, &ret));

    for (int i = 0; i < 5; i++)
        decimal_product_mul(&q, (struct decimal){ 1, 9 }); /* 10^45 under the line */
    cr_assert_not(decimal_product_round(&q, DECIMAL_DOWN, &ret));

    z = decimal_product_of(1);
    decimal_product_div(&z, 0);
    cr_assert_not(decimal_product_round(&z, DECIMAL_DOWN, &ret), "a division by zero is no number");
}

Test(decimal, an_amount_becomes_minor_units_only_if_it_is_whole)
{
    int64_t minor;

    cr_assert(decimal_to_minor((struct decimal){ 57605, 1 }, 2, &minor));
    cr_assert_eq(minor, 576050);
    cr_assert(decimal_to_minor((struct decimal){ 1, 0 }, 2, &minor));
    cr_assert_eq(minor, 100);
    cr_assert_not(decimal_to_minor((struct decimal){ 1, 3 }, 2, &minor), "a tenth of a kopeck");
    cr_assert_not(decimal_to_minor((struct decimal){ INT64_MAX, 0 }, 2, &minor));
}
