/* What `pawl top` makes of two answers of the supervisor, in windows of any size. */
#include "cli/top_rows.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static struct pw_top_sample before, now;
static struct pw_top_view   view;
static struct pw_buf        out;

static void setup(void)
{
    pw_top_sample_init(&before);
    pw_top_sample_init(&now);
    view = (struct pw_top_view){ .sort = -1 };
}

static void teardown(void)
{
    pw_top_sample_done(&before);
    pw_top_sample_done(&now);
    pw_buf_done(&out);
}

TestSuite(top, .init = setup, .fini = teardown);

/* ---- canned answers ---- */

struct canned {
    int         ok, rejected, retried, next, cpu_ms, pid;
    const char *pstate, *wstate, *tripped, *step, *reason;
};

static void pipeline(struct pw_buf *b, const char *name, struct canned c)
{
    pw_buf_printf(
        b,
        "{\"name\":\"%s\",\"plugin\":{\"id\":\"x\",\"version\":\"1.4.0\"},\"tripped\":%s%s%s,"
        "\"reload\":{\"step\":%s%s%s,\"to\":\"1.5.0\"},\"dead_letters_open\":3,\"outbox_waiting\":%d,"
        "\"latency\":{\"limits_us\":[1000,10000],\"counts\":[%d,%d,0]},"
        "\"workers\":[{\"slot\":0,\"pid\":7,\"state\":\"%s\",\"cpu_ms\":%d,\"memory_bytes\":1048576,\"uptime_ms\":1000,"
        "\"restarts\":0,\"plugin\":\"org.example.x/1.4.0\",\"text\":\"last\\nwords\"}],"
        "\"partitions\":[{\"topic\":\"t\",\"partition\":0,\"worker\":0,\"state\":\"%s\",\"next_offset\":%d,\"end_offset\":99,"
        "\"lag\":9,\"oldest_age_ms\":2500,\"unpublished\":4,\"parked\":2,\"reason\":%s%s%s},"
        "{\"topic\":\"t\",\"partition\":1,\"worker\":null,\"state\":\"running\",\"next_offset\":null,\"end_offset\":null,"
        "\"lag\":null,\"oldest_age_ms\":null,\"unpublished\":0,\"parked\":null,\"reason\":null}],"
        "\"counters\":{\"events_ok\":%d,\"events_rejected\":%d,\"events_retried\":%d}}",
        name, c.tripped ? "{\"text\":\"" : "null", c.tripped ? c.tripped : "", c.tripped ? "\"}" : "", c.step ? "\"" : "null",
        c.step ? c.step : "", c.step ? "\"" : "", 12345, c.ok, c.rejected, c.wstate ? c.wstate : "running", c.cpu_ms,
        c.pstate ? c.pstate : "running", c.next, c.reason ? "\"" : "null", c.reason ? c.reason : "", c.reason ? "\"" : "", c.ok,
        c.rejected, c.retried);
}

static void answer(struct pw_top_sample *sa, int64_t at_us, const char *reasons, int n, const struct canned *list)
{
    static const char *const names[] = { "underwriting", "billing", "a" };
    struct pw_buf            b       = { 0 };
    struct pw_err            err;

    pw_buf_printf(&b,
                  "{\"version\":\"0.1.0\",\"pid\":%d,\"uptime_ms\":90061000,\"ready\":%s,\"draining\":false,\"reasons\":[%s],"
                  "\"pipelines\":[",
                  n ? list[0].pid : 1, *reasons ? "false" : "true", reasons);
    for (int i = 0; i < n; i++) {
        pw_buf_puts(&b, i ? "," : "");
        pipeline(&b, names[i], list[i]);
    }
    pw_buf_puts(&b, "]}\n");
    cr_assert_eq(pw_top_sample_read(sa, b.p, b.n, at_us, &err), 0, "%s", err.text);
    pw_buf_done(&b);
}

#define ANSWER(sa, at_us, ...)                                                                     \
    answer(sa, at_us, "", (int)(sizeof((struct canned[]){ __VA_ARGS__ }) / sizeof(struct canned)), \
           (struct canned[]){ __VA_ARGS__ })

static const char *screen(size_t width, size_t height)
{
    pw_buf_reset(&out);
    pw_buf_puts(&out, "");
    pw_top_screen(&view, &before, &now, width, height, &out);
    return out.p;
}

static void expect(const char *says)
{
    cr_expect(strstr(screen(200, 24), says), "no '%s' in:\n%s", says, out.p);
}

/* ---- rates ---- */

