#include "cli/audit_chain.h"

#include "base/err.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RUN_MAX 10000000 /* rejected or parked in a row; a changed row must not take all memory */

static void problem(struct pw_audit_walk *wa, int64_t offset, const char *fmt, ...) PW_PRINTF(3, 4);

static void problem(struct pw_audit_walk *wa, int64_t offset, const char *fmt, ...)
{
    char    text[400];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    wa->totals->problems++;
    wa->problem(wa->arg, wa->pl, offset, text);
}

/* ---- sets of offsets ---- */

static void grow(void **items, size_t n, size_t *cap, size_t each)
{
    if (n < *cap)
        return;
    *cap   = *cap ? *cap * 2 : 64;
    *items = realloc(*items, *cap * each);
    PW_ASSERT(*items != NULL);
}

static int by_number(const void *va, const void *vb)
{
    int64_t a = *(const int64_t *)va, b = *(const int64_t *)vb;

    return (a > b) - (a < b);
}

static void add_letter(struct pw_audit_walk *wa, int64_t offset)
{
    grow((void **)&wa->letters, wa->letters_n, &wa->letters_cap, sizeof(*wa->letters));
    wa->letters[wa->letters_n++] = offset;
}

static void park(struct pw_audit_walk *wa, int64_t offset)
{
    grow((void **)&wa->parked, wa->parked_n, &wa->parked_cap, sizeof(*wa->parked));
    wa->parked[wa->parked_n++] = offset; /* offsets ascend, and what a decision brings back is dropped first */
}

static bool unpark(struct pw_audit_walk *wa, int64_t offset)
{
    int64_t *at = wa->parked_n ? bsearch(&offset, wa->parked, wa->parked_n, sizeof(offset), by_number) : NULL;

    if (!at)
        return false;
    memmove(at, at + 1, (size_t)(wa->parked + wa->parked_n - at - 1) * sizeof(*at));
    wa->parked_n--;
    return true;
}

static void add_run(struct pw_audit_walk *wa, int64_t lo, int64_t hi, enum pw_fate fate)
{
    struct pw_audit_run *last = wa->runs_n ? &wa->runs[wa->runs_n - 1] : NULL;

    if (!wa->keep_runs)
        return;
    if (last && last->hi == lo && last->fate == fate) {
        last->hi = hi;
        return;
    }
    grow((void **)&wa->runs, wa->runs_n, &wa->runs_cap, sizeof(*wa->runs));
    PW_ASSERT(wa->runs != NULL);
    wa->runs[wa->runs_n++] = (struct pw_audit_run){ lo, hi, fate };
}

/* From here on offsets get another fate: what they had counts no more. */
static void go_back(struct pw_audit_walk *wa, int64_t to)
{
    while (wa->runs_n && wa->runs[wa->runs_n - 1].lo >= to)
        wa->runs_n--;
    if (wa->runs_n && wa->runs[wa->runs_n - 1].hi > to)
        wa->runs[wa->runs_n - 1].hi = to;
    while (wa->parked_n && wa->parked[wa->parked_n - 1] >= to)
        wa->parked_n--;
}

/* ---- one receipt by itself ---- */

static void check_hash(struct pw_audit_walk *wa, const struct pw_receipt *re, const unsigned char *seal)
{
    unsigned char made[PW_RECEIPT_HASH];

    if (seal)
        pw_receipt_seal(re, &wa->scratch, made);
    else
        pw_receipt_hash(re, &wa->scratch, made);
    if (memcmp(made, seal ? seal : re->hash, PW_RECEIPT_HASH) != 0)
        problem(wa, re->lo, "receipt %" PRId64 " was changed: its %s is not that of its fields", re->n, seal ? "seal" : "hash");
    if (!seal != (re->stands_for == 1))
        problem(wa, re->lo, "receipt %" PRId64 " stands for %" PRId64 " and %s", re->n, re->stands_for,
                seal ? "has a seal all the same" : "has no seal");
}

