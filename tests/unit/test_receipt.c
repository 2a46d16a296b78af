/* What is in a receipt, and what a walk over a partition's receipts finds. */
#include "cli/audit_chain.h"
#include "worker/receipt.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

/* ---- the row ---- */

static void expect_run(const char **at, int64_t n, enum pw_fate fate)
{
    int64_t      have;
    enum pw_fate what;

    cr_assert(pw_fates_next(at, &have, &what), "at '%s'", *at);
    cr_expect_eq(have, n);
    cr_expect_eq(what, fate);
}

Test(receipt, runs_are_read_as_they_were_written)
{
    struct pw_buf   b  = { 0 };
    struct pw_fates fs = { .out = &b };
    const char     *at;
    int64_t         n;
    enum pw_fate    fate;

    pw_fates_add(&fs, PW_FATE_APPLIED, 119);
    pw_fates_add(&fs, PW_FATE_APPLIED, 1);
    pw_fates_add(&fs, PW_FATE_HOLE, 0);
    pw_fates_add(&fs, PW_FATE_REJECTED, 1);
    pw_fates_add(&fs, PW_FATE_APPLIED, INT64_MAX - 200);
    pw_fates_end(&fs);
    cr_assert_str_eq(b.p, "120A 1R 9223372036854775607A");
    at = b.p;
    expect_run(&at, 120, PW_FATE_APPLIED);
    expect_run(&at, 1, PW_FATE_REJECTED);
    expect_run(&at, INT64_MAX - 200, PW_FATE_APPLIED);
    cr_assert_not(pw_fates_next(&at, &n, &fate));
    cr_assert_str_empty(at);
    pw_buf_done(&b);
}

Test(receipt, what_is_no_run_in_canonical_form_is_not_read)
{
    static const char *const bad[] = { "A",     "1",
                                       "1X",    "01A",
                                       "1A ",   " 1A",
                                       "-1A",   "+1A",
                                       "1a",    "1A1R",
                                       "1A,1R", "9223372036854775808A",
                                       "1 A",   "99999999999999999999A" };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const char  *at = bad[i];
        int64_t      n;
        enum pw_fate fate;

        while (pw_fates_next(&at, &n, &fate))
            ;
        cr_expect(*at, "'%s' was read to its end", bad[i]);
    }
}

/* ---- the chain ---- */

static struct pw_audit_totals totals;
static char                   problems[4000];

static void note(void *arg, const struct pw_audit_place *pl, int64_t offset, const char *text)
{
    size_t n = strlen(problems);

    (void)arg, (void)pl;
    (void)snprintf(problems + n, sizeof(problems) - n, "@%lld %s\n", (long long)offset, text);
}

static struct pw_receipt row(struct pw_receipt_tip *tip, int64_t lo, int64_t hi, const char *fates, const char *resolved)
{
    struct pw_receipt re = { .group       = "g",
                             .topic       = "t",
                             .n           = tip->n + 1,
                             .stands_for  = 1,
                             .lo          = lo,
                             .hi          = hi,
                             .epoch       = 1,
                             .fates       = fates,
                             .resolved    = resolved,
                             .outbox_from = tip->outbox_to };
    const char       *at = fates;
    int64_t           n;
    enum pw_fate      fate;
    struct pw_buf     scratch = { 0 };

    while (pw_fates_next(&at, &n, &fate))
        re.count[fate] += n;
    for (at = resolved; pw_resolved_next(&at, &n, &fate);)
        re.count[fate]++;
    re.outbox_to = re.outbox_from + re.count[PW_FATE_REJECTED];
    memcpy(re.prev_hash, tip->hash, sizeof(re.prev_hash));
    pw_receipt_hash(&re, &scratch, re.hash);
    pw_buf_done(&scratch);
    pw_receipt_append(tip, &re);
    return re;
}

static void walk(const struct pw_audit_place *pl, const struct pw_receipt *rows, size_t n, const struct pw_audit_dead *dead)
{
    struct pw_audit_walk wa = { .pl = pl, .totals = &totals, .problem = note, .keep_runs = true };

    totals      = (struct pw_audit_totals){ 0 };
    problems[0] = 0;
    for (size_t i = 0; i < n; i++) {
        size_t letters = (size_t)rows[i].count[PW_FATE_REJECTED];

        pw_audit_walk_receipt(&wa, &rows[i], NULL, dead, letters);
        dead += letters;
    }
    pw_audit_walk_end(&wa, NULL, 0);
    pw_audit_walk_done(&wa);
}

