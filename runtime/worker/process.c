/* Batches. Every effect of a batch's messages and their offsets are in one PostgreSQL transaction, or nowhere. */
#include "base/clock.h"
#include "base/fault.h"
#include "observe/log.h"
#include "supervisor/supervisor.h"
#include "worker/redrive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HANDLE_BUDGET_US 1000000 /* of one wave: beyond it the batch ends, so that the transaction stays short */
#define WAVES_BUDGET_US  5000000 /* of all waves of a batch */

static void mark(struct pw_worker *w, enum pw_bb_phase phase, const struct pw_batch *ba, size_t i, size_t *range)
{
    const struct pw_item *it = ba->items[i];

    while (i >= ba->ranges[*range].first + ba->ranges[*range].n)
        (*range)++;
    pw_bb_mark_set(w->bb, phase, ba->ranges[*range].pt->topic_index, it->msg.partition, it->msg.offset, it->msg.attempt);
}

/* ---- plan and handle ---- */

static void judge(struct pw_worker *w, struct pw_batch *ba, size_t i, struct pw_stop *stop)
{
    const struct pw_item *it = ba->items[i];

    if (it->verdict == PAWL_RETRY && !pw_worker_park(w, ba, i))
        *stop = (struct pw_stop){ PW_STOP_RETRY, i };
    else if (it->verdict == PAWL_FATAL)
        *stop = (struct pw_stop){ PW_STOP_FATAL, i };
    else if (it->verdict == PAWL_REJECT && !w->pipe->dlq_topic && !(it->unparked && pw_worker_park(w, ba, i)))
        *stop = (struct pw_stop){ PW_STOP_NO_DLQ, i };
}

static int64_t clock_of(const struct pw_worker *w)
{
    return w->timed ? pw_clock_us() : 0;
}

/* What stands around the plugin, then the plugin. again: it had asked for more rows, so they have let it pass. */
static pawl_rc ask_plan(const struct pw_worker *w, struct pw_batch *ba, struct pw_item *it, bool again)
{
    int64_t began_us = clock_of(w);
    pawl_rc rc       = w->chain.before && !again ? pw_chain_before(&w->chain, &ba->calls, it) : PAWL_OK;

    if (rc == PAWL_OK)
        rc = pw_call_plan(&ba->calls, it);
    it->took_us += clock_of(w) - began_us;
    return rc;
}

static void ask_handle(const struct pw_worker *w, struct pw_batch *ba, struct pw_item *it)
{
    int64_t began_us = clock_of(w);

    pw_call_handle(&ba->calls, it);
    if (w->chain.after)
        pw_chain_after(&w->chain, &ba->calls, it);
    it->took_us += clock_of(w) - began_us;
}

/* Asks the plugin which rows the open messages need. Returns how many asked for more before they can tell. */
static size_t plan_open(struct pw_worker *w, struct pw_batch *ba, bool only_more, struct pw_stop *stop)
{
    size_t more = 0, range = 0;

    for (size_t i = 0; i < ba->n && stop->kind == PW_STOP_NONE; i++) {
        struct pw_item *it = ba->items[i];
        pawl_rc         rc;

        if (it->done || (only_more && it->verdict != PAWL_MORE))
            continue;
        if (!only_more)
            pw_item_reset(it);
        mark(w, PW_BB_PLAN, ba, i, &range);
        rc = ask_plan(w, ba, it, only_more);
        if (rc == PAWL_MORE) {
            it->verdict = PAWL_MORE;
            more++;
            continue;
        }
        it->verdict = rc;
        /* what was decided on rows stands only if the rows do, and of a copy nothing stands: handle_wave() looks */
        it->done = rc != PAWL_OK && !it->reads && !it->event_id;
        if (it->done)
            judge(w, ba, i, stop);
    }
    pw_bb_mark_clear(w->bb);
    return more;
}

/* Plans that need rows before they know what else they need: a trip more for the batch, not for the message. */
static int plan_rest(struct pw_worker *w, struct pw_batch *ba, size_t more, struct pw_stop *stop, struct pw_err *err)
{
    while (more && stop->kind == PW_STOP_NONE) {
        more = plan_open(w, ba, true, stop);
        if (stop->kind == PW_STOP_NONE && pw_tx_exchange(&w->tx, ba, err) < 0)
            return -1;
    }
    return 0;
}