Test(top, rates_are_between_two_looks)
{
    ANSWER(&before, 1000000, { .ok = 1000, .rejected = 0, .next = 40, .cpu_ms = 100 });
    ANSWER(&now, 3000000, { .ok = 2980, .rejected = 20, .retried = 4, .next = 90, .cpu_ms = 600 });
    expect(
        "underwriting  running       1000     9     2.5s      1.00  960us         2.0         3        2     12345       1/1  "
        "1.4.0");
    view.what = PW_TOP_PARTITIONS;
    expect(">t[0]        underwriting  running         25     9     2.5s        0        2         4     90    99 ");
    expect("\n t[1]        underwriting  running          -     -        -        -        -         0      -     -\n");
    view.what = PW_TOP_WORKERS;
    expect("underwriting/0  running     7     25     1.0M  1.0s          0  1.4.0     last ");
}

Test(top, without_a_look_before_there_are_no_rates)
{
    ANSWER(&now, 3000000, { .ok = 2980, .rejected = 20 });
    expect("underwriting  running          -     9     2.5s         -  956us           -         3");
}

Test(top, counters_that_begin_anew_are_no_negative_rate)
{
    ANSWER(&before, 1000000, { .ok = 1000, .pid = 1 });
    ANSWER(&now, 2000000, { .ok = 10, .pid = 1 });
    expect("underwriting  running          -     9");
    ANSWER(&now, 2000000, { .ok = 5000, .pid = 2 }); /* another supervisor */
    expect("underwriting  running          -     9");
}

Test(top, a_quantile_is_found_between_the_limits)
{
    struct pw_top_pipeline was = { .limits_n = 2, .limits_us = { 100, 1000 }, .counts = { 10, 10, 0 } }, is = was;

    cr_expect_eq(pw_top_quantile(&was, &is, 0.95), -1, "nothing came");
    is.counts[0] += 50, is.counts[1] += 50;
    cr_expect_float_eq(pw_top_quantile(&was, &is, 0.5), 100, 0.01);
    cr_expect_float_eq(pw_top_quantile(&was, &is, 0.95), 910, 0.01);
    is.counts[2] += 100;
    cr_expect(isinf(pw_top_quantile(&was, &is, 0.95)), "beyond the last limit");
    is.counts[0] = 5;
    cr_expect_eq(pw_top_quantile(&was, &is, 0.95), -1, "begun anew");
    is.limits_n = 0;
    cr_expect_eq(pw_top_quantile(NULL, &is, 0.95), -1);
}

Test(top, times_are_short)
{
    static const struct {
        double      us;
        const char *text;
    } cases[] = { { -1, "-" },        { 0, "0us" },        { 850, "850us" },    { 4200, "4.2ms" },
                  { 42000, "42ms" },  { 1.3e6, "1.3s" },   { 5.9e7, "59s" },    { 7.27e8, "12m07s" },
                  { 7.2e9, "2h00m" }, { 1.8e11, "2d02h" }, { INFINITY, "ever" } };
    char text[32];

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        pw_top_duration(text, sizeof(text), cases[i].us);
        cr_expect_str_eq(text, cases[i].text);
    }
}

/* ---- states ---- */

Test(top, the_worst_is_told)
{
    ANSWER(&now, 1, { .pstate = "halted", .wstate = "running", .reason = "the log was cut" });
    expect("\nXunderwriting  HALTED");
    view.what = PW_TOP_PARTITIONS;
    expect("the log was cut ");
    view.what = PW_TOP_PIPELINES;
    ANSWER(&now, 1, { .pstate = "halted", .tripped = "a storm" });
    expect("\nXunderwriting  STOPPED");
    ANSWER(&now, 1, { .wstate = "down", .pstate = "retrying" });
    expect("\nXunderwriting  down");
    ANSWER(&now, 1, { .wstate = "paused", .pstate = "retrying" });
    expect("\n>underwriting  paused");
    ANSWER(&now, 1, { .pstate = "retrying" });
    expect("\n>underwriting  retrying");
    ANSWER(&now, 1, { .step = "probation" });
    expect("probation to 1.5.0 ");
}

Test(top, what_is_wrong_stands_above_the_table)
{
    struct canned c = { .ok = 1 };

    answer(&now, 1, "\"worker a/0 is down\\u001b[2J\",\"and more\"", 1, &c);
    expect("Tpawl 0.1.0  NOT READY  pid 0  up 1d01h  [pipelines] ");
    expect("\n!worker a/0 is down\\x1b[2J\n");
    view.trouble = "nothing runs here";
    expect("\n!nothing runs here\n");
}

/* ---- windows ---- */

Test(top, no_window_is_too_small)
{
    const struct canned c[3] = { { .ok = 1, .reason = "a long reason that says why, and goes on to say it" },
                                 { .ok = 2 },
                                 { .ok = 3 } };

    answer(&before, 1, "", 3, c);
    answer(&now, 2, "\"a reason that is longer than most of these windows are wide\"", 3, c);
    for (int what = 0; what < PW_TOP_VIEWS; what++)
        for (size_t width = 1; width <= 210; width += width < 30 ? 1 : 17)
            for (size_t height = 1; height <= 12; height++) {
                size_t lines = 0;

                view.what = (enum pw_top_what)what;
                for (const char *at = screen(width, height); *at; lines++) {
                    size_t n = strcspn(at, "\n");

                    cr_assert_leq(n, width + 1, "%zu x %zu: '%.*s'", width, height, (int)n, at);
                    cr_assert_geq(n, 1);
                    at += n + 1;
                }
                cr_assert_leq(lines, height);
            }
}

