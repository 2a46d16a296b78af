#include "pb.h"

#include <criterion/criterion.h>
#include <string.h>

static struct gw_pb_field first(const void *p, size_t n, bool *ret_ok, bool *ret_bad)
{
    struct gw_pb       pb = gw_pb_of(p, n);
    struct gw_pb_field f;

    *ret_ok  = gw_pb_next(&pb, &f);
    *ret_bad = pb.bad;
    return f;
}

Test(gw_pb, numbers_are_written_as_protobuf_writes_them)
{
    struct pw_buf b = { 0 };

    gw_pb_put_uint(&b, 1, 150); /* the example of the format's own description */
    cr_assert_eq(b.n, 3);
    cr_assert_eq(memcmp(b.p, "\x08\x96\x01", 3), 0);
    pw_buf_reset(&b);
    gw_pb_put_uint(&b, 16, 0);
    cr_assert_eq(memcmp(b.p, "\x80\x01\x00", 3), 0);
    pw_buf_reset(&b);
    gw_pb_put_uint(&b, 1, UINT64_MAX);
    cr_assert_eq(b.n, 11);
    cr_assert_eq(memcmp(b.p, "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11), 0);
    pw_buf_done(&b);
}

Test(gw_pb, what_was_written_is_read_back)
{
    struct pw_buf      b = { 0 };
    struct gw_pb       pb;
    struct gw_pb_field f;

    gw_pb_put_str(&b, 2, "testing");
    gw_pb_put_uint(&b, 3, UINT64_MAX);
    gw_pb_put_bytes(&b, 536870911, "", 0); /* the largest number of a field */
    cr_assert_eq(memcmp(b.p, "\x12\x07testing", 9), 0);
    pb = gw_pb_of(b.p, b.n);
    cr_assert(gw_pb_next(&pb, &f));
    cr_assert(f.number == 2 && f.wire == 2 && f.n == 7 && memcmp(f.p, "testing", 7) == 0);
    cr_assert(gw_pb_next(&pb, &f));
    cr_assert(f.number == 3 && f.wire == 0 && f.v == UINT64_MAX);
    cr_assert(gw_pb_next(&pb, &f));
    cr_assert(f.number == 536870911 && f.n == 0);
    cr_assert_not(gw_pb_next(&pb, &f));
    cr_assert_not(pb.bad);
    pw_buf_done(&b);
}

Test(gw_pb, fixed_numbers_are_little_endian)
{
    bool               ok, bad;
    struct gw_pb_field f = first("\x0d\x01\x02\x03\x04", 5, &ok, &bad);

    cr_assert(ok && f.wire == 5 && f.v == 0x04030201);
    f = first("\x09\x01\x02\x03\x04\x05\x06\x07\x08", 9, &ok, &bad);
    cr_assert(ok && f.wire == 1 && f.v == UINT64_C(0x0807060504030201));
}

Test(gw_pb, bytes_that_are_no_message_are_refused_and_never_read_beyond)
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

Test(gw_pb, nothing_is_an_empty_message)
{
    bool ok, bad;

    (void)first(NULL, 0, &ok, &bad);
    cr_assert(!ok && !bad);
    (void)first("", 0, &ok, &bad);
    cr_assert(!ok && !bad);
}