/* Handles what can be handled on the rows of this wave; returns how many messages wait for the next. */
static size_t handle_wave(struct pw_worker *w, struct pw_batch *ba, struct pw_waves *wv, int64_t end_ns, struct pw_stop *stop)
{
    int64_t wave_end_ns = pw_clock_coarse_ns() + (int64_t)HANDLE_BUDGET_US * 1000;
    size_t  waiting = 0, first_waiting = 0, range = 0;

    for (size_t i = 0; i < ba->n && stop->kind == PW_STOP_NONE; i++) {
        struct pw_item     *it = ba->items[i];
        enum pw_dedupe_fate fate;

        if (it->done)
            continue;
        if (i > 0 && !waiting && pw_clock_coarse_ns() > (wave_end_ns < end_ns ? wave_end_ns : end_ns)) {
            *stop = (struct pw_stop){ PW_STOP_SLOW, i }; /* all before it are done: they make a batch */
            break;
        }
        fate = it->event_id ? pw_dedupe_look(it) : PW_DEDUPE_FIRST;
        if (fate == PW_DEDUPE_COPY) {
            pw_dedupe_mark(it);
            continue;
        }
        switch (pw_worker_park_behind(w, ba, i)) {
        case PW_PARK_NO: break;
        case PW_PARK_BEHIND: continue;
        case PW_PARK_FULL: *stop = (struct pw_stop){ PW_STOP_FULL, i }; continue;
        }
        if (fate == PW_DEDUPE_WAITS || pw_waves_conflict(wv, it)) {
            pw_waves_defer(wv, it);
            first_waiting = waiting++ ? first_waiting : i;
            continue;
        }
        if (it->verdict != PAWL_OK) { /* plan() decided, and on rows that nobody has changed since */
            it->done = true;
            judge(w, ba, i, stop);
            continue;
        }
        if (waiting && first_waiting > 0 && pw_clock_coarse_ns() > wave_end_ns) {
            *stop = (struct pw_stop){ PW_STOP_SLOW, first_waiting };
            break;
        }
        mark(w, PW_BB_HANDLE, ba, i, &range);
        ask_handle(w, ba, it);
        it->done = true;
        pw_waves_add(wv, it);
        judge(w, ba, i, stop);
    }
    pw_bb_mark_clear(w->bb);
    return waiting;
}

static int handle_all(struct pw_worker *w, struct pw_batch *ba, struct pw_stop *stop, struct pw_err *err)
{
    struct pw_waves *wv     = pw_waves_new(ba);
    int64_t          end_ns = pw_clock_coarse_ns() + (int64_t)WAVES_BUDGET_US * 1000;

    while (handle_wave(w, ba, wv, end_ns, stop) > 0 && stop->kind == PW_STOP_NONE) {
        size_t more = plan_open(w, ba, false, stop);

        if (stop->kind != PW_STOP_NONE)
            break;
        pw_waves_flushed(wv);
        if (pw_tx_exchange(&w->tx, ba, err) < 0 || plan_rest(w, ba, more, stop, err) < 0)
            return -1;
        ba->waves++;
    }
    if (stop->kind == PW_STOP_NONE && !pw_worker_park_rest(w, ba, &stop->at))
        stop->kind = PW_STOP_FULL;
    return 0;
}

/* ---- one batch ---- */

static void count_verdicts(struct pw_worker *w, const struct pw_batch *ba)
{
    int64_t now_ms = pw_clock_wall_us() / 1000;

    for (size_t i = 0; i < ba->n; i++) {
        const struct pw_item *it  = ba->items[i];
        int64_t               age = it->msg.timestamp_ms < 0 ? -1 : now_ms - it->msg.timestamp_ms;

        if (it->parked)
            continue;
        if (w->tx.dedupe)
            pw_dedupe_note(w->tx.dedupe, it, w->bb);
        pw_bb_add(it->duplicate            ? &w->bb->events_duplicate :
                  it->verdict == PAWL_OK   ? &w->bb->events_ok :
                  it->foreign              ? &w->bb->events_foreign :
                  it->verdict == PAWL_SKIP ? &w->bb->events_skipped :
                  !it->forced              ? &w->bb->events_rejected :
                  it->crashed              ? &w->bb->events_crashed :
                                             &w->bb->events_isolated,
                  1);
        pw_bb_add(&w->bb->outputs, it->emits_n);
        if (age >= 0)
            pw_bb_observe(&w->bb->latency_us, pw_bb_limits_us, (uint64_t)age * 1000);
    }
}

