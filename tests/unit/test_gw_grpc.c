#include "grpc.h"

#include "base/pb.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* ---- messages ---- */

/* Feeds in pieces of `step` bytes; gathers the messages as "text|text|". Returns the first status that is not OK. */
static enum gw_status feed(struct gw_deframer *df, const void *bytes, size_t n, size_t step, struct pw_buf *got)
{
    const uint8_t *p = bytes;

    while (n > 0) {
        size_t         piece = n < step ? n : step;
        const uint8_t *m;
        size_t         m_n, taken;
        enum gw_status st;
        const char    *why;

        taken = gw_deframer_feed(df, p, piece, &m, &m_n, &st, &why);
        cr_assert(taken > 0 && taken <= piece);
        if (st != GW_OK) {
            cr_assert_not_null(why);
            return st;
        }
        if (m) {
            pw_buf_add(got, m, m_n);
            pw_buf_puts(got, "|");
        }
        p += taken;
        n -= taken;
    }
    return GW_OK;
}

Test(gw_grpc, messages_come_out_whole_however_the_bytes_are_cut)
{
    for (size_t step = 1; step < 30; step++) {
        struct pw_buf      in = { 0 }, got = { 0 };
        struct gw_deframer df;

        gw_frame(&in, "first", 5);
        gw_frame(&in, "", 0);
        gw_frame(&in, "the third one", 13);
        gw_deframer_init(&df, 100, false);
        cr_assert_eq(feed(&df, in.p, in.n, step, &got), GW_OK);
        cr_assert_str_eq(got.p, "first||the third one|");
        cr_assert(gw_deframer_idle(&df));
        gw_deframer_done(&df);
        pw_buf_done(&in);
        pw_buf_done(&got);
    }
}

Test(gw_grpc, a_stream_that_ends_inside_a_message_is_not_idle)
{
    struct pw_buf      in = { 0 }, got = { 0 };
    struct gw_deframer df;

    gw_frame(&in, "abc", 3);
    for (size_t n = 1; n < in.n; n++) {
        gw_deframer_init(&df, 100, false);
        cr_assert_eq(feed(&df, in.p, n, n, &got), GW_OK);
        cr_assert_not(gw_deframer_idle(&df), "after %zu bytes", n);
        gw_deframer_done(&df);
    }
    pw_buf_done(&in);
    pw_buf_done(&got);
}

Test(gw_grpc, a_message_at_the_limit_passes_and_one_byte_more_does_not)
{
    char               bytes[65] = { 0 };
    struct pw_buf      in = { 0 }, got = { 0 };
    struct gw_deframer df;

    gw_deframer_init(&df, 64, false);
    gw_frame(&in, bytes, 64);
    cr_assert_eq(feed(&df, in.p, in.n, 7, &got), GW_OK);
    cr_assert_eq(got.n, 65);
    pw_buf_reset(&in);
    gw_frame(&in, bytes, 65);
    cr_assert_eq(feed(&df, in.p, GW_PREFIX_BYTES, 7, &got), GW_RESOURCE_EXHAUSTED, "its length is enough to refuse it");
    gw_deframer_done(&df);
    pw_buf_done(&in);
    pw_buf_done(&got);
}

