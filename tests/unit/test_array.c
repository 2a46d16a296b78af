#include "postgres/array.h"

#include "postgres/wire.h"

#include <criterion/criterion.h>
#include <math.h>
#include <pawl/sugar.h>
#include <stdlib.h>
#include <string.h>

/* Every allocation of the code under test is counted, by the linker's --wrap. */
static unsigned allocations;
void           *__real_malloc(size_t n);
void           *__real_calloc(size_t n, size_t each);
void           *__real_realloc(void *p, size_t n);
void           *__wrap_malloc(size_t n);
void           *__wrap_calloc(size_t n, size_t each);
void           *__wrap_realloc(void *p, size_t n);
void           *__wrap_malloc(size_t n)
{
    allocations++;
    return __real_malloc(n);
}
void *__wrap_calloc(size_t n, size_t each)
{
    allocations++;
    return __real_calloc(n, each);
}
void *__wrap_realloc(void *p, size_t n)
{
    allocations++;
    return __real_realloc(p, n);
}

static struct pw_array arr;
static struct pw_err   err;

static void teardown(void)
{
    pw_array_done(&arr);
}

TestSuite(array, .fini = teardown);

static void put(pawl_value v)
{
    cr_assert_eq(pw_array_put(&arr, &v, &err), 0, "%s", err.text);
}

static void refuse(pawl_value v, enum pw_disp disp, const char *why)
{
    uint32_t n     = arr.n;
    size_t   bytes = n ? arr.buf.n : 0;

    cr_assert_eq(pw_array_put(&arr, &v, &err), -1, "was taken: %s", why);
    cr_expect_eq(err.disp, disp, "%s", err.text);
    cr_expect(strstr(err.text, why), "%s", err.text);
    cr_expect_eq(arr.n, n, "the array is as before");
    if (n)
        cr_expect_eq(arr.buf.n, bytes);
}

static void expect(const char *want, size_t n)
{
    const char *p;
    int         len;

    pw_array_finish(&arr, &p, &len);
    cr_assert_eq(len, n, "%d bytes", len);
    for (size_t i = 0; i < n; i++)
        cr_assert_eq(p[i], want[i], "byte %zu is %02x", i, (unsigned char)p[i]);
}

/* Header of n elements of oid, then the one element that is compared. */
static void expect_one(int32_t type, pawl_value v, const char *element, size_t n)
{
    const char *p;
    int         len;

    pw_array_init(&arr, type);
    put(v);
    pw_array_finish(&arr, &p, &len);
    cr_assert_eq(len, 24 + n, "%s: %d bytes", pw_type_name(type), len);
    cr_expect_eq(pw_wire_get32(p), 1);
    cr_expect_eq(pw_wire_get32(p + 4), 0);
    cr_expect_eq(pw_wire_get32(p + 8), pw_type_oid(type));
    cr_expect_eq(pw_wire_get32(p + 12), 1);
    cr_expect_eq(pw_wire_get32(p + 16), 1);
    cr_expect_eq(pw_wire_get32(p + 20), n);
    cr_expect(memcmp(p + 24, element, n) == 0, "%s", pw_type_name(type));
    pw_array_done(&arr);
}

static pawl_bytes bytes(const char *p, size_t n)
{
    return (pawl_bytes){ p, n };
}

Test(array, the_wire_form_is_a_header_and_length_prefixed_elements)
{
    pw_array_init(&arr, PAWL_V_I64);
    put(pawl_i64(1));
    put(pawl_null());
    put(pawl_i64(-1));
    expect("\0\0\0\1\0\0\0\1\0\0\0\x14\0\0\0\3\0\0\0\1"
           "\0\0\0\x08\0\0\0\0\0\0\0\1"
           "\xff\xff\xff\xff"
           "\0\0\0\x08\xff\xff\xff\xff\xff\xff\xff\xff",
           48);
}

