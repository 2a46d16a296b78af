#include "postgres/numeric.h"

#include "postgres/wire.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static size_t encode(const char *text, char *to)
{
    struct pw_err err;
    size_t        n = 0;

    cr_assert_eq(pw_numeric_encode(text, strlen(text), to, &n, &err), 0, "%s: %s", text, err.text);
    cr_assert_leq(n, pw_numeric_room(strlen(text)));
    return n;
}

static void expect_wire(const char *text, int weight, int sign, int dscale, int ndigits, const int *digits)
{
    char   wire[256];
    size_t n = encode(text, wire);

    cr_expect_eq(n, 8 + 2 * (size_t)ndigits, "%s: %zu bytes", text, n);
    cr_expect_eq(pw_wire_get16(wire), ndigits, "%s", text);
    cr_expect_eq((int16_t)pw_wire_get16(wire + 2), weight, "%s: weight %d", text, (int16_t)pw_wire_get16(wire + 2));
    cr_expect_eq(pw_wire_get16(wire + 4), sign, "%s", text);
    cr_expect_eq(pw_wire_get16(wire + 6), dscale, "%s: dscale %d", text, pw_wire_get16(wire + 6));
    for (int i = 0; i < ndigits; i++)
        cr_expect_eq(pw_wire_get16(wire + 8 + 2 * i), digits[i], "%s: digit %d is %d", text, i,
                     pw_wire_get16(wire + 8 + 2 * i));
}

static void expect_text(const char *in, const char *want)
{
    struct pw_arena *ar   = pw_arena_new(0);
    char            *wire = malloc(pw_numeric_room(strlen(in)));
    size_t           n    = encode(in, wire);
    struct pw_err    err;
    pawl_bytes       got;

    cr_assert_eq(pw_numeric_decode(wire, n, ar, &got, &err), 0, "%s: %s", in, err.text);
    cr_expect(got.n == strlen(want) && memcmp(got.p, want, got.n) == 0, "%.60s: got %.*s", in, (int)got.n, (const char *)got.p);
    free(wire);
    pw_arena_free(ar);
}

static void expect_refused(const char *text, size_t n, const char *why)
{
    char         *wire = malloc(pw_numeric_room(n));
    size_t        len;
    struct pw_err err;

    cr_assert_eq(pw_numeric_encode(text, n, wire, &len, &err), -1, "%.40s was taken", text);
    cr_expect_eq(err.disp, PW_D_REJECT);
    cr_expect(strstr(err.text, why), "%s", err.text);
    free(wire);
}

Test(numeric, the_wire_form_is_groups_of_four_decimals_around_the_point)
{
    expect_wire("0", 0, 0, 0, 0, NULL);
    expect_wire("0.00", 0, 0, 2, 0, NULL);
    expect_wire("1", 0, 0, 0, 1, (int[]){ 1 });
    expect_wire("10000", 1, 0, 0, 1, (int[]){ 1 });
    expect_wire("12345678", 1, 0, 0, 2, (int[]){ 1234, 5678 });
    expect_wire("123456789", 2, 0, 0, 3, (int[]){ 1, 2345, 6789 });
    expect_wire("-1.5", 0, 0x4000, 1, 2, (int[]){ 1, 5000 });
    expect_wire("12345.6789", 1, 0, 4, 3, (int[]){ 1, 2345, 6789 });
    expect_wire("12345.67891", 1, 0, 5, 4, (int[]){ 1, 2345, 6789, 1000 });
    expect_wire("0.1", -1, 0, 1, 1, (int[]){ 1000 });
    expect_wire("0.0001", -1, 0, 4, 1, (int[]){ 1 });
    expect_wire("0.00001", -2, 0, 5, 1, (int[]){ 1000 });
    expect_wire("0.00000001", -2, 0, 8, 1, (int[]){ 1 });
    expect_wire("0.000000001", -3, 0, 9, 1, (int[]){ 1000 });
    expect_wire("100.0100", 0, 0, 4, 2, (int[]){ 100, 100 });
}

