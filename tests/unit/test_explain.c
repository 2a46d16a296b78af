/* What is known of an event comes to a verdict, and is told as text and as JSON. */
#include "cli/explain.h"
#include "json_check.h"

#include <criterion/criterion.h>
#include <string.h>

#define OFFSET 41

static struct pw_life_event ev;
static struct pw_life       li;
static struct pw_life_fate  fates[8];
static struct pw_arena     *ar;
static struct pw_buf        out;

/* An ordinary record of a pipeline that is past it. */
static void setup(void)
{
    ar = pw_arena_new(0);
    li = (struct pw_life){ .pipeline        = "main",
                           .group           = "g",
                           .state           = "running",
                           .stored          = true,
                           .start_offset    = 10,
                           .next_offset     = 100,
                           .unrecorded_from = -1,
                           .fates           = fates,
                           .original        = { NULL, 0, -1 } };
    ev = (struct pw_life_event){ .at      = { "orders", 3, OFFSET },
                                 .record  = { .is = PW_RECORD_THERE, .low = 0, .end = 200, .timestamp_ms = 1700000000123 },
                                 .lives   = &li,
                                 .lives_n = 1 };
}

static void teardown(void)
{
    ar = pw_arena_free(ar);
    pw_buf_done(&out);
}

TestSuite(explain, .init = setup, .fini = teardown);

/* The next receipt of the partition. */
static void receipt(enum pw_receipt_kind kind, int64_t lo, int64_t hi, const char *what, const char *resolved)
{
    struct pw_receipt re = { .n           = (int64_t)li.fates_n + 1,
                             .kind        = kind,
                             .stands_for  = 1,
                             .lo          = lo,
                             .hi          = hi,
                             .fates       = what,
                             .resolved    = resolved,
                             .outbox_from = 4,
                             .outbox_to   = 6,
                             .at_us       = 1700000001000000 };

    li.fates_n += pw_life_fates_of(&re, OFFSET, &fates[li.fates_n]);
}

static void batch(int64_t lo, int64_t hi, const char *what)
{
    receipt(PW_RECEIPT_BATCH, lo, hi, what, "");
}

static void expect(const char *verdict)
{
    pw_life_fold(&li, &ev);
    cr_expect_str_eq(pw_life_verdict_name(li.verdict), verdict);
}

static const char *text(void)
{
    pw_life_fold(&li, &ev);
    pw_buf_reset(&out);
    pw_life_text(&ev, false, &out);
    return out.p;
}

static void expect_text(const char *says)
{
    cr_expect(strstr(text(), says), "no '%s' in: %s", says, out.p);
}

static void expect_json(const char *says)
{
    pw_life_fold(&li, &ev);
    pw_buf_reset(&out);
    pw_life_json(&ev, true, &out);
    pw_buf_puts(&out, "\n");
    cr_expect(json_is_line(out.p), "%s", out.p);
    cr_expect(strstr(out.p, says), "no '%s' in: %s", says, out.p);
}

/* ---- receipts ---- */

Test(explain, the_run_that_holds_the_offset_is_its_fate)
{
    static const struct {
        const char *fates, *verdict;
    } cases[] = { { "1H 1A 1R", "hole" },   { "2S 1A", "skipped" }, { "1R 1A 1H", "rejected" },
                  { "1D 9A", "duplicate" }, { "1J", "passed" },     { "1U", "unrecorded" },
                  { "60A", "applied" },     { "", "unknown" },      { "1X", "unknown" } };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        li.fates_n = 0;
        batch(OFFSET, OFFSET + 60, cases[i].fates);
        expect(cases[i].verdict);
    }
}

Test(explain, the_runs_before_and_behind_say_nothing_about_it)
{
    batch(OFFSET - 2, OFFSET + 2, "2R 1A 1S");
    expect("applied");
    cr_expect_eq(li.fates_n, 1);
    batch(OFFSET + 1, OFFSET + 2, "1R");
    batch(OFFSET - 1, OFFSET, "1R");
    cr_expect_eq(li.fates_n, 1);
}