Test(array, an_empty_array_has_no_dimension)
{
    pw_array_init(&arr, PAWL_V_TEXT);
    expect("\0\0\0\0\0\0\0\0\0\0\0\x19", 12);
    put(pawl_text(pawl_cstr("a")));
    expect("\0\0\0\1\0\0\0\0\0\0\0\x19\0\0\0\1\0\0\0\1\0\0\0\1"
           "a",
           25);
}

Test(array, each_type_has_its_element)
{
    expect_one(PAWL_V_BOOL, pawl_bool(7), "\1", 1);
    expect_one(PAWL_V_BOOL, pawl_bool(0), "\0", 1);
    expect_one(PAWL_V_BOOL, (pawl_value){ .type = PAWL_V_BOOL, .i = INT64_C(1) << 40 }, "\1", 1);
    expect_one(PAWL_V_I64, pawl_i64(INT64_MIN), "\x80\0\0\0\0\0\0\0", 8);
    expect_one(PAWL_V_F64, pawl_f64(-2.5), "\xc0\x04\0\0\0\0\0\0", 8);
    expect_one(PAWL_V_NUMERIC, pawl_numeric(pawl_cstr("-1.5")), "\0\2\0\0\x40\0\0\1\0\1\x13\x88", 12);
    expect_one(PAWL_V_TEXT, pawl_text(pawl_cstr("h\xc3\xa9")), "h\xc3\xa9", 3);
    expect_one(PAWL_V_TEXT, pawl_text(pawl_cstr("")), "", 0);
    expect_one(PAWL_V_BYTES, pawl_blob(bytes("\0\xff", 2)), "\0\xff", 2);
    expect_one(PAWL_V_TIME_US, pawl_time_us(PW_PG_EPOCH_US + 5), "\0\0\0\0\0\0\0\5", 8);
    expect_one(PAWL_V_DATE, pawl_date(0), "\xff\xff\xd5\x33", 4);
    expect_one(PAWL_V_UUID, pawl_uuid((const uint8_t *)"0123456789abcdef"), "0123456789abcdef", 16);
    expect_one(PAWL_V_JSON, pawl_json(pawl_cstr("{}")), "\1{}", 3);
}

Test(array, a_missing_pointer_is_null_and_an_empty_one_is_not)
{
    for (int32_t t = PAWL_V_NUMERIC; t <= PAWL_V_JSON; t++) {
        pawl_value v = { .type = t };

        if (t == PAWL_V_TIME_US)
            continue;
        pw_array_init(&arr, t);
        put(v);
        cr_expect_eq(arr.nulls, 1, "%s", pw_type_name(t));
        pw_array_done(&arr);
    }
    pw_array_init(&arr, PAWL_V_TEXT);
    cr_assert_eq(pw_array_put_text(&arr, NULL, 0, &err), 0);
    cr_assert_eq(pw_array_put_text(&arr, "", 0, &err), 0);
    cr_expect_eq(arr.n, 2);
    cr_expect_eq(arr.nulls, 1);
}