/* They are told what became of each message. Those that were loaded can crash here, too, but no message is to blame for it. */
static void tell_layers(struct pw_worker *w, const struct pw_batch *ba)
{
    size_t range = 0;

    if (!w->chain.done)
        return;
    for (size_t i = 0; i < ba->n; i++) {
        if (w->chain.foreign_done)
            mark(w, PW_BB_DONE, ba, i, &range);
        pw_chain_done(&w->chain, ba->items[i]);
    }
    if (w->chain.foreign_done)
        pw_bb_mark_clear(w->bb);
}

static void observe_step(struct pw_worker *w, enum pw_bb_step step, int64_t us)
{
    pw_bb_observe(&w->bb->steps_us[step], pw_bb_limits_us, us > 0 ? (uint64_t)us : 0);
}

/* Where the time of a committed batch went. Its events waited until it began: for the broker, the network and earlier batches. */
static void observe_steps(struct pw_worker *w, const struct pw_batch *ba, int64_t began_us, int64_t handle_us,
                          int64_t commit_us)
{
    int64_t now_us = pw_clock_us();

    if (!ba->of_parked && ba->oldest_ms != INT64_MAX)
        observe_step(w, PW_BB_STEP_FETCH, pw_clock_wall_us() - (now_us - began_us) - ba->oldest_ms * 1000);
    observe_step(w, PW_BB_STEP_LOOKUP, handle_us - began_us);
    observe_step(w, PW_BB_STEP_HANDLE, commit_us - handle_us);
    observe_step(w, PW_BB_STEP_COMMIT, now_us - commit_us);
    atomic_store_explicit(&w->bb->arena_bytes, pw_arena_bytes(w->life) + pw_arena_bytes(w->scratch) + pw_arena_bytes(ba->ar),
                          memory_order_relaxed);
}

/* It is committed: memory follows the database. */
void pw_worker_advance(struct pw_worker *w, struct pw_batch *ba, int64_t began_us)
{
    pw_bb_add(&w->bb->batches, 1);
    pw_bb_add(&w->bb->waves, ba->waves);
    pw_bb_observe(&w->bb->batch_size, pw_bb_limits_n, ba->n);
    pw_bb_observe(&w->bb->commit_us, pw_bb_limits_us, (uint64_t)(pw_clock_us() - began_us));
    count_verdicts(w, ba);
    pw_tracing_committed(w->tx.tracing, ba);
    tell_layers(w, ba);
    pw_probation_count(w, ba);
    pw_worker_shadow_batch(w, ba);
    pw_worker_park_committed(w, ba);
    pw_strikes_forget(&w->strikes, ba);
    for (size_t r = 0; r < ba->ranges_n; r++) {
        struct pw_range *ra = &ba->ranges[r];
        struct pw_part  *pt = ra->pt;

        pt->next_offset   = ra->hi;
        pt->outbox_seq    = ra->outbox_seq + ra->outbox_n;
        pt->published_seq = ra->swept_to > pt->published_seq ? ra->swept_to : pt->published_seq;
        pw_publisher_advance(w->publisher, pt->publication, pt->next_offset, pt->outbox_seq);
        if (ra->receipted)
            pt->receipt = ra->receipt;
        if (ra->last) {
            pt->has_bookmark    = true;
            pt->bookmark_offset = ra->last->offset;
            pt->bookmark_hash   = ra->hash;
        }
        pt->reclaims = 0;
        if (ba->of_parked) /* what waits at the front goes on waiting */
            continue;
        pt->expected    = pt->expected > ra->hi ? pt->expected : ra->hi;
        pt->attempt     = 0;
        pt->retry_at_us = 0;
        pt->remembered  = false;
        pw_part_drop_below(pt, ra->hi);
    }
    PW_FAULT(after_advance);
}