/* The map of [lo, hi): each offset once. Adds to count[]. */
static void walk_fates(struct pw_audit_walk *wa, const struct pw_receipt *re, int64_t count[PW_FATE_N])
{
    const char  *at   = re->fates;
    int64_t      from = re->lo, n = 0;
    enum pw_fate fate, last       = PW_FATE_N;
    bool         over = false;

    while (pw_fates_next(&at, &n, &fate)) {
        if (n <= 0 || fate == last || n > INT64_MAX - from) {
            problem(wa, from, "receipt %" PRId64 ": its fates are not in canonical form", re->n);
            return;
        }
        over = from + n > re->hi;
        if (over)
            break;
        if ((fate == PW_FATE_REJECTED || fate == PW_FATE_PARKED) && n > RUN_MAX) {
            problem(wa, from, "receipt %" PRId64 " has %" PRId64 " offsets of the fate %c in a row: no batch has so many",
                    re->n, n, PW_FATE_LETTERS[fate]);
            return;
        }
        count[fate] += n;
        add_run(wa, from, from + n, fate);
        for (int64_t i = 0; fate == PW_FATE_REJECTED && i < n; i++)
            add_letter(wa, from + i);
        for (int64_t i = 0; fate == PW_FATE_PARKED && i < n; i++)
            park(wa, from + i);
        from += n;
        last = fate;
    }
    if (*at && !over)
        problem(wa, from, "receipt %" PRId64 ": its fates cannot be read from '%.20s' on", re->n, at);
    else if (over || (re->hi > re->lo && from != re->hi))
        problem(wa, from, "receipt %" PRId64 " gives fates up to %" PRId64 ", its range is %" PRId64 " to %" PRId64, re->n,
                (over ? from + n : from) - 1, re->lo, re->hi - 1);
}

static void walk_resolved(struct pw_audit_walk *wa, const struct pw_receipt *re, int64_t count[PW_FATE_N])
{
    const char  *at = re->resolved;
    int64_t      offset;
    enum pw_fate fate;

    while (pw_resolved_next(&at, &offset, &fate)) {
        if (!unpark(wa, offset) && !wa->pl->from_middle)
            problem(wa, offset, "receipt %" PRId64 " resolves it, but it was not parked", re->n);
        count[fate]++;
        wa->totals->count[PW_FATE_PARKED]--;
        if (fate == PW_FATE_REJECTED)
            add_letter(wa, offset);
    }
    if (*at)
        problem(wa, re->lo, "receipt %" PRId64 ": its resolved messages cannot be read from '%.20s' on", re->n, at);
}

static void check_counts(struct pw_audit_walk *wa, const struct pw_receipt *re)
{
    static const char *const names[]          = { "applied", "skipped", "rejected", "duplicate", "parked", "holes", "passed" };
    int64_t                  count[PW_FATE_N] = { 0 };

    wa->letters_n = 0;
    walk_fates(wa, re, count);
    walk_resolved(wa, re, count);
    for (size_t i = 0; i < PW_FATE_N; i++)
        wa->totals->count[i] += count[i];
    count[PW_FATE_PASSED] += count[PW_FATE_UNRECORDED];
    for (size_t i = 0; i <= PW_FATE_PASSED; i++)
        if (count[i] != re->count[i])
            problem(wa, re->lo, "receipt %" PRId64 " counts %" PRId64 " %s, its fates %" PRId64, re->n, re->count[i], names[i],
                    count[i]);
}

/* ---- dead letters ---- */

static bool deleted_by_decision(const struct pw_audit_place *pl, int64_t offset)
{
    for (size_t i = 0; i < pl->decisions_n; i++)
        if (strcmp(pl->decisions[i].action, "dlq.delete") == 0 && pl->decisions[i].from <= offset &&
            offset <= pl->decisions[i].to)
            return true;
    return false;
}

static int by_offset(const void *va, const void *vb)
{
    const struct pw_audit_dead *a = va, *b = vb;

    return (a->offset > b->offset) - (a->offset < b->offset);
}

/* Rejected offsets and dead letters, one to one. */
static void check_letters(struct pw_audit_walk *wa, const struct pw_receipt *re, const struct pw_audit_dead *dead,
                          size_t dead_n)
{
    struct pw_audit_dead *have = NULL;
    size_t                n = 0, i = 0, k = 0, cap = 0;

    for (; i < dead_n; i++) {
        if (dead[i].seq <= re->outbox_from || dead[i].seq > re->outbox_to) {
            if (!wa->pl->from_middle || wa->n != re->n)
                problem(wa, dead[i].offset, "the dead letter with seq %" PRId64 " is in no receipt", dead[i].seq);
            continue;
        }
        grow((void **)&have, n, &cap, sizeof(*have));
        have[n++] = dead[i];
    }
    if (n)
        qsort(have, n, sizeof(*have), by_offset);
    if (wa->letters_n)
        qsort(wa->letters, wa->letters_n, sizeof(*wa->letters), by_number);
    for (i = 0; i < wa->letters_n || k < n;) {
        if (k == n || (i < wa->letters_n && wa->letters[i] < have[k].offset)) {
            if (deleted_by_decision(wa->pl, wa->letters[i]))
                wa->totals->letters_gone++;
            else
                problem(wa, wa->letters[i], "rejected by receipt %" PRId64 ", but its dead letter is gone", re->n);
            i++;
        } else if (i == wa->letters_n || wa->letters[i] > have[k].offset) {
            problem(wa, have[k].offset, "there is a dead letter, seq %" PRId64 ", but receipt %" PRId64 " did not reject it",
                    have[k].seq, re->n);
            k++;
        } else {
            i++;
            k++;
        }
    }
    free(have);
}