static void frame_gzip(struct pw_buf *out, const void *p, size_t n)
{
    z_stream      z = { 0 };
    unsigned char buf[65536];
    uint8_t       prefix[5] = { 1 };
    size_t        k;

    cr_assert_eq(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in   = (unsigned char *)(uintptr_t)p;
    z.avail_in  = (unsigned)n;
    z.next_out  = buf;
    z.avail_out = sizeof(buf);
    cr_assert_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
    k = sizeof(buf) - z.avail_out;
    deflateEnd(&z);
    for (int i = 0; i < 4; i++)
        prefix[1 + i] = (uint8_t)(k >> (24 - 8 * i));
    pw_buf_add(out, prefix, 5);
    pw_buf_add(out, buf, k);
}

Test(gw_grpc, compressed_messages_are_opened)
{
    struct pw_buf      in = { 0 }, got = { 0 };
    struct gw_deframer df;

    gw_deframer_init(&df, 1000, true);
    frame_gzip(&in, "hello hello hello hello", 23);
    gw_frame(&in, "plain", 5); /* each message says for itself whether it is compressed */
    frame_gzip(&in, "", 0);
    cr_assert_eq(feed(&df, in.p, in.n, 3, &got), GW_OK);
    cr_assert_str_eq(got.p, "hello hello hello hello|plain||");
    gw_deframer_done(&df);
    pw_buf_done(&in);
    pw_buf_done(&got);
}

Test(gw_grpc, a_small_message_that_swells_beyond_the_limit_is_refused)
{
    char              *zeros = calloc(1, 1 << 20);
    struct pw_buf      in = { 0 }, got = { 0 };
    struct gw_deframer df;

    frame_gzip(&in, zeros, 1 << 20);
    cr_assert_lt(in.n, 4096);
    gw_deframer_init(&df, 1 << 20, true);
    cr_assert_eq(feed(&df, in.p, in.n, 4096, &got), GW_OK, "at the limit");
    gw_deframer_done(&df);
    gw_deframer_init(&df, (1 << 20) - 1, true);
    cr_assert_eq(feed(&df, in.p, in.n, 4096, &got), GW_RESOURCE_EXHAUSTED);
    cr_assert_lt(df.plain.n, (1 << 20) + 32768, "it stopped when it knew");
    gw_deframer_done(&df);
    pw_buf_done(&in);
    pw_buf_done(&got);
    free(zeros);
}

Test(gw_grpc, what_is_no_gzip_is_refused)
{
    struct pw_buf      in = { 0 }, got = { 0 };
    struct gw_deframer df;

    gw_deframer_init(&df, 1000, true);
    cr_assert_eq(feed(&df, "\1\0\0\0\3abc", 8, 8, &got), GW_INTERNAL, "not gzip at all");
    gw_deframer_done(&df);
    frame_gzip(&in, "hello hello hello", 17);
    in.p[4]--; /* cut off by a byte */
    gw_deframer_init(&df, 1000, true);
    cr_assert_eq(feed(&df, in.p, in.n - 1, 100, &got), GW_INTERNAL);
    gw_deframer_done(&df);
    pw_buf_reset(&in);
    frame_gzip(&in, "hello hello hello", 17);
    in.p[4]++; /* something behind its end */
    pw_buf_add(&in, "x", 1);
    gw_deframer_init(&df, 1000, true);
    cr_assert_eq(feed(&df, in.p, in.n, 100, &got), GW_INTERNAL);
    gw_deframer_done(&df);
    pw_buf_done(&in);
    pw_buf_done(&got);
}

Test(gw_grpc, a_prefix_that_says_nonsense_is_refused)
{
    struct pw_buf      got = { 0 };
    struct gw_deframer df;

    gw_deframer_init(&df, 1000, false);
    cr_assert_eq(feed(&df, "\2\0\0\0\0", 5, 5, &got), GW_INTERNAL, "neither 0 nor 1");
    gw_deframer_init(&df, 1000, false);
    cr_assert_eq(feed(&df, "\1\0\0\0\0", 5, 5, &got), GW_INTERNAL, "compressed, but nobody said how");
    pw_buf_done(&got);
}

/* ---- metadata ---- */

Test(gw_grpc, timeouts_are_read_in_all_units)
{
    static const struct {
        const char *text;
        int64_t     us;
    } good[]                       = { { "1H", 3600000000 },
                                       { "2M", 120000000 },
                                       { "3S", 3000000 },
                                       { "4m", 4000 },
                                       { "5u", 5 },
                                       { "1999n", 1 },
                                       { "99999999S", 99999999000000 },
                                       { "0m", 0 } };
    static const char *const bad[] = { "", "S", "1", "1s", "-1S", "1.5S", "123456789S", " 1S", "1S ", "1mS", "0x1S" };
    int64_t                  us;

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        cr_assert(gw_timeout_parse(good[i].text, strlen(good[i].text), &us), "%s", good[i].text);
        cr_assert_eq(us, good[i].us, "%s", good[i].text);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_assert_not(gw_timeout_parse(bad[i], strlen(bad[i]), &us), "'%s'", bad[i]);
}

Test(gw_grpc, a_status_message_travels_as_printable_ascii)
{
    struct pw_buf b = { 0 };

    gw_percent_encode(&b, "50% of \xc3\xa9t\xc3\xa9\n\x7f~", 15);
    cr_assert_str_eq(b.p, "50%25 of %C3%A9t%C3%A9%0A%7F~");
    pw_buf_done(&b);
}

Test(gw_grpc, binary_metadata_is_base64_without_padding)
{
    static const char *const pairs[][2] = {
        { "", "" },           { "f", "Zg" },          { "fo", "Zm8" },         { "foo", "Zm9v" },
        { "foob", "Zm9vYg" }, { "fooba", "Zm9vYmE" }, { "foobar", "Zm9vYmFy" }
    };
    struct pw_buf b = { 0 };

    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) { /* the vectors of RFC 4648 */
        pw_buf_reset(&b);
        pw_buf_puts(&b, "");
        gw_base64(&b, pairs[i][0], strlen(pairs[i][0]));
        cr_assert_str_eq(b.p, pairs[i][1]);
    }
    pw_buf_reset(&b);
    gw_base64(&b, "\xff\xef\xff", 3);
    cr_assert_str_eq(b.p, "/+//");
    pw_buf_done(&b);
}

