#include "worker/outbox.h"
#include "worker/publisher.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* ---- headers ---- */

struct bytes {
    unsigned char p[512];
    size_t        n;
};

static void put(struct bytes *b, const void *p, size_t n)
{
    cr_assert_leq(b->n + n, sizeof(b->p));
    memcpy(b->p + b->n, p, n);
    b->n += n;
}

static void put_u32(struct bytes *b, uint32_t v)
{
    unsigned char p[] = { (unsigned char)(v >> 24), (unsigned char)(v >> 16), (unsigned char)(v >> 8), (unsigned char)v };

    put(b, p, sizeof(p));
}

/* value NULL: null */
static void put_header(struct bytes *b, const char *name, const char *value, size_t n)
{
    put_u32(b, (uint32_t)strlen(name));
    put(b, name, strlen(name));
    put_u32(b, value ? (uint32_t)n : UINT32_MAX);
    if (value)
        put(b, value, n);
}

static rd_kafka_headers_t *read_back(const unsigned char *p, size_t n)
{
    unsigned char       *copy = malloc(n ? n : 1); /* of exactly that size */
    struct pw_outbox_row row  = { .kind = PW_OUTBOX_OUTPUT, .topic = "orders", .headers = copy, .headers_n = n };
    rd_kafka_headers_t  *hdrs;

    cr_assert_not_null(copy);
    if (n)
        memcpy(copy, p, n);
    hdrs = pw_outbox_headers(&row, "g", 0);
    free(copy);
    cr_assert_eq(rd_kafka_header_remove(hdrs, "pawl-source"), 0);
    return hdrs;
}

static void expect(const rd_kafka_headers_t *hdrs, size_t i, const char *name, const void *value, size_t n)
{
    const char *got_name;
    const void *got;
    size_t      got_n;

    cr_assert_eq(rd_kafka_header_get_all(hdrs, i, &got_name, &got, &got_n), 0, "header %zu is not there", i);
    cr_assert_str_eq(got_name, name);
    cr_assert_eq(got == NULL, value == NULL, "null is not empty: %s", name);
    cr_assert_eq(got_n, n, "%s", name);
    cr_assert(n == 0 || memcmp(got, value, n) == 0, "%s", name);
}

static void expect_text(const rd_kafka_headers_t *hdrs, size_t i, const char *name, const char *text)
{
    expect(hdrs, i, name, text, strlen(text));
}

static struct bytes three_headers(void)
{
    struct bytes b = { .n = 0 };

    put_u32(&b, 4);
    put_header(&b, "a", "xy", 2);
    put_header(&b, "none", NULL, 0);
    put_header(&b, "empty", "", 0);
    put_header(&b, "a", "x\0y", 3); /* a name may repeat, a value hold anything */
    return b;
}

Test(headers, come_back_as_they_were_stored)
{
    struct bytes        b    = three_headers();
    rd_kafka_headers_t *hdrs = read_back(b.p, b.n);

    cr_assert_eq(rd_kafka_header_cnt(hdrs), 4);
    expect(hdrs, 0, "a", "xy", 2);
    expect(hdrs, 1, "none", NULL, 0);
    expect(hdrs, 2, "empty", "", 0);
    expect(hdrs, 3, "a", "x\0y", 3);
    rd_kafka_headers_destroy(hdrs);
}

Test(headers, are_encoded_as_the_documentation_says)
{
    static const unsigned char documented[] = { 0, 0, 0, 1, 0, 0, 0, 1, 0x61, 0, 0, 0, 2, 0x78, 0x79 };
    rd_kafka_headers_t        *hdrs         = read_back(documented, sizeof(documented));

    cr_assert_eq(rd_kafka_header_cnt(hdrs), 1);
    expect(hdrs, 0, "a", "xy", 2);
    rd_kafka_headers_destroy(hdrs);
}

Test(headers, that_are_cut_off_end_before_the_cut)
{
    struct bytes b      = three_headers();
    size_t       ends[] = { 4 + 4 + 1 + 4 + 2, 0, 0, 0 };

    ends[1] = ends[0] + 4 + 4 + 4;
    ends[2] = ends[1] + 4 + 5 + 4;
    ends[3] = b.n;
    for (size_t n = 0; n <= b.n; n++) {
        rd_kafka_headers_t *hdrs = read_back(b.p, n);
        size_t              want = 0;

        while (want < 4 && ends[want] <= n)
            want++;
        cr_assert_eq(rd_kafka_header_cnt(hdrs), want, "%zu of %zu bytes", n, b.n);
        rd_kafka_headers_destroy(hdrs);
    }
}

Test(headers, with_lengths_beyond_their_end_are_not_followed)
{
    static const uint32_t wild[] = { 2, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff };

    for (size_t i = 0; i < sizeof(wild) / sizeof(wild[0]); i++) {
        struct bytes        name = { .n = 0 }, value = { .n = 0 };
        rd_kafka_headers_t *hdrs;

        put_u32(&name, 1);
        put_u32(&name, wild[i]);
        put(&name, "a", 1);
        hdrs = read_back(name.p, name.n);
        cr_assert_eq(rd_kafka_header_cnt(hdrs), 0, "a name of %u bytes", wild[i]);
        rd_kafka_headers_destroy(hdrs);
        put_u32(&value, UINT32_MAX); /* more than there are */
        put_u32(&value, 1);
        put(&value, "a", 1);
        put_u32(&value, wild[i]);
        put(&value, "v", 1);
        hdrs = read_back(value.p, value.n);
        cr_assert_eq(rd_kafka_header_cnt(hdrs), wild[i] == UINT32_MAX ? 1 : 0, "a value of %u bytes", wild[i]);
        rd_kafka_headers_destroy(hdrs);
    }
}