Test(array, text_must_be_utf8_without_nul)
{
    static const struct {
        const char *p;
        size_t      n;
        const char *why;
    } bad[] = {
        { "\0", 1, "NUL byte at 0" },
        { "abc\0def", 7, "NUL byte at 3" },
        { "12345678\0", 9, "NUL byte at 8" },
        { "1234567\0"
          "9",
          9, "NUL byte at 7" },
        { "0123456789abcde\0", 16, "NUL byte at 15" },
        { "\x80", 1, "byte 0x80 at 0" },
        { "abcdefgh\xff", 9, "byte 0xff at 8" },
        { "\xc0\x80", 2, "0xc0" }, /* overlong NUL */
        { "\xc1\xbf", 2, "0xc1" },
        { "\xe0\x9f\xbf", 3, "0xe0" },     /* overlong */
        { "\xed\xa0\x80", 3, "0xed" },     /* surrogate */
        { "\xf0\x8f\xbf\xbf", 4, "0xf0" }, /* overlong */
        { "\xf4\x90\x80\x80", 4, "0xf4" }, /* above U+10FFFF */
        { "\xf5\x80\x80\x80", 4, "0xf5" },
        { "\xc3", 1, "0xc3 at 0" }, /* cut off */
        { "1234567\xe2\x82", 9, "0xe2 at 7" },
        { "1234567\xe2\x82\x41", 10, "0xe2 at 7" },
        { "\xf0\x9f\x98", 3, "0xf0" },
    };
    static const char *const good[] = { "\x7f",
                                        "\xc2\x80",
                                        "\xdf\xbf",
                                        "\xe0\xa0\x80",
                                        "\xed\x9f\xbf",
                                        "\xee\x80\x80",
                                        "\xef\xbf\xbf",
                                        "\xf0\x90\x80\x80",
                                        "\xf4\x8f\xbf\xbf",
                                        "1234567\xe2\x82\xac"
                                        "abcdefgh\xf0\x9f\x98\x80",
                                        "\1" };

    pw_array_init(&arr, PAWL_V_TEXT);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        refuse(pawl_text(bytes(bad[i].p, bad[i].n)), PW_D_REJECT, bad[i].why);
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        put(pawl_text(pawl_cstr(good[i])));
    pw_array_done(&arr);
    pw_array_init(&arr, PAWL_V_JSON);
    refuse(pawl_json(bytes("{\"a\":\"\xff\"}", 9)), PW_D_REJECT, "not UTF-8");
    refuse(pawl_json(bytes("{}\0", 3)), PW_D_REJECT, "NUL byte at 2");
}

Test(array, every_pair_of_bytes_is_judged_as_utf8_says)
{
    pw_array_init(&arr, PAWL_V_TEXT);
    for (unsigned a = 0; a < 256; a++) {
        for (unsigned b = 0; b < 256; b++) {
            char text[2]  = { (char)a, (char)b };
            int  ascii    = a > 0 && a < 0x80 && b > 0 && b < 0x80;
            int  two_byte = a >= 0xc2 && a <= 0xdf && b >= 0x80 && b <= 0xbf;

            cr_assert_eq(pw_array_put_text(&arr, text, 2, &err) == 0, ascii || two_byte, "%02x %02x", a, b);
            pw_array_reset(&arr);
        }
    }
}

Test(array, times_and_dates_reach_as_far_as_postgresql_does)
{
    pw_array_init(&arr, PAWL_V_TIME_US);
    put(pawl_time_us(INT64_C(-210866803200000000)));
    refuse(pawl_time_us(INT64_C(-210866803200000001)), PW_D_REJECT, "outside what PostgreSQL holds");
    put(pawl_time_us(INT64_MAX - 1));
    put(pawl_time_us(INT64_MAX));
    put(pawl_time_us(INT64_MIN));
    refuse(pawl_time_us(INT64_MIN + 1), PW_D_REJECT, "outside");
    pw_array_done(&arr);

    pw_array_init(&arr, PAWL_V_DATE);
    put(pawl_date(-2451545 + 10957));
    refuse(pawl_date(-2451545 + 10956), PW_D_REJECT, "outside what PostgreSQL holds");
    put(pawl_date(INT64_C(2145031948) + 10957));
    refuse(pawl_date(INT64_C(2145031949) + 10957), PW_D_REJECT, "outside what PostgreSQL holds");
    put(pawl_date(INT64_MAX));
    put(pawl_date(INT64_MIN));
    refuse(pawl_date(INT64_MAX - 1), PW_D_REJECT, "outside");
}

Test(array, a_uuid_has_16_bytes)
{
    pw_array_init(&arr, PAWL_V_UUID);
    refuse((pawl_value){ .type = PAWL_V_UUID, .b = bytes("0123456789abcde", 15) }, PW_D_REJECT, "15 bytes");
    refuse((pawl_value){ .type = PAWL_V_UUID, .b = bytes("0123456789abcdefg", 17) }, PW_D_REJECT, "17 bytes");
}