/* ---- the chain ---- */

static bool decided(const struct pw_audit_place *pl, const struct pw_receipt *re, const char *action)
{
    for (size_t i = 0; i < pl->decisions_n; i++) {
        const struct pw_audit_decision *de = &pl->decisions[i];

        if (de->id == re->decision)
            return strncmp(de->action, action, strlen(action)) == 0 && de->to == re->hi && (de->from == re->lo || de->from < 0);
    }
    return false;
}

static void check_kind(struct pw_audit_walk *wa, const struct pw_receipt *re)
{
    switch (re->kind) {
    case PW_RECEIPT_BREAK:
        problem(wa, re->lo,
                "receipt %" PRId64 " is a break: the position was at %" PRId64 " when the receipts ended at %" PRId64
                ": next_offset was changed without a decision, or receipts were removed",
                re->n, re->hi, re->lo);
        break;
    case PW_RECEIPT_DECISION:
        if (!decided(wa->pl, re, "offsets."))
            problem(wa, re->lo,
                    "receipt %" PRId64 " moves the position from %" PRId64 " to %" PRId64
                    ", but pawl.decisions has no row %" PRId64 " that says so",
                    re->n, re->lo, re->hi, re->decision);
        break;
    case PW_RECEIPT_BATCH:
        if (re->stands_for > 1 && !decided(wa->pl, re, "audit.compact"))
            problem(wa, re->lo, "receipt %" PRId64 " is folded, but pawl.decisions has no row %" PRId64 " that says so", re->n,
                    re->decision);
        break;
    case PW_RECEIPT_UNRECORDED:
    case PW_RECEIPT_KINDS: break;
    }
    if (re->hi < re->lo) {
        if (re->kind == PW_RECEIPT_BATCH)
            problem(wa, re->lo, "receipt %" PRId64 " is a batch and goes back to %" PRId64, re->n, re->hi);
        wa->totals->again += re->lo - re->hi;
        go_back(wa, re->hi);
    }
}

static int64_t redriven_in(const struct pw_audit_place *pl, int64_t above, int64_t upto)
{
    int64_t n = 0;

    for (size_t i = 0; i < pl->redriven_n; i++)
        n += pl->redriven[i] > above && pl->redriven[i] <= upto;
    return n;
}

static void check_outbox(struct pw_audit_walk *wa, int64_t offset, int64_t from, int64_t to)
{
    if (to < from)
        problem(wa, offset, "outbox rows from %" PRId64 " on are in two receipts", to + 1);
    else if (redriven_in(wa->pl, from, to) != to - from)
        problem(wa, offset,
                "outbox rows %" PRId64 " to %" PRId64 " are in no receipt, and no dead letter was sent again as one of them",
                from + 1, to);
}

static void missing(struct pw_audit_walk *wa, int64_t offset, int64_t from, int64_t to)
{
    if (from == to)
        problem(wa, offset, "receipt %" PRId64 " is missing", from);
    else
        problem(wa, offset, "receipts %" PRId64 " to %" PRId64 " are missing", from, to);
}

static void check_first(struct pw_audit_walk *wa, const struct pw_receipt *re)
{
    static const unsigned char zero[PW_RECEIPT_HASH];
    int64_t                    first = re->n - re->stands_for + 1;

    wa->first_lo = re->lo;
    if (wa->pl->from_middle)
        return;
    wa->first_lo = wa->pl->start_offset;
    if (first != 1)
        missing(wa, re->lo, 1, first - 1);
    else if (memcmp(re->prev_hash, zero, PW_RECEIPT_HASH) != 0)
        problem(wa, re->lo, "receipt %" PRId64 " is the first, but names one before it", re->n);
    if (re->lo != wa->pl->start_offset)
        problem(wa, re->lo, "the first receipt begins at %" PRId64 ", the partition at %" PRId64, re->lo, wa->pl->start_offset);
}