Test(numeric, text_comes_back_as_postgresql_prints_it)
{
    static const char *const same[]     = { "0",
                                            "0.00",
                                            "1",
                                            "-1",
                                            "9999",
                                            "10000",
                                            "99999999",
                                            "123456789012345678901234567890",
                                            "0.1",
                                            "0.0001",
                                            "0.00001",
                                            "-0.05",
                                            "1.50",
                                            "1000.0001",
                                            "NaN",
                                            "Infinity",
                                            "-Infinity",
                                            "12345.678901234567890",
                                            "100000000000000000000",
                                            "0.000000000000000000001" };
    static const char *const pairs[][2] = {
        { "+5", "5" },          { "007", "7" },        { "-0", "0" },
        { "-0.00", "0.00" },    { ".5", "0.5" },       { "5.", "5" },
        { "1e3", "1000" },      { "1.5e3", "1500" },   { "1.5E+1", "15" },
        { "1500e-3", "1.500" }, { "1e-5", "0.00001" }, { "0e99999999999999999999", "0" },
        { "0.1e1", "1" },       { "00.10", "0.10" },   { "-12.340e1", "-123.40" },
    };

    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
        expect_text(same[i], same[i]);
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
        expect_text(pairs[i][0], pairs[i][1]);
}

Test(numeric, every_scale_of_one_number_survives)
{
    char text[128];

    for (int before = 1; before < 20; before++) {
        for (int after = 0; after < 20; after++) {
            int n = 0;

            for (int i = 0; i < before; i++)
                text[n++] = (char)('1' + i % 9);
            if (after)
                text[n++] = '.';
            for (int i = 0; i < after; i++)
                text[n++] = (char)('0' + (i * 7 + before) % 10);
            text[n] = 0;
            expect_text(text, text);
        }
    }
}

Test(numeric, what_is_no_decimal_is_rejected)
{
    static const char *const bad[] = { "",      "+",   "-",   ".",   "1.2.3", "1,5", " 1", "1 ",  "0x10", "1e",   "1e+",
                                       "1e1.5", "--1", "nan", "inf", "e5",    "1_0", "1f", "12a", "$1",   "+NaN", "+-1" };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        expect_refused(bad[i], strlen(bad[i]), "is no decimal number");
    expect_refused("1\0002", 3, "numeric of 3 bytes is no decimal number");
    expect_refused("12\xff", 3, "numeric of 3 bytes");
}

static char *repeat(const char *head, char c, size_t n, const char *tail)
{
    char *s = malloc(strlen(head) + n + strlen(tail) + 1), *to = stpcpy(s, head);

    memset(to, c, n);
    strcpy(to + n, tail);
    return s;
}

Test(numeric, as_many_digits_as_postgresql_takes_and_not_one_more)
{
    char *most = repeat("", '9', PW_NUMERIC_MAX_INT_DIGITS, ""), *more = repeat("1", '0', PW_NUMERIC_MAX_INT_DIGITS, "");
    char *fine  = repeat("0.", '0', PW_NUMERIC_MAX_FRAC_DIGITS - 1, "1"),
         *finer = repeat("0.", '0', PW_NUMERIC_MAX_FRAC_DIGITS, "1");
    char *zeros = repeat("", '0', PW_NUMERIC_MAX_INT_DIGITS + 5, "7");

    expect_text(most, most);
    expect_refused(more, strlen(more), "131072 digits before");
    expect_text(fine, fine);
    expect_refused(finer, strlen(finer), "16383 digits after");
    expect_text(zeros, "7");
    expect_refused("1e131072", 8, "131072 digits before");
    expect_refused("1e99999999999999999999", 22, "131072 digits before");
    expect_refused("1e-16384", 8, "16383 digits after");
    expect_refused("1e-99999999999999999999", 23, "16383 digits after");
    free(most), free(more), free(fine), free(finer), free(zeros);
}

Test(numeric, bytes_that_are_no_numeric_are_refused)
{
    static const struct {
        const char *p;
        size_t      n;
    } bad[] = {
        { "", 0 },
        { "\0\0\0\0\0\0\0", 7 },
        { "\0\1\0\0\0\0\0\0", 8 },          /* a digit is missing */
        { "\0\0\0\0\0\0\0\0\0\1", 10 },     /* a digit too many */
        { "\0\1\0\0\0\0\0\0\x27\x10", 10 }, /* digit 10000 */
        { "\0\0\0\0\x12\x34\0\0", 8 },      /* sign */
        { "\0\0\0\0\0\0\x40\0", 8 },        /* scale 16384 */
        { "\xff\xff\0\0\0\0\0\0", 8 },
    };
    struct pw_arena *ar = pw_arena_new(0);

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct pw_err err;
        pawl_bytes    got;

        cr_expect_eq(pw_numeric_decode(bad[i].p, bad[i].n, ar, &got, &err), -1, "case %zu", i);
        cr_expect_eq(err.disp, PW_D_FATAL);
    }
    pw_arena_free(ar);
}
