/* What a record that was sent again says about itself, and whom it concerns. */
#include "small_plugin.h"
#include "worker/outbox.h"
#include "worker/redrive.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define H(name, value)           \
    {                            \
        { name, strlen(name) },  \
        {                        \
            value, strlen(value) \
        }                        \
    }

static bool foreign(const pawl_header *headers, size_t n)
{
    pawl_msg m = { .topic = PAWL_STR("orders"), .partition = 3, .offset = 90, .headers = headers, .n_headers = (uint32_t)n };

    return pw_redrive_foreign(&m, "billing");
}

Test(redrive, for_another_group_is_not_for_us)
{
    pawl_header ours[] = { H("pawl-redriven", "1"), H("pawl-redriven-for", "billing"), H("pawl-redriven-from", "orders[3]@7") };
    pawl_header theirs[] = { H("pawl-redriven", "1"), H("pawl-redriven-for", "billin"),
                             H("pawl-redriven-from", "orders[3]@7") };
    pawl_header longer[] = { H("pawl-redriven-for", "billing2"), H("pawl-redriven-from", "orders[3]@7") };
    pawl_header null[]   = { { PAWL_STR("pawl-redriven-for"), { NULL, 0 } }, H("pawl-redriven-from", "orders[3]@7") };

    cr_expect_not(foreign(ours, 3));
    cr_expect(foreign(theirs, 3));
    cr_expect(foreign(longer, 2));
    cr_expect(foreign(null, 2));
    cr_expect_not(foreign(NULL, 0));
}

Test(redrive, of_a_copy_in_another_place_is_a_record_like_any_other)
{
    static const char *const elsewhere[] = { "orders.dlq[3]@7", "orders[4]@7", "orders[33]@7", "order[3]@7", "orders[3]", "",
                                             "orders[3]@" };

    for (size_t i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++) {
        pawl_header copy[] = { H("pawl-redriven-for", "other"), H("pawl-redriven-from", elsewhere[i]) };

        cr_expect_not(foreign(copy, 2), "%s", elsewhere[i]);
        cr_expect_not(foreign(copy, 1), "without a place");
    }
}

Test(redrive, of_the_last_header_of_a_name_counts)
{
    pawl_header forged[] = { H("pawl-redriven-for", "other"), H("pawl-redriven-from", "orders[3]@7"),
                             H("pawl-redriven-for", "billing") };

    cr_expect_not(foreign(forged, 3));
}

Test(redrive, of_others_is_decided_without_the_plugin)
{
    pawl_header     theirs[] = { H("pawl-redriven-for", "other"), H("pawl-redriven-from", "t[0]@1") };
    struct pw_item  a        = { .msg = { .topic = PAWL_STR("t"), .headers = theirs, .n_headers = 2 } };
    struct pw_item  b        = { .msg = { .topic = PAWL_STR("t") } };
    struct pw_item  c        = { .msg     = { .topic = PAWL_STR("t"), .headers = theirs, .n_headers = 2 },
                                 .done    = true,
                                 .verdict = PAWL_REJECT };
    struct pw_item *items[]  = { &a, &b, &c };
    struct pw_batch ba       = { .items = items, .n = 3 };

    pw_redrive_skip_foreign(&ba, "billing");
    cr_expect(a.foreign && a.forced && a.done && a.verdict == PAWL_SKIP);
    cr_expect_not(b.foreign || b.done);
    cr_expect(!c.foreign && c.verdict == PAWL_REJECT, "what is decided stays");
}

/* ---- headers of the record ---- */

static size_t stored(unsigned char *p, const char *const (*headers)[2], size_t n)
{
    size_t at = 4;

    memset(p, 0, 4);
    p[3] = (unsigned char)n;
    for (size_t i = 0; i < n; i++) {
        for (int k = 0; k < 2; k++) {
            size_t len = strlen(headers[i][k]);

            memset(p + at, 0, 4);
            p[at + 3] = (unsigned char)len;
            memcpy(p + at + 4, headers[i][k], len);
            at += 4 + len;
        }
    }
    return at;
}