Test(top, what_matters_most_stays_in_a_narrow_window)
{
    ANSWER(&before, 1000000, { .ok = 0 });
    ANSWER(&now, 2000000, { .ok = 5 });
    cr_expect(strstr(screen(40, 24), "HPIPELINE      STATE     EVENTS/S   LAG\n"), "%s", out.p);
    cr_expect(strstr(out.p, "underwriting  running        5.0     9"), "%s", out.p);
    cr_expect(strstr(screen(24, 24), "HPIPELINE      STATE\n"), "%s", out.p);
    cr_expect(strstr(screen(8, 24), ">underwri\n"), "%s", out.p);
}

/* ---- keys ---- */

Test(top, rows_are_sorted_and_scrolled)
{
    ANSWER(&before, 1000000, { .ok = 0 }, { .ok = 0 }, { .ok = 0 });
    ANSWER(&now, 2000000, { .ok = 10 }, { .ok = 30 }, { .ok = 20 });
    for (int i = 0; i < 3; i++)
        cr_assert(pw_top_key(&view, 's'));
    cr_expect(strstr(screen(40, 24), "EVENTS/Sv") && strstr(out.p, ">billing") && strstr(strstr(out.p, ">billing"), "\n a ") &&
                  strstr(strstr(out.p, "\n a "), "\n underwriting"),
              "the largest first: %s", out.p);
    cr_assert(pw_top_key(&view, 'r'));
    cr_expect(strstr(screen(40, 24), "EVENTS/S^") && strstr(out.p, "\n>underwriting"), "%s", out.p);
    cr_assert(pw_top_key(&view, PW_TOP_DOWN));
    cr_assert(pw_top_key(&view, PW_TOP_DOWN));
    cr_assert(pw_top_key(&view, PW_TOP_DOWN)); /* there are three */
    cr_expect(strstr(screen(40, 5), "\n>billing") && !strstr(out.p, "underwriting"), "a window of one row: %s", out.p);
    cr_assert(pw_top_key(&view, PW_TOP_PAGE_UP));
    cr_expect(strstr(screen(40, 5), "\n>underwriting"), "%s", out.p);
    while (view.sort >= 0)
        cr_assert(pw_top_key(&view, 's'));
    cr_assert(pw_top_key(&view, PW_TOP_LEFT));
    cr_expect_eq(view.what, PW_TOP_WORKERS);
    cr_assert(pw_top_key(&view, '\t'));
    cr_expect_eq(view.what, PW_TOP_PIPELINES);
    cr_assert(pw_top_key(&view, 'p'));
    cr_expect(view.paused);
    cr_assert_not(pw_top_key(&view, 'q'));
}

/* ---- answers ---- */

Test(top, an_answer_that_is_none_is_refused_and_leaves_nothing)
{
    static const char *const bad[] = { "", "{", "[]", "{}", "{\"pipelines\":1}", "null", "{\"pipelines\":[]} x" };
    static const char        odd[] = "{\"pipelines\":[{},[],3]}";
    struct pw_err            err;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_expect_eq(pw_top_sample_read(&now, bad[i], strlen(bad[i]), 5, &err), -1, "'%s'", bad[i]);
        cr_expect_eq(now.at_us, 0);
        cr_expect_eq(now.pipelines_n, 0);
    }
    cr_expect_eq(pw_top_sample_read(&now, odd, strlen(odd), 5, &err), 0, "of another version, perhaps");
    (void)screen(80, 24);
    view.what = PW_TOP_WORKERS;
    (void)screen(80, 24);
}

Test(top, samples_do_not_grow)
{
    size_t bytes = 0;

    for (int i = 0; i < 200; i++) {
        ANSWER(&now, i + 1, { .ok = i, .reason = "some text" }, { .ok = i });
        if (i == 20)
            bytes = pw_arena_bytes(now.ar);
    }
    cr_expect_eq(pw_arena_bytes(now.ar), bytes);
}

Test(top, a_page_has_all_views_and_no_kinds)
{
    ANSWER(&before, 1000000, { .ok = 0 });
    ANSWER(&now, 2000000, { .ok = 5 });
    pw_top_page(&before, &now, &out);
    cr_expect(strncmp(out.p, "pawl 0.1.0  ready", 17) == 0, "%s", out.p);
    cr_expect(strstr(out.p, "\nPIPELINE ") && strstr(out.p, "\n\nPARTITION ") && strstr(out.p, "\n\nWORKER "), "%s", out.p);
    cr_expect(!strstr(out.p, " \n"), "%s", out.p);
}