static void check_link(struct pw_audit_walk *wa, const struct pw_receipt *re)
{
    int64_t first = re->n - re->stands_for + 1;

    if (first <= wa->n)
        problem(wa, re->lo, "receipts %" PRId64 " to %" PRId64 " are there twice", first, wa->n);
    else if (first > wa->n + 1)
        missing(wa, wa->hi, wa->n + 1, first - 1);
    else if (memcmp(re->prev_hash, wa->hash, PW_RECEIPT_HASH) != 0)
        problem(wa, re->lo,
                "receipt %" PRId64 " does not continue receipt %" PRId64 ": one of them is not the one that was written", re->n,
                wa->n);
    if (first == wa->n + 1 && re->lo != wa->hi)
        problem(wa, re->lo, "receipt %" PRId64 " begins at %" PRId64 ", the one before ends at %" PRId64, re->n, re->lo,
                wa->hi);
    if (re->epoch < wa->epoch)
        problem(wa, re->lo, "receipt %" PRId64 " has the epoch %" PRId64 ", the one before %" PRId64, re->n, re->epoch,
                wa->epoch);
    if (first == wa->n + 1)
        check_outbox(wa, re->lo, wa->outbox_to, re->outbox_from);
}

void pw_audit_walk_receipt(struct pw_audit_walk *wa, const struct pw_receipt *re, const unsigned char *seal,
                           const struct pw_audit_dead *dead, size_t dead_n)
{
    bool first = !wa->begun;

    wa->begun = true;
    check_hash(wa, re, seal);
    if (first)
        check_first(wa, re);
    else
        check_link(wa, re);
    if (first && wa->pl->from_middle)
        wa->n = re->n; /* letters of receipts before it are not looked at */
    check_kind(wa, re);
    check_counts(wa, re);
    if (re->kind == PW_RECEIPT_BATCH || re->kind == PW_RECEIPT_DECISION)
        check_letters(wa, re, dead, dead_n);
    wa->totals->receipts += re->stands_for;
    wa->n         = re->n;
    wa->hi        = re->hi;
    wa->epoch     = re->epoch;
    wa->outbox_to = re->outbox_to;
    memcpy(wa->hash, re->hash, PW_RECEIPT_HASH);
}

/* ---- the end ---- */

static void check_parked(struct pw_audit_walk *wa)
{
    const struct pw_audit_place *pl = wa->pl;
    size_t                       i = 0, k = 0;

    while (i < wa->parked_n || k < pl->parked_n)
        if (k == pl->parked_n || (i < wa->parked_n && wa->parked[i] < pl->parked[k])) {
            problem(wa, wa->parked[i++], "parked, never resolved, and not in pawl.parked");
        } else if (i == wa->parked_n || wa->parked[i] > pl->parked[k]) {
            problem(wa, pl->parked[k++], "in pawl.parked, but no receipt parked it");
        } else {
            i++;
            k++;
        }
}

void pw_audit_walk_end(struct pw_audit_walk *wa, const struct pw_audit_dead *dead, size_t dead_n)
{
    const struct pw_audit_place *pl  = wa->pl;
    int64_t                      hi  = wa->begun ? wa->hi : pl->start_offset;
    bool                         off = pl->unrecorded_from >= 0;

    if (!wa->begun)
        wa->first_lo = pl->start_offset;
    if (wa->n < pl->receipt_n)
        missing(wa, hi, wa->n + 1, pl->receipt_n);
    else if (wa->n > pl->receipt_n)
        problem(wa, hi, "receipt %" PRId64 " is there, but the partition has written %" PRId64 " only", wa->n, pl->receipt_n);
    if (off && pl->unrecorded_from != hi)
        problem(wa, hi, "the receipts end at %" PRId64 ", but unrecorded_from is %" PRId64, hi, pl->unrecorded_from);
    else if (!off && pl->next_offset != hi)
        problem(wa, hi, "the receipts end at %" PRId64 ", next_offset is %" PRId64 ": it was changed without a decision", hi,
                pl->next_offset);
    wa->totals->offsets += pl->next_offset - wa->first_lo;
    if (pl->next_offset > hi) {
        wa->totals->count[PW_FATE_UNRECORDED] += pl->next_offset - hi;
        add_run(wa, hi, pl->next_offset, PW_FATE_UNRECORDED);
    } else if (pl->next_offset < hi) {
        wa->totals->again += hi - pl->next_offset;
        go_back(wa, pl->next_offset);
    }
    if (off)
        return;
    if (wa->begun || !pl->from_middle)
        check_outbox(wa, hi, wa->outbox_to, pl->outbox_seq);
    for (size_t i = 0; (wa->begun || !pl->from_middle) && i < dead_n; i++)
        problem(wa, dead[i].offset, "the dead letter with seq %" PRId64 " is in no receipt", dead[i].seq);
    if (!pl->from_middle)
        check_parked(wa);
}

void pw_audit_walk_done(struct pw_audit_walk *wa)
{
    free(wa->parked);
    free(wa->letters);
    free(wa->runs);
    wa->parked = wa->letters = NULL, wa->runs = NULL;
    pw_buf_done(&wa->scratch);
}
