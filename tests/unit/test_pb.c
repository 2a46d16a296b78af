#include "base/pb.h"

#include <criterion/criterion.h>
#include <string.h>

static struct pw_pb_field first(const void *p, size_t n, bool *ret_ok, bool *ret_bad)
{
    struct pw_pb       pb = pw_pb_of(p, n);
    struct pw_pb_field f;

    *ret_ok  = pw_pb_next(&pb, &f);
    *ret_bad = pb.bad;
    return f;
}

Test(pb, numbers_are_written_as_protobuf_writes_them)
{
    struct pw_buf b = { 0 };

    pw_pb_put_uint(&b, 1, 150); /* the example of the format's own description */
    cr_assert_eq(b.n, 3);
    cr_assert_eq(memcmp(b.p, "\x08\x96\x01", 3), 0);
    pw_buf_reset(&b);
    pw_pb_put_uint(&b, 16, 0);
    cr_assert_eq(memcmp(b.p, "\x80\x01\x00", 3), 0);
    pw_buf_reset(&b);
    pw_pb_put_uint(&b, 1, UINT64_MAX);
    cr_assert_eq(b.n, 11);
    cr_assert_eq(memcmp(b.p, "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11), 0);
    pw_buf_done(&b);
}

Test(pb, what_was_written_is_read_back)
{
    struct pw_buf      b = { 0 };
    struct pw_pb       pb;
    struct pw_pb_field f;

    pw_pb_put_str(&b, 2, "testing");
    pw_pb_put_uint(&b, 3, UINT64_MAX);
    pw_pb_put_bytes(&b, 536870911, "", 0); /* the largest number of a field */
    cr_assert_eq(memcmp(b.p, "\x12\x07testing", 9), 0);
    pb = pw_pb_of(b.p, b.n);
    cr_assert(pw_pb_next(&pb, &f));
    cr_assert(f.number == 2 && f.wire == 2 && f.n == 7 && memcmp(f.p, "testing", 7) == 0);
    cr_assert(pw_pb_next(&pb, &f));
    cr_assert(f.number == 3 && f.wire == 0 && f.v == UINT64_MAX);
    cr_assert(pw_pb_next(&pb, &f));
    cr_assert(f.number == 536870911 && f.n == 0);
    cr_assert_not(pw_pb_next(&pb, &f));
    cr_assert_not(pb.bad);
    pw_buf_done(&b);
}

Test(pb, fixed_numbers_are_little_endian)
{
    bool               ok, bad;
    struct pw_pb_field f = first("\x0d\x01\x02\x03\x04", 5, &ok, &bad);

    cr_assert(ok && f.wire == 5 && f.v == 0x04030201);
    f = first("\x09\x01\x02\x03\x04\x05\x06\x07\x08", 9, &ok, &bad);
    cr_assert(ok && f.wire == 1 && f.v == UINT64_C(0x0807060504030201));
}

Test(pb, bytes_that_are_no_message_are_refused_and_never_read_beyond)
{
    static const struct {
        const char *p;
        size_t      n;
    } cases[] = {
        { "\x08", 1 },                                              /* a tag without a value */
        { "\x08\x80", 2 },                                          /* a number that is cut off */
        { "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11 },     /* 65 bits */
        { "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12 }, /* eleven bytes */
        { "\x12\x05"
          "abcd",
          6 },                                                  /* longer than what is there */
        { "\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11 }, /* a length of 2^64 - 1 */
        { "\x0b", 1 },                                          /* a group */
        { "\x0e", 1 },                                          /* a wire type that does not exist */
        { "\x00\x01", 2 },                                      /* field 0 */
        { "\x0d\x01\x02\x03", 4 },                              /* three of four bytes */
        { "\x09\x01\x02\x03\x04\x05\x06\x07", 8 },              /* seven of eight */
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bool ok, bad;

        (void)first(cases[i].p, cases[i].n, &ok, &bad);
        cr_assert(!ok && bad, "case %zu", i);
    }
}

Test(pb, nothing_is_an_empty_message)
{
    bool ok, bad;

    (void)first(NULL, 0, &ok, &bad);
    cr_assert(!ok && !bad);
    (void)first("", 0, &ok, &bad);
    cr_assert(!ok && !bad);
}

Test(pb, fixed_values_are_little_endian_and_come_back)
{
    struct pw_buf      b = { 0 };
    struct pw_pb       pb;
    struct pw_pb_field f;

    pw_pb_put_fixed64(&b, 7, UINT64_C(0x0102030405060708));
    pw_pb_put_fixed32(&b, 16, 0x0a0b0c0d);
    cr_assert_eq(b.n, 9 + 6);
    cr_assert_eq(memcmp(b.p, "\x39\x08\x07\x06\x05\x04\x03\x02\x01\x85\x01\x0d\x0c\x0b\x0a", 15), 0);
    pb = pw_pb_of(b.p, b.n);
    cr_assert(pw_pb_next(&pb, &f) && f.number == 7 && f.wire == 1 && f.v == UINT64_C(0x0102030405060708));
    cr_assert(pw_pb_next(&pb, &f) && f.number == 16 && f.wire == 5 && f.v == 0x0a0b0c0d);
    cr_assert(!pw_pb_next(&pb, &f) && !pb.bad);
    pw_buf_done(&b);
}