static void expect_header(const rd_kafka_headers_t *hdrs, size_t i, const char *name, const char *value)
{
    const char *got_name;
    const void *got;
    size_t      n;

    cr_assert_eq(rd_kafka_header_get_all(hdrs, i, &got_name, &got, &n), 0, "header %zu is not there", i);
    cr_expect_str_eq(got_name, name);
    cr_expect(n == strlen(value) && memcmp(got, value, n) == 0, "%s is %.*s", name, (int)n, (const char *)got);
}

Test(redrive, counts_how_often_and_keeps_the_original_headers)
{
    static const char *const first[][2]  = { { "id", "17" } };
    static const char *const second[][2] = {
        { "id", "17" }, { "pawl-redriven", "9" }, { "pawl-redriven-for", "billing" }, { "pawl-redriven-from", "orders[3]@7" }
    };
    unsigned char        p[256];
    struct pw_outbox_row row = {
        .topic = "orders", .partition = 3, .offset = 41, .kind = PW_OUTBOX_REDRIVEN, .target = "orders", .headers = p
    };
    rd_kafka_headers_t *hdrs;

    row.headers_n = stored(p, first, 1);
    hdrs          = pw_outbox_headers(&row, "billing", 0);
    cr_assert_eq(rd_kafka_header_cnt(hdrs), 4);
    expect_header(hdrs, 0, "id", "17");
    expect_header(hdrs, 1, "pawl-redriven", "1");
    expect_header(hdrs, 2, "pawl-redriven-for", "billing");
    expect_header(hdrs, 3, "pawl-redriven-from", "orders[3]@41");
    rd_kafka_headers_destroy(hdrs);

    row.headers_n = stored(p, second, 4);
    hdrs          = pw_outbox_headers(&row, "billing", 0);
    cr_assert_eq(rd_kafka_header_cnt(hdrs), 4, "what an earlier redrive said is replaced");
    expect_header(hdrs, 1, "pawl-redriven", "10");
    expect_header(hdrs, 3, "pawl-redriven-from", "orders[3]@41");
    rd_kafka_headers_destroy(hdrs);

    row.kind = PW_OUTBOX_DEAD; /* it failed again: the dead letter says so */
    hdrs     = pw_outbox_headers(&row, "billing", 0);
    expect_header(hdrs, 1, "pawl-redriven", "9");
    expect_header(hdrs, 3, "pawl-redriven-from", "orders[3]@7");
    rd_kafka_headers_destroy(hdrs);
}

Test(redrive, takes_nonsense_for_the_first_time)
{
    static const char *const nonsense[] = { "", "x", "-3", "99999999999999999999", "123456789012" };

    for (size_t i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++) {
        const char *const headers[][2] = { { "pawl-redriven", nonsense[i] } };
        unsigned char     p[64];
        size_t            n = stored(p, headers, 1);

        cr_expect_eq(pw_outbox_redriven(p, n), 0, "%s", nonsense[i]);
    }
    cr_expect_eq(pw_outbox_redriven(NULL, 0), 0);
}

Test(redrive, that_is_too_large_is_reported_as_such)
{
    struct pw_outbox_row row = { .topic = "orders", .kind = PW_OUTBOX_REDRIVEN, .target = "orders" };
    rd_kafka_headers_t  *hdrs;
    const void          *value;
    size_t               n;

    for (int i = 0; i < 2; i++) { /* before and after it is marked in PostgreSQL */
        hdrs = pw_outbox_headers(&row, "billing", 1);
        cr_assert_eq(rd_kafka_header_get_last(hdrs, "pawl-code", &value, &n), 0);
        cr_expect(n == 17 && memcmp(value, "redrive.too_large", n) == 0);
        rd_kafka_headers_destroy(hdrs);
        row.kind = PW_OUTBOX_REFUSED;
        row.code = "redrive.too_large";
    }
}