Test(explain, what_leaves_the_park_is_what_became_of_it)
{
    batch(OFFSET, OFFSET + 1, "1P");
    expect("parked");
    receipt(PW_RECEIPT_BATCH, 90, 90, "", "410R 41A 4R");
    expect("applied");
    expect_text("batch     applied when it left the park, receipt 2 (");
    cr_expect_eq(li.fates_n, 2);
}

Test(explain, one_that_is_in_the_park_waits_whatever_receipts_say)
{
    batch(OFFSET, OFFSET + 1, "1P");
    li.parked = (struct pw_life_wait){ true, "0", "2026-03-01T00:00:00Z", NULL, NULL, "2026-02-28T00:00:00Z" };
    expect("parked");
    expect_text("parked    since 2026-02-28T00:00:00Z, not tried yet: an earlier message of its key waits\n");
    li.parked.attempts = "3", li.parked.code = "a.b", li.parked.reason = "no answer";
    expect_text("tried 3 times, not again before 2026-03-01T00:00:00Z: a.b: no answer\n");
}

Test(explain, a_decision_that_goes_back_makes_it_wait_again)
{
    batch(40, 100, "60A");
    receipt(PW_RECEIPT_DECISION, 100, 30, "", "");
    li.next_offset = 30;
    expect("waiting");
    expect_text(
        "main: not consumed yet: the position is 30, 11 before it; it was once, and comes again since the position was set back\n");
    expect_text("decision  the position went back from 100 to 30, receipt 2 (");
    batch(30, 100, "11A 1R 58A");
    li.next_offset = 100;
    expect("rejected");
    expect_json("\"fate\":\"set_back\"");
}

/* ---- without ---- */

Test(explain, without_a_receipt_the_position_tells)
{
    expect("unknown");
    li.unrecorded_from = 30;
    expect("unrecorded");
    li.unrecorded_from = 42;
    expect("unknown");
    li.start_offset = OFFSET + 1;
    expect("before_start");
    expect_text("main: never consumed: it is before the pipeline's start, 42\n");
    li.next_offset = OFFSET;
    expect("waiting");
    ev.record = (struct pw_life_record){ .is = PW_RECORD_BEYOND, .low = 0, .end = 41 };
    expect("beyond_end");
    li.retry = (struct pw_life_wait){ .is = true, .attempts = "2", .retry_at = "t" };
    expect("retrying");
    li.stored = false, li.retry.is = false;
    expect("beyond_end");
    ev.record.is = PW_RECORD_THERE;
    expect("not_begun");
}

Test(explain, a_dead_letter_is_a_verdict_where_nobody_keeps_receipts)
{
    struct pw_life_letter le = { .seq          = 5,
                                 .kind         = 2,
                                 .published    = -1,
                                 .at           = "2026-03-01T00:00:00Z",
                                 .code         = "a.b",
                                 .state        = "open",
                                 .target       = "dlq",
                                 .resolved_seq = -1,
                                 .in_topic     = { NULL, 0, -1 },
                                 .again_at     = { NULL, 0, -1 } };

    li.letters   = &le;
    li.letters_n = 1;
    expect("rejected");
    expect_text("main: rejected, a.b\n");
    expect_text("not known whether it is published\n");
    expect_json("\"published\":null,\"published_as\":null,\"state\":\"open\"");
}

Test(explain, a_message_that_was_sent_again_for_another_group_is_none_of_ours)
{
    struct pw_life_header h = { "pawl-redriven-for", (const unsigned char *)"other", 5 };

    ev.record.headers   = &h;
    ev.record.headers_n = 1;
    batch(OFFSET, OFFSET + 1, "1S");
    expect("foreign");
    h.value = (const unsigned char *)"g", h.n = 1;
    expect("skipped");
}

/* ---- telling ---- */

