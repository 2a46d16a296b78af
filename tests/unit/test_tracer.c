#include "base/clock.h"
#include "otlp_kit.h"
#include "trace/tracer.h"

#include <criterion/criterion.h>
#include <string.h>

static struct otlp       ot;
static struct pw_tracer *tr;
static bool              ended;

static void start(const char *const *answers, size_t n, const char *header)
{
    struct pw_tracer_settings se = {
        .header = header, .timeout_ms = 20000, .queue = 64, .service = "s", .instance = "i", .version = "1"
    };
    struct pw_err err;

    otlp_start(&ot, answers, n);
    se.endpoint = ot.endpoint;
    cr_assert_eq(pw_tracer_open(&se, &tr, &err), 0, "%s", err.text);
}

static void end(int timeout_ms)
{
    pw_tracer_stop(tr, timeout_ms);
    ended = true;
}

static void teardown(void)
{
    if (tr && !ended)
        pw_tracer_stop(tr, 0);
    tr = pw_tracer_free(tr);
    otlp_stop(&ot);
}

TestSuite(tracer, .fini = teardown, .timeout = 120);

static void put(size_t n)
{
    struct pw_trace_span sp = { .self = { { 1 }, { 2 }, 1 }, .verb = "v", .object = "o", .kind = PW_TRACE_SPAN_PRODUCER };

    while (n-- > 0)
        pw_tracer_put(tr, &sp);
}

static void counted(uint64_t sent, uint64_t dropped)
{
    cr_assert_eq(pw_tracer_sent(tr), sent, "%llu sent, not %llu", (unsigned long long)pw_tracer_sent(tr),
                 (unsigned long long)sent);
    cr_assert_eq(pw_tracer_dropped(tr), dropped, "%llu dropped, not %llu", (unsigned long long)pw_tracer_dropped(tr),
                 (unsigned long long)dropped);
}

Test(tracer, what_waits_at_the_end_is_sent_in_one_request)
{
    struct pw_buf spans[4];

    start(NULL, 0, "x-token: open sesame");
    put(3);
    end(20000);
    counted(3, 0);
    cr_assert_eq(ot.n, 1);
    cr_assert_eq(otlp_spans(&ot, 0, spans, 4), 3);
    cr_assert_not_null(strstr(ot.heads[0].p, "POST /v1/traces HTTP/1.1\r\n"));
    cr_assert_not_null(strstr(ot.heads[0].p, "\r\nContent-Type: application/x-protobuf\r\n"));
    cr_assert_not_null(strstr(ot.heads[0].p, "\r\nx-token: open sesame\r\n"));
    cr_assert_not_null(memmem(ot.bodies[0].p, ot.bodies[0].n, "service.name\x12\x03\x0a\x01s", 17));
}

Test(tracer, they_are_sent_while_it_runs)
{
    start(NULL, 0, NULL);
    put(1);
    otlp_await(&ot, 1);
    put(33);
    otlp_await(&ot, 2);
    end(20000);
    counted(34, 0);
}

Test(tracer, a_full_queue_drops_and_who_makes_spans_does_not_wait)
{
    static const char *const answers[] = { "" };

    start(answers, 1, NULL);
    put(32);
    otlp_await(&ot, 1); /* it is on its way, and gets no answer */
    put(500);
    counted(0, 500 - 64);
    end(0);
    counted(0, 532);
}

Test(tracer, a_receiver_that_is_too_busy_is_asked_again_when_it_says)
{
    static const char *const answers[] = { OTLP_ANSWER("503 Service Unavailable", "Retry-After: 1\r\n", ""),
                                           OTLP_ANSWER("429 Too Many Requests", "Retry-After: 1\r\n", "") };

    start(answers, 2, NULL);
    put(32);
    otlp_await(&ot, 3);
    cr_assert_geq(ot.at_us[1] - ot.at_us[0], 1000000);
    cr_assert_geq(ot.at_us[2] - ot.at_us[1], 1000000);
    cr_assert(ot.bodies[0].n == ot.bodies[2].n && memcmp(ot.bodies[0].p, ot.bodies[2].p, ot.bodies[0].n) == 0);
    end(20000);
    counted(32, 0);
}

Test(tracer, what_is_refused_is_not_sent_again)
{
    static const char *const answers[] = { OTLP_ANSWER("400 Bad Request", "", "") };

    start(answers, 1, NULL);
    put(32);
    otlp_await(&ot, 1);
    put(32);
    otlp_await(&ot, 2);
    end(20000);
    cr_assert_eq(ot.n, 2);
    counted(32, 32);
}

Test(tracer, what_a_receiver_leaves_out_is_counted)
{
    static const char *const answers[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\n\x0a\x02\x08\x05"
    };

    start(answers, 1, NULL);
    put(32);
    end(20000);
    counted(27, 5);
}

Test(tracer, the_end_does_not_wait_for_a_receiver_that_does_not_answer)
{
    static const char *const answers[] = { "" };
    int64_t                  began_us;

    start(answers, 1, NULL);
    put(40);
    otlp_await(&ot, 1);
    began_us = pw_clock_us();
    end(200);
    cr_assert_lt(pw_clock_us() - began_us, 10000000); /* a request may take 20 s */
    counted(0, 40);
}