Test(headers, of_a_dead_letter_follow_the_original_ones)
{
    struct bytes         b   = { .n = 0 };
    struct pw_outbox_row row = { .topic      = "orders",
                                 .partition  = 3,
                                 .offset     = 41,
                                 .seq        = 7,
                                 .kind       = PW_OUTBOX_DEAD,
                                 .target     = "dlq",
                                 .headers    = b.p,
                                 .code       = "test.bad",
                                 .reason     = "because",
                                 .plugin     = "p 1.0",
                                 .attempt    = 2,
                                 .created_us = 1700000000000000 };
    rd_kafka_headers_t  *hdrs;

    put_u32(&b, 1);
    put_header(&b, "a", "xy", 2);
    row.headers_n = b.n;
    hdrs          = pw_outbox_headers(&row, "billing", 0);
    cr_assert_eq(rd_kafka_header_cnt(hdrs), 10);
    expect(hdrs, 0, "a", "xy", 2);
    expect_text(hdrs, 1, "pawl-group", "billing");
    expect_text(hdrs, 2, "pawl-topic", "orders");
    expect_text(hdrs, 3, "pawl-partition", "3");
    expect_text(hdrs, 4, "pawl-offset", "41");
    expect_text(hdrs, 5, "pawl-plugin", "p 1.0");
    expect_text(hdrs, 6, "pawl-attempts", "2");
    expect_text(hdrs, 7, "pawl-at-us", "1700000000000000");
    expect_text(hdrs, 8, "pawl-code", "test.bad");
    expect_text(hdrs, 9, "pawl-reason", "because");
    rd_kafka_headers_destroy(hdrs);
    row.signal = "SIGSEGV";
    row.trace  = "ledger.so+0x10 handle+0x4\n";
    hdrs       = pw_outbox_headers(&row, "billing", 0);
    cr_assert_eq(rd_kafka_header_cnt(hdrs), 12);
    expect_text(hdrs, 10, "pawl-signal", "SIGSEGV");
    expect_text(hdrs, 11, "pawl-backtrace", "ledger.so+0x10 handle+0x4\n");
    rd_kafka_headers_destroy(hdrs);
}

Test(headers, of_an_output_by_reference_say_what_it_was)
{
    struct pw_outbox_row row  = { .topic     = "orders",
                                  .partition = 3,
                                  .offset    = 41,
                                  .seq       = 7,
                                  .kind      = PW_OUTBOX_OUTPUT,
                                  .target    = "out",
                                  .key_n     = 4,
                                  .value_n   = 2000000,
                                  .attempt   = 1 };
    rd_kafka_headers_t  *hdrs = pw_outbox_headers(&row, "billing", 1);
    const void          *value;
    size_t               n;

    cr_assert_eq(rd_kafka_header_get_last(hdrs, "pawl-code", &value, &n), 0);
    cr_assert(n == 16 && memcmp(value, "output.too_large", n) == 0);
    cr_assert_eq(rd_kafka_header_get_last(hdrs, "pawl-target", &value, &n), 0);
    cr_assert(n == 3 && memcmp(value, "out", n) == 0);
    cr_assert_eq(rd_kafka_header_get_last(hdrs, "pawl-bytes", &value, &n), 0);
    cr_assert(n == 7 && memcmp(value, "2000004", n) == 0);
    cr_assert_eq(rd_kafka_header_get_last(hdrs, "pawl-seq", &value, &n), 0);
    cr_assert(n == 1 && memcmp(value, "7", n) == 0);
    cr_assert_neq(rd_kafka_header_get_last(hdrs, "pawl-reason", &value, &n), 0);
    rd_kafka_headers_destroy(hdrs);
}

Test(publisher, an_output_says_which_message_and_row_it_comes_from)
{
    struct bytes         b   = { .n = 0 };
    struct pw_outbox_row row = {
        .kind = PW_OUTBOX_OUTPUT, .topic = "orders", .partition = 3, .offset = 41, .seq = 7, .headers = b.p
    };
    rd_kafka_headers_t *hdrs;

    put_u32(&b, 2);
    put_header(&b, "pawl-source", "g0 earlier[0]@1 1", 17); /* the plugin passes its message's headers on */
    put_header(&b, "a", "xy", 2);
    row.headers_n = b.n;
    hdrs          = pw_outbox_headers(&row, "billing of may", 0);
    cr_assert_eq(rd_kafka_header_cnt(hdrs), 2);
    expect_text(hdrs, 0, "a", "xy");
    expect_text(hdrs, 1, "pawl-source", "billing of may orders[3]@41 7");
    rd_kafka_headers_destroy(hdrs);

    row.kind = PW_OUTBOX_REDRIVEN; /* the record as it came, which was an output once */
    hdrs     = pw_outbox_headers(&row, "billing of may", 0);
    expect_text(hdrs, 0, "pawl-source", "g0 earlier[0]@1 1");
    rd_kafka_headers_destroy(hdrs);
}