Test(receipt, parked_messages_have_two_facts_and_one_fate)
{
    static const int64_t              waits[] = { 4 };
    static const struct pw_audit_dead dead[]  = { { 1, 3 } };
    struct pw_receipt_tip             tip     = { .unrecorded_from = -1 };
    const struct pw_receipt           rows[]  = {
                   row(&tip, 0, 6, "2A 3P 1S", ""), /* 2, 3 and 4 */
                   row(&tip, 6, 6, "", "2A"),       /* nothing moves but a parked message */
                   row(&tip, 6, 8, "2D", "3R"),
    };
    struct pw_audit_place pl = { .group           = "g",
                                 .topic           = "t",
                                 .next_offset     = 8,
                                 .outbox_seq      = 1,
                                 .receipt_n       = 3,
                                 .unrecorded_from = -1,
                                 .parked          = waits,
                                 .parked_n        = 1 };

    walk(&pl, rows, 3, dead);
    cr_assert_str_empty(problems);
    cr_expect_eq(totals.offsets, 8);
    cr_expect_eq(totals.count[PW_FATE_APPLIED], 3);
    cr_expect_eq(totals.count[PW_FATE_SKIPPED], 1);
    cr_expect_eq(totals.count[PW_FATE_DUPLICATE], 2);
    cr_expect_eq(totals.count[PW_FATE_REJECTED], 1);
    cr_expect_eq(totals.count[PW_FATE_PARKED], 1);
    pl.parked_n = 0;
    walk(&pl, rows, 3, dead);
    cr_assert_str_eq(problems, "@4 parked, never resolved, and not in pawl.parked\n");
}

Test(receipt, a_message_that_was_not_parked_cannot_be_resolved)
{
    struct pw_receipt_tip   tip    = { .unrecorded_from = -1 };
    const struct pw_receipt rows[] = { row(&tip, 0, 3, "1A 1P 1A", ""), row(&tip, 3, 3, "", "1A"), row(&tip, 3, 3, "", "1A") };
    struct pw_audit_place   pl     = { .group = "g", .topic = "t", .next_offset = 3, .receipt_n = 3, .unrecorded_from = -1 };

    walk(&pl, rows, 3, NULL);
    cr_assert_str_eq(problems, "@1 receipt 3 resolves it, but it was not parked\n");
}

Test(receipt, outbox_rows_between_receipts_must_be_dead_letters_that_are_sent_again)
{
    static const int64_t  again[] = { 1, 2 };
    struct pw_receipt_tip tip     = { .unrecorded_from = -1 };
    struct pw_receipt     rows[2] = { row(&tip, 0, 3, "3A", "") };
    struct pw_audit_place pl      = { .group           = "g",
                                      .topic           = "t",
                                      .next_offset     = 5,
                                      .outbox_seq      = 2,
                                      .receipt_n       = 2,
                                      .unrecorded_from = -1,
                                      .redriven        = again,
                                      .redriven_n      = 2 };

    tip.outbox_to = 2;
    rows[1]       = row(&tip, 3, 5, "2A", "");
    walk(&pl, rows, 2, NULL);
    cr_assert_str_empty(problems);
    pl.redriven_n = 1;
    walk(&pl, rows, 2, NULL);
    cr_assert_str_eq(problems, "@3 outbox rows 1 to 2 are in no receipt, and no dead letter was sent again as one of them\n");
}

static enum pw_receipt_kind gap(struct pw_receipt_tip tip, int64_t lo, int64_t *ret_n)
{
    struct pw_arena  *ar = pw_arena_new(1024);
    struct pw_receipt re = { .kind = PW_RECEIPT_KINDS };

    (void)pw_receipt_gap(&tip, lo, ar, &re);
    *ret_n = pw_receipt_n(&tip, lo);
    pw_arena_free(ar);
    return re.kind;
}

Test(receipt, only_a_time_without_receipts_that_was_noted_is_no_break)
{
    struct pw_receipt_tip tip = { .n = 7, .stored_n = 7, .hi = 100, .unrecorded_from = -1 };
    int64_t               n;

    cr_expect_eq(gap(tip, 100, &n), PW_RECEIPT_KINDS, "it goes on where it was left");
    cr_expect_eq(n, 8);
    cr_expect_eq(gap(tip, 120, &n), PW_RECEIPT_BREAK, "somebody moved the position");
    cr_expect_eq(n, 9);
    cr_expect_eq(gap(tip, 80, &n), PW_RECEIPT_BREAK);
    tip.unrecorded_from = 100;
    cr_expect_eq(gap(tip, 120, &n), PW_RECEIPT_UNRECORDED);
    cr_expect_eq(n, 9);
    cr_expect_eq(gap(tip, 100, &n), PW_RECEIPT_KINDS, "off, and nothing happened");
    tip.unrecorded_from = 90;
    cr_expect_eq(gap(tip, 120, &n), PW_RECEIPT_BREAK, "they were off from elsewhere on");
    tip = (struct pw_receipt_tip){ .n = 7, .stored_n = 9, .hi = 100, .unrecorded_from = -1 };
    cr_expect_eq(gap(tip, 100, &n), PW_RECEIPT_BREAK, "the last two are gone");
    cr_expect_eq(n, 11);
    tip.stored_n = 6;
    cr_expect_eq(gap(tip, 100, &n), PW_RECEIPT_BREAK, "one is there that nobody wrote");
    cr_expect_eq(n, 9);
}
