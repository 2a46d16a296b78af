#include "base/pb.h"
#include "trace/span.h"

#include <criterion/criterion.h>
#include <string.h>

static const char good[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

static bool reads(const char *text, struct pw_trace_context *cx)
{
    return pw_trace_context_read(text, strlen(text), cx);
}

Test(trace, a_traceparent_is_read_and_written_as_it_was)
{
    struct pw_trace_context cx;
    char                    text[PW_TRACEPARENT_N + 1];

    cr_assert(reads(good, &cx));
    cr_assert_eq(memcmp(cx.trace, "\x0a\xf7\x65\x19\x16\xcd\x43\xdd\x84\x48\xeb\x21\x1c\x80\x31\x9c", 16), 0);
    cr_assert_eq(memcmp(cx.span, "\xb7\xad\x6b\x71\x69\x20\x33\x31", 8), 0);
    cr_assert(pw_trace_context_sampled(&cx));
    pw_trace_context_write(&cx, text);
    cr_assert_str_eq(text, good);
}

Test(trace, what_is_no_traceparent_is_refused)
{
    static const char *const bad[] = {
        "",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more", /* version 0 has no more */
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331_01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333g-01",
        "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01x",
    };
    struct pw_trace_context cx;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_assert_not(reads(bad[i], &cx), "%s", bad[i]);
}

Test(trace, a_later_version_is_read_as_far_as_it_is_known)
{
    struct pw_trace_context cx;
    char                    text[PW_TRACEPARENT_N + 1];

    cr_assert(reads("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-ff-later", &cx));
    cr_assert_eq(cx.flags, 3, "flags that are not known are not passed on");
    pw_trace_context_write(&cx, text);
    cr_assert_eq(memcmp(text, "00-", 3), 0);
}

Test(trace, a_tracestate_is_printable_and_not_too_long)
{
    char long_one[PW_TRACESTATE_MAX + 1];

    memset(long_one, 'a', sizeof(long_one));
    cr_assert(pw_trace_state_ok("a=1,b=2", 7));
    cr_assert(pw_trace_state_ok(long_one, PW_TRACESTATE_MAX));
    cr_assert_not(pw_trace_state_ok(long_one, PW_TRACESTATE_MAX + 1));
    cr_assert_not(pw_trace_state_ok("a=\n", 3));
    cr_assert_not(pw_trace_state_ok("", 0));
}

Test(trace, a_child_stays_in_its_trace_and_keeps_its_decision)
{
    struct pw_trace_dice    di = { .left = 0 };
    struct pw_trace_context parent, child;

    cr_assert(reads(good, &parent));
    pw_trace_context_start(&di, 0, &parent, &child);
    cr_assert_eq(memcmp(child.trace, parent.trace, 16), 0);
    cr_assert_neq(memcmp(child.span, parent.span, 8), 0);
    cr_assert(pw_trace_context_sampled(&child), "a share of 0 says nothing about other people's traces");
    parent.flags = 0;
    pw_trace_context_start(&di, PW_TRACE_SHARE_ALL, &parent, &child);
    cr_assert_not(pw_trace_context_sampled(&child));
}

Test(trace, a_share_of_the_roots_is_sampled)
{
    struct pw_trace_dice    di = { .left = 0 };
    struct pw_trace_context cx;
    unsigned                n = 0;

    for (int i = 0; i < 20000; i++) {
        pw_trace_context_start(&di, 25000, NULL, &cx);
        n += pw_trace_context_sampled(&cx);
    }
    cr_assert(n > 4500 && n < 5500, "%u of 20000 at 25 %%", n); /* eight standard deviations */
    pw_trace_context_start(&di, 0, NULL, &cx);
    cr_assert_not(pw_trace_context_sampled(&cx));
    pw_trace_context_start(&di, PW_TRACE_SHARE_ALL, NULL, &cx);
    cr_assert(pw_trace_context_sampled(&cx));
}

Test(trace, all_who_know_the_id_decide_alike)
{
    uint8_t low[16] = { [15] = 1 }, high[16];

    memset(high, 0xff, sizeof(high));
    cr_assert(pw_trace_in_share(low, 1));
    cr_assert_not(pw_trace_in_share(high, 99999));
    cr_assert(pw_trace_in_share(high, PW_TRACE_SHARE_ALL));
    cr_assert_not(pw_trace_in_share(low, 0));
}

Test(trace, ids_are_never_the_same_twice)
{
    struct pw_trace_dice di = { .left = 0 };
    uint8_t              ids[300][8];

    for (size_t i = 0; i < 300; i++) {
        pw_trace_roll(&di, ids[i], 8);
        for (size_t k = 0; k < i; k++)
            cr_assert_neq(memcmp(ids[i], ids[k], 8), 0);
    }
}

/* The bytes as the format's description has them: field numbers are what a receiver goes by. */
Test(trace, a_span_is_written_as_otlp_wants_it)
{
    struct pw_trace_context to = { { 3 }, { 4 }, 1 };
    struct pw_trace_span    sp = { .self     = { { 1 }, { 2 }, 1 },
                                   .parent   = (const uint8_t *)"\x05\x06\x07\x08\x09\x0a\x0b\x0c",
                                   .state    = "a=b",
                                   .state_n  = 3,
                                   .verb     = "v",
                                   .object   = "o\xff",
                                   .kind     = PW_TRACE_SPAN_CONSUMER,
                                   .begin_us = 1,
                                   .end_us   = 2,
                                   .links    = &to,
                                   .links_n  = 1,
                                   .error    = "e" };
    static const char       made[] =
        "\x12\x91\x01"                               /* ScopeSpans.spans */
        "\x0a\x10\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" /* trace_id */
        "\x12\x08\x02\0\0\0\0\0\0\0"                 /* span_id */
        "\x1a\x03"
        "a=b"                                                                                        /* trace_state */
        "\x22\x08\x05\x06\x07\x08\x09\x0a\x0b\x0c"                                                   /* parent_span_id */
        "\x85\x01\x01\0\0\0"                                                                         /* flags */
        "\x2a\x04v o?"                                                                               /* name */
        "\x30\x05"                                                                                   /* kind */
        "\x39\xe8\x03\0\0\0\0\0\0"                                                                   /* start_time_unix_nano */
        "\x41\xd0\x07\0\0\0\0\0\0"                                                                   /* end_time_unix_nano */
        "\x4a\x07\x0a\x01n\x12\x02\x18\x07"                                                          /* attributes: int */
        "\x6a\x21\x0a\x10\x03\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x12\x08\x04\0\0\0\0\0\0\0\x35\x01\0\0\0" /* links */
        "\x4a\x11\x0a\x0a"
        "error.type\x12\x03\x0a\x01"
        "e"
        "\x7a\x05\x12\x01"
        "e\x18\x02"; /* status */
    struct pw_buf out = { 0 };

    pw_trace_span_number(&sp, "n", 7);
    pw_trace_span_encode(&sp, &out);
    cr_assert_eq(out.n, sizeof(made) - 1, "%zu bytes, not %zu", out.n, sizeof(made) - 1);
    for (size_t i = 0; i < out.n; i++)
        cr_assert_eq((uint8_t)out.p[i], (uint8_t)made[i], "byte %zu is %02x", i, (uint8_t)out.p[i]);
    pw_buf_done(&out);
}

Test(trace, an_answer_says_how_many_were_not_taken)
{
    cr_assert_eq(pw_trace_span_rejected("\x0a\x02\x08\x05", 4), 5);
    cr_assert_eq(pw_trace_span_rejected("\x0a\x04\x12\x02no", 6), 0, "a warning");
    cr_assert_eq(pw_trace_span_rejected("", 0), 0);
    cr_assert_eq(pw_trace_span_rejected("<html>", 6), 0);
}