/* What is published may be deleted with this batch. */
static int64_t sweep_to(struct pw_worker *w, const struct pw_part *pt)
{
    int64_t published = 0;
    char    why[160];

    (void)pw_publisher_state(w->publisher, pt->publication, &published, why, sizeof(why));
    if (!PW_GUARD(delete_published))
        return pt->outbox_seq;
    return published > pt->published_seq ? published : pt->published_seq;
}

/* Its offset row is ours, and the publisher knows it. */
static bool claimed(const struct pw_part *pt)
{
    return (pt->state == PW_PART_OPENING || pt->state == PW_PART_CLAIMED || pt->state == PW_PART_RUNNING) &&
           pt->publication != PW_PART_NOT_PUBLISHED;
}

int pw_worker_sweep(struct pw_worker *w, struct pw_err *err)
{
    struct pw_batch ba = { .ar = w->scratch };

    pw_arena_reset(w->scratch);
    ba.ranges = pw_arena_array(w->scratch, w->parts_n, sizeof(*ba.ranges));
    for (size_t i = 0; i < w->parts_n; i++)
        if (claimed(&w->parts[i]))
            ba.ranges[ba.ranges_n++] = (struct pw_range){ .pt = &w->parts[i], .swept_to = sweep_to(w, &w->parts[i]) };
    if (pw_tx_sweep(&w->tx, &ba, err) < 0)
        return -1;
    for (size_t r = 0; r < ba.ranges_n; r++)
        ba.ranges[r].pt->published_seq = ba.ranges[r].swept_to;
    return 0;
}

/* Returns 0 when it is committed; otherwise -1, and stop or err->disp says what the loop does next. */
static int batch_run(struct pw_worker *w, struct pw_batch *ba, struct pw_stop *stop, struct pw_err *err)
{
    int64_t began_us, handle_us, commit_us;
    size_t  more;

    if (!pw_worker_park_begin(w, ba, &stop->at)) {
        stop->kind = PW_STOP_FULL;
        return -1;
    }
    if (!pw_worker_park_changes(ba))
        return 0;
    pw_tracing_begin(w->tx.tracing, ba);
    pw_calls_next_trip(&ba->calls);
    w->timed = w->chain.timed || (w->chain.done && pw_log_enabled(PW_LOG_DEBUG));
    for (size_t r = 0; r < ba->ranges_n; r++)
        ba->ranges[r].swept_to = sweep_to(w, ba->ranges[r].pt);
    if (w->tx.dedupe)
        pw_dedupe_begin(w->tx.dedupe, ba);
    more = plan_open(w, ba, false, stop);
    if (stop->kind != PW_STOP_NONE)
        return -1;
    PW_FAULT(before_begin);
    began_us = pw_clock_us();
    if (pw_tx_open(&w->tx, ba, err) < 0 || plan_rest(w, ba, more, stop, err) < 0)
        return -1;
    PW_FAULT(after_fence);
    handle_us = pw_clock_us();
    if (stop->kind != PW_STOP_NONE || handle_all(w, ba, stop, err) < 0 || stop->kind != PW_STOP_NONE)
        return -1;
    commit_us = pw_clock_us();
    if (ba->n)
        pw_bb_observe(&w->bb->handle_us, pw_bb_limits_us, (uint64_t)(commit_us - handle_us) / ba->n);
    PW_FAULT(after_handle);
    if (w->probation.on && !pw_probation_allows(w, ba, err)) {
        *stop = (struct pw_stop){ PW_STOP_PROBATION, 0 };
        return -1;
    }
    if (pw_tx_commit(&w->tx, ba, err) < 0)
        return pw_err_wrap(err, "commit batch of %zu", ba->n);
    PW_FAULT(after_commit);
    observe_steps(w, ba, began_us, handle_us, commit_us);
    pw_worker_advance(w, ba, began_us);
    return 0;
}

/* ---- the pieces that failures make of a batch ---- */

static void adapt_size(struct pw_worker *w, size_t n, int64_t took_us)
{
    if (n == w->batch_cap && took_us < HANDLE_BUDGET_US / 4 && w->batch_cap < w->pipe->batch_max_messages)
        w->batch_cap = w->batch_cap * 2 < w->pipe->batch_max_messages ? w->batch_cap * 2 : w->pipe->batch_max_messages;
}