Test(gw_grpc, only_a_valid_trace_parent_is_passed_on)
{
    static const char        good[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    static const char *const bad[]  = {
         "00-00000000000000000000000000000000-b7ad6b7169203331-01", /* no trace */
         "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", /* no span */
         "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", /* capitals */
         "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", /* a version that we do not know */
         "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
         "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-011",
         "00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01",
         "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0g",
         ""
    };

    cr_assert(gw_traceparent_ok(good, strlen(good)));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_assert_not(gw_traceparent_ok(bad[i], strlen(bad[i])), "%s", bad[i]);
}

Test(gw_grpc, the_content_type_must_be_grpc_with_protobuf)
{
    static const char *const good[] = { "application/grpc", "application/grpc+proto", "application/grpc; charset=utf-8" };
    static const char *const bad[]  = { "application/grpc+json", "application/grpc-web", "application/json", "application/grp",
                                        "" };

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        cr_assert(gw_content_type_ok(good[i], strlen(good[i])), "%s", good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_assert_not(gw_content_type_ok(bad[i], strlen(bad[i])), "%s", bad[i]);
}

/* ---- details ---- */

Test(gw_grpc, details_name_each_field_as_google_rpc_does)
{
    const struct gw_violation vi[2] = { { "event.event_id", "is required" }, { "source", "is too long" } };
    struct pw_buf             b     = { 0 };
    struct pw_pb              pb, any, bad, one;
    struct pw_pb_field        f;

    gw_status_details(&b, GW_INVALID_ARGUMENT, "no", vi, 2);
    pb = pw_pb_of(b.p, b.n);
    cr_assert(pw_pb_next(&pb, &f) && f.number == 1 && f.v == 3);
    cr_assert(pw_pb_next(&pb, &f) && f.number == 2 && f.n == 2 && memcmp(f.p, "no", 2) == 0);
    cr_assert(pw_pb_next(&pb, &f) && f.number == 3);
    any = pw_pb_of(f.p, f.n);
    cr_assert(pw_pb_next(&any, &f) && f.number == 1 && f.n == strlen("type.googleapis.com/google.rpc.BadRequest"));
    cr_assert(pw_pb_next(&any, &f) && f.number == 2);
    bad = pw_pb_of(f.p, f.n);
    for (size_t i = 0; i < 2; i++) {
        cr_assert(pw_pb_next(&bad, &f) && f.number == 1);
        one = pw_pb_of(f.p, f.n);
        cr_assert(pw_pb_next(&one, &f) && f.number == 1 && f.n == strlen(vi[i].field) && memcmp(f.p, vi[i].field, f.n) == 0);
        cr_assert(pw_pb_next(&one, &f) && f.number == 2 && f.n == strlen(vi[i].text) && memcmp(f.p, vi[i].text, f.n) == 0);
    }
    cr_assert_not(pw_pb_next(&bad, &f));
    pw_buf_done(&b);
}