Test(array, a_bad_number_is_the_messages_fault)
{
    pw_array_init(&arr, PAWL_V_NUMERIC);
    put(pawl_numeric(pawl_cstr("1.00")));
    refuse(pawl_numeric(pawl_cstr("one")), PW_D_REJECT, "'one' is no decimal number");
}

Test(array, another_type_is_the_plugins_fault)
{
    for (int32_t declared = PAWL_V_BOOL; declared <= PAWL_V_DATE; declared++) {
        pw_array_init(&arr, declared);
        for (int32_t given = -1; given <= PAWL_V_DATE + 1; given++) {
            pawl_value v = { .type = given, .b = { "0123456789abcdef", 16 } };

            if (given != declared && given != PAWL_V_NULL)
                refuse(v, PW_D_FATAL, "for a column declared as");
        }
        pw_array_done(&arr);
    }
}

Test(array, holds_as_much_as_its_limit_and_not_a_byte_more)
{
    char value[64];

    memset(value, 'x', sizeof(value));
    pw_array_init(&arr, PAWL_V_TEXT);
    cr_expect_eq(arr.max_bytes, PW_ARRAY_MAX_BYTES);
    arr.max_bytes = 20 + 4 + 60;
    refuse(pawl_text(bytes(value, 61)), PW_D_REJECT, "at most 60");
    put(pawl_text(bytes(value, 60)));
    refuse(pawl_text(bytes("", 0)), PW_D_ISOLATE, "the batch is too large");
    refuse(pawl_null(), PW_D_ISOLATE, "the batch is too large");
    pw_array_reset(&arr);
    put(pawl_text(bytes(value, 30)));
    put(pawl_text(bytes(value, 26)));
    pw_array_reset(&arr);
    put(pawl_text(bytes(value, 30)));
    refuse(pawl_text(bytes(value, 27)), PW_D_ISOLATE, "the batch is too large");
    refuse(pawl_text(bytes(value, SIZE_MAX)), PW_D_REJECT, "at most 60");
    pw_array_done(&arr);
    for (size_t i = 0; i < 4; i++) { /* a size that lies is refused before a byte is read */
        int32_t t = (int32_t[]){ PAWL_V_BYTES, PAWL_V_JSON, PAWL_V_NUMERIC, PAWL_V_TEXT }[i];

        pw_array_init(&arr, t);
        refuse((pawl_value){ .type = t, .b = bytes(value, SIZE_MAX) }, PW_D_REJECT, "at most");
        refuse((pawl_value){ .type = t, .b = bytes(value, SIZE_MAX - 1) }, PW_D_REJECT, "at most");
        refuse((pawl_value){ .type = t, .b = bytes(value, PW_ARRAY_MAX_BYTES) }, PW_D_REJECT, "at most");
        pw_array_done(&arr);
    }
}

Test(array, a_refused_first_value_leaves_an_empty_array)
{
    pw_array_init(&arr, PAWL_V_NUMERIC);
    refuse(pawl_numeric(pawl_cstr("x")), PW_D_REJECT, "no decimal");
    expect("\0\0\0\0\0\0\0\0\0\0\x06\xa4", 12);
    put(pawl_numeric(pawl_cstr("0")));
    expect("\0\0\0\1\0\0\0\0\0\0\x06\xa4\0\0\0\1\0\0\0\1\0\0\0\x08\0\0\0\0\0\0\0\0", 32);
}