Test(explain, what_is_not_recorded_is_said)
{
    batch(OFFSET, OFFSET + 60, "60A");
    expect_text("worker    not known any more: claim 0 is older than what is kept\n");
    expect_text("outputs   none\n");
    expect_text("unknown   which rows of the plugin's own tables it wrote, and how often it was tried: nothing records that\n");
    li.outputs_why = "a broker is away";
    expect_text("outputs   a broker is away\n");
    fates[0].stands_for = 7;
    expect_text("batch     applied, in one of the 7 receipts that are folded into 1 (until 2023-11-14T22:13:21.000Z");
    cr_expect(!strstr(text(), "worker "), "of a folded one nobody knows it: %s", out.p);
    ev.record = (struct pw_life_record){ .is = PW_RECORD_REMOVED, .low = 50, .end = 200 };
    expect_text("record    removed by retention: the log begins at 50; what follows is from PostgreSQL\n");
}

Test(explain, an_event_that_came_of_it_stands_below)
{
    struct pw_life        second = { .pipeline = "next", .group = "h", .state = "running", .stored = true, .next_offset = 5 };
    struct pw_life_event  next = { .at = { "out", 0, 7 }, .record = { .is = PW_RECORD_NONE }, .lives = &second, .lives_n = 1 };
    struct pw_life_output ou   = { .seq = 5, .target = "out", .at = { "out", 0, 7 }, .next = &next };

    batch(OFFSET, OFFSET + 1, "1A");
    li.outputs   = &ou;
    li.outputs_n = 1;
    pw_life_fold(&second, &next);
    expect_text("    output    outbox row 5, for out, published as out[0]@7\n    out[0]@7\n        record    none");
    expect_text("      next: not consumed yet: the position is 5, 2 before it\n");
    expect_json("\"next\":{\"topic\":\"out\",\"partition\":0,\"offset\":7,");
}

Test(explain, what_a_record_holds_cannot_harm_a_terminal_or_the_json)
{
    struct pw_life_header h[] = { { "a\x1b[2J", (const unsigned char *)"\xff\x00", 2 }, { "null", NULL, 0 } };

    ev.record.headers   = h;
    ev.record.headers_n = 2;
    ev.record.key       = (const unsigned char *)"k\x1b\n";
    ev.record.key_n     = 3;
    ev.record.value     = (const unsigned char *)"secret";
    ev.record.value_n   = 6;
    cr_expect(!strchr(text(), 0x1b), "%s", out.p);
    cr_expect(!strstr(out.p, "secret"), "the payload is shown only where it is asked for: %s", out.p);
    expect_text("header    null: null\n");
    expect_text(", 6 bytes\n");
    expect_json("\"value\":\"secret\",\"value_hex\":\"736563726574\"");
}

/* ---- names ---- */

Test(explain, places_are_read_as_they_are_written)
{
    static const char *const bad[] = { "",
                                       "orders",
                                       "orders[3]",
                                       "orders@41",
                                       "[3]@41",
                                       "orders[]@41",
                                       "orders[3]41",
                                       "orders[3]@",
                                       "orders[x]@41",
                                       "orders[3]@4x",
                                       "orders[-1]@41",
                                       "orders[3]@99999999999999999999",
                                       "orders[9999999999]@4" };
    struct pw_life_place     at;
    const char              *group;
    int64_t                  seq;

    cr_assert(pw_life_place_parse(ar, "a.b_c-[0]@0", 11, &at));
    cr_expect_str_eq(at.topic, "a.b_c-");
    cr_assert(pw_life_place_parse(ar, "orders[3]@9223372036854775807", 29, &at));
    cr_expect_eq(at.offset, INT64_MAX);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_expect_not(pw_life_place_parse(ar, bad[i], strlen(bad[i]), &at), "'%s'", bad[i]);

    cr_assert(pw_life_source_parse(ar, "billing of may orders[3]@41 7", 29, &group, &at, &seq));
    cr_expect_str_eq(group, "billing of may");
    cr_expect_str_eq(at.topic, "orders");
    cr_expect_eq(at.offset, 41);
    cr_expect_eq(seq, 7);
    cr_expect_not(pw_life_source_parse(ar, "orders[3]@41 7", 14, &group, &at, &seq));
    cr_expect_not(pw_life_source_parse(ar, "g orders[3]@41", 14, &group, &at, &seq));
    cr_expect_not(pw_life_source_parse(ar, "", 0, &group, &at, &seq));
}