/* Runs the batch as a whole if it can be, else in the pieces that failures make of it. */
static void run_pieces(struct pw_worker *w, struct pw_batch *whole)
{
    size_t from = 0, to = whole->n, bad_to = whole->n;

    do {
        struct pw_batch piece = *whole;
        struct pw_stop  stop  = { PW_STOP_NONE, 0 };
        struct pw_err   err;
        size_t          n        = to - from;
        int64_t         began_us = pw_clock_us();

        pw_err_clear(&err);
        if (from > 0 || to < whole->n)
            pw_batch_narrow(whole, from, n, &piece);
        if (batch_run(w, &piece, &stop, &err) == 0) {
            w->failures = w->alone.n = 0;
            w->refused               = false;
            pw_worker_outage_over(w, PW_OUTAGE_POSTGRES);
            adapt_size(w, n, pw_clock_us() - began_us);
            from   = to;
            to     = bad_to > from ? bad_to : whole->n;
            bad_to = whole->n;
            continue;
        }
        if (stop.kind == PW_STOP_PROBATION) {
            pw_tx_rollback(&w->tx);
            pw_worker_failed(w, PW_EXIT_REJECT, "reload.rejects", &err);
            return;
        }
        if (stop.kind != PW_STOP_NONE) {
            pw_tx_rollback(&w->tx);
            for (size_t i = 0; i < piece.n; i++)
                piece.items[i]->done = piece.items[i]->forced;
            if (stop.kind == PW_STOP_SLOW)
                w->batch_cap = stop.at;
            if (stop.at > 0)
                to = from + stop.at;
            else if (!pw_worker_stopped_at_front(w, &piece, stop.kind))
                return;
            continue;
        }
        for (size_t i = 0; i < piece.n; i++)
            piece.items[i]->done = piece.items[i]->forced;
        if (!pw_worker_after_failure(w, &piece, &n, &err))
            return;
        if (n == 0) { /* it was in doubt, and is committed */
            from = to;
            to = bad_to = whole->n;
        } else if (n < piece.n) {
            bad_to = to;
            to     = from + n;
        }
    } while (from < whole->n && w->exit_code < 0 && !w->draining && !w->consumer.revoked);
}

bool pw_worker_strikes_known(struct pw_worker *w)
{
    struct pw_err err;

    if (!w->strikes.stale || pw_strikes_sync(&w->strikes, &w->tx, w->parts, w->parts_n, &err) == 0)
        return true;
    if (err.disp == PW_D_FATAL) {
        pw_worker_failed(w, PW_EXIT_FAILED, "worker.failed", &err);
        return false;
    }
    pw_log(PW_LOG_WARN, "batch.failed", PW_LOG_AT_NONE, "%s", err.text);
    pw_conn_rollback(&w->conn);
    w->pause_until_us = pw_clock_us() + pw_worker_backoff_us(w, 1);
    return false;
}

void pw_worker_process(struct pw_worker *w)
{
    int64_t                now_us = pw_clock_us(), until_us = INT64_MAX;
    struct pw_batch_limits limits = { w->batch_cap, w->pipe->batch_max_bytes, NULL };
    bool                   struck;

    if (!pw_breaker_is_closed(&w->breakers[PW_OUTAGE_POSTGRES])) { /* probing: one message tells whether it is over */
        (void)pw_breaker_may_ask(&w->breakers[PW_OUTAGE_POSTGRES], now_us);
        limits.max_messages = 1;
    }
    if (!pw_worker_strikes_known(w))
        return;
    struck         = pw_strikes_any(&w->strikes);
    limits.strikes = struck ? &w->strikes : NULL;
    w->in_batch    = true;
    if (pw_worker_unpark_due(w, now_us, &until_us) && !(w->park_last && pw_batch_ready(w->parts, w->parts_n, now_us))) {
        w->park_last = true; /* in turn, so that neither waits for the other for ever */
        if (!pw_worker_unpark(w, &limits))
            w->batch.ranges_n = 0;
    } else {
        w->park_last = false;
        (void)pw_batch_cut(&w->batch, w->parts, w->parts_n, &limits, &w->cursor, w->inst);
        pw_redrive_skip_foreign(&w->batch, w->pipe->group);
    }
    if (w->batch.ranges_n && (!struck || pw_worker_reject_crashers(w, &w->batch)))
        run_pieces(w, &w->batch);
    w->in_batch = false;
}