Test(array, a_rewind_drops_what_came_after_the_mark)
{
    struct pw_array_mark empty, one;

    pw_array_init(&arr, PAWL_V_TEXT);
    empty = pw_array_mark(&arr);
    put(pawl_text(pawl_cstr("a")));
    one = pw_array_mark(&arr);
    put(pawl_null());
    put(pawl_text(pawl_cstr("bcd")));
    pw_array_rewind(&arr, one);
    expect("\0\0\0\1\0\0\0\0\0\0\0\x19\0\0\0\1\0\0\0\1\0\0\0\1"
           "a",
           25);
    pw_array_rewind(&arr, empty);
    put(pawl_text(pawl_cstr("z")));
    expect("\0\0\0\1\0\0\0\0\0\0\0\x19\0\0\0\1\0\0\0\1\0\0\0\1"
           "z",
           25);
}

Test(array, the_typed_forms_write_what_the_general_one_writes)
{
    const char *p;
    int         n;
    char        copy[256];

#define SAME(type, typed, general)     \
    do {                               \
        pw_array_init(&arr, type);     \
        cr_assert_eq(typed, 0);        \
        pw_array_finish(&arr, &p, &n); \
        memcpy(copy, p, (size_t)n);    \
        pw_array_reset(&arr);          \
        put(general);                  \
        expect(copy, (size_t)n);       \
        pw_array_done(&arr);           \
    } while (0)
    SAME(PAWL_V_I64, pw_array_put_i64(&arr, -77, &err), pawl_i64(-77));
    SAME(PAWL_V_BOOL, pw_array_put_bool(&arr, 1, &err), pawl_bool(1));
    SAME(PAWL_V_TIME_US, pw_array_put_time_us(&arr, 123456789, &err), pawl_time_us(123456789));
    SAME(PAWL_V_TEXT, pw_array_put_text(&arr, "abc", 3, &err), pawl_text(pawl_cstr("abc")));
    SAME(PAWL_V_BYTES, pw_array_put_bytes(&arr, "\0b", 2, &err), pawl_blob(bytes("\0b", 2)));
    SAME(PAWL_V_BYTES, pw_array_put_null(&arr, &err), pawl_null());
}

Test(array, a_warm_array_allocates_nothing)
{
    struct pw_array all[PAWL_V_DATE + 1];
    pawl_value      v[PAWL_V_DATE + 1] = {
             [PAWL_V_BOOL]    = pawl_bool(1),
             [PAWL_V_I64]     = pawl_i64(5),
             [PAWL_V_F64]     = pawl_f64(0.5),
             [PAWL_V_NUMERIC] = pawl_numeric(pawl_cstr("12345.67")),
             [PAWL_V_TEXT]    = pawl_text(pawl_cstr("POL-000417 \xd0\x9f")),
             [PAWL_V_BYTES]   = pawl_blob(pawl_cstr("bytes")),
             [PAWL_V_TIME_US] = pawl_time_us(1),
             [PAWL_V_UUID]    = pawl_uuid((const uint8_t *)"0123456789abcdef"),
             [PAWL_V_JSON]    = pawl_json(pawl_cstr("{\"a\": 1}")),
             [PAWL_V_DATE]    = pawl_date(1),
    };
    unsigned cold;

    for (int32_t t = PAWL_V_BOOL; t <= PAWL_V_DATE; t++)
        pw_array_init(&all[t], t);
    for (int round = 0; round < 4; round++) {
        allocations = 0;
        for (int i = 0; i < 3000; i++)
            for (int32_t t = PAWL_V_BOOL; t <= PAWL_V_DATE; t++)
                if (pw_array_put(&all[t], &v[t], &err) < 0)
                    abort();
        for (int32_t t = PAWL_V_BOOL; t <= PAWL_V_DATE; t++) {
            const char *p;
            int         n;

            pw_array_finish(&all[t], &p, &n);
            pw_array_reset(&all[t]);
        }
        cold = allocations;
        if (round == 0)
            cr_assert_gt(cold, 0, "the counter counts");
        else
            cr_assert_eq(cold, 0, "round %d: %u allocations", round, cold);
    }
    for (int32_t t = PAWL_V_BOOL; t <= PAWL_V_DATE; t++)
        pw_array_done(&all[t]);
}
