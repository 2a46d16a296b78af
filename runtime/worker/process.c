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
#define SHRINK_AFTER     2       /* failures in a row that a smaller batch may cure */
#define GIVE_UP_AFTER    5       /* time-outs in a row of one message alone */
#define RESOLVE_PAUSE_US 100000
#define KEY_SHOWN        64

/* Where and why one message ended a batch early; the batch before it may still be committed. */
enum stop_kind { STOP_NONE = 0, STOP_RETRY, STOP_FATAL, STOP_NO_DLQ, STOP_FULL, STOP_SLOW };

struct stop {
    enum stop_kind kind;
    size_t         at; /* index of the item */
};

static struct pw_log_at at_item(const struct pw_item *it)
{
    return (struct pw_log_at){
        .topic = it->msg.topic.p, .partition = it->msg.partition, .offset = it->msg.offset, .attempt = it->msg.attempt
    };
}

static struct pw_part *part_of(const struct pw_batch *ba, size_t item)
{
    size_t r = 0;

    while (item >= ba->ranges[r].first + ba->ranges[r].n)
        r++;
    return ba->ranges[r].pt;
}

static void mark(struct pw_worker *w, enum pw_bb_phase phase, const struct pw_batch *ba, size_t i, size_t *range)
{
    const struct pw_item *it = ba->items[i];

    while (i >= ba->ranges[*range].first + ba->ranges[*range].n)
        (*range)++;
    pw_bb_mark_set(w->bb, phase, ba->ranges[*range].pt->topic_index, it->msg.partition, it->msg.offset, it->msg.attempt);
}

/* ---- plan and handle ---- */

static void judge(struct pw_worker *w, struct pw_batch *ba, size_t i, struct stop *stop)
{
    const struct pw_item *it = ba->items[i];

    if (it->verdict == PAWL_RETRY && !pw_worker_park(w, ba, i))
        *stop = (struct stop){ STOP_RETRY, i };
    else if (it->verdict == PAWL_FATAL)
        *stop = (struct stop){ STOP_FATAL, i };
    else if (it->verdict == PAWL_REJECT && !w->pipe->dlq_topic && !(it->unparked && pw_worker_park(w, ba, i)))
        *stop = (struct stop){ STOP_NO_DLQ, i };
}

/* Asks the plugin which rows the open messages need. Returns how many asked for more before they can tell. */
static size_t plan_open(struct pw_worker *w, struct pw_batch *ba, bool only_more, struct stop *stop)
{
    size_t more = 0, range = 0;

    for (size_t i = 0; i < ba->n && stop->kind == STOP_NONE; i++) {
        struct pw_item *it = ba->items[i];
        pawl_rc         rc;

        if (it->done || (only_more && it->verdict != PAWL_MORE))
            continue;
        if (!only_more)
            pw_item_reset(it);
        mark(w, PW_BB_PLAN, ba, i, &range);
        rc = pw_call_plan(&ba->calls, it);
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
static int plan_rest(struct pw_worker *w, struct pw_batch *ba, size_t more, struct stop *stop, struct pw_err *err)
{
    while (more && stop->kind == STOP_NONE) {
        more = plan_open(w, ba, true, stop);
        if (stop->kind == STOP_NONE && pw_tx_exchange(&w->tx, ba, err) < 0)
            return -1;
    }
    return 0;
}

/* Handles what can be handled on the rows of this wave; returns how many messages wait for the next. */
static size_t handle_wave(struct pw_worker *w, struct pw_batch *ba, struct pw_waves *wv, int64_t end_ns, struct stop *stop)
{
    int64_t wave_end_ns = pw_clock_coarse_ns() + (int64_t)HANDLE_BUDGET_US * 1000;
    size_t  waiting = 0, first_waiting = 0, range = 0;

    for (size_t i = 0; i < ba->n && stop->kind == STOP_NONE; i++) {
        struct pw_item     *it = ba->items[i];
        enum pw_dedupe_fate fate;

        if (it->done)
            continue;
        if (i > 0 && !waiting && pw_clock_coarse_ns() > (wave_end_ns < end_ns ? wave_end_ns : end_ns)) {
            *stop = (struct stop){ STOP_SLOW, i }; /* all before it are done: they make a batch */
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
        case PW_PARK_FULL: *stop = (struct stop){ STOP_FULL, i }; continue;
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
            *stop = (struct stop){ STOP_SLOW, first_waiting };
            break;
        }
        mark(w, PW_BB_HANDLE, ba, i, &range);
        pw_call_handle(&ba->calls, it);
        it->done = true;
        pw_waves_add(wv, it);
        judge(w, ba, i, stop);
    }
    pw_bb_mark_clear(w->bb);
    return waiting;
}

static int handle_all(struct pw_worker *w, struct pw_batch *ba, struct stop *stop, struct pw_err *err)
{
    struct pw_waves *wv     = pw_waves_new(ba);
    int64_t          end_ns = pw_clock_coarse_ns() + (int64_t)WAVES_BUDGET_US * 1000;

    while (handle_wave(w, ba, wv, end_ns, stop) > 0 && stop->kind == STOP_NONE) {
        size_t more = plan_open(w, ba, false, stop);

        if (stop->kind != STOP_NONE)
            break;
        pw_waves_flushed(wv);
        if (pw_tx_exchange(&w->tx, ba, err) < 0 || plan_rest(w, ba, more, stop, err) < 0)
            return -1;
        ba->waves++;
    }
    if (stop->kind == STOP_NONE && !pw_worker_park_rest(w, ba, &stop->at))
        stop->kind = STOP_FULL;
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
        if (it->verdict == PAWL_REJECT) {
            struct pw_log_at at = at_item(it);

            pw_log(PW_LOG_WARN, "event.rejected", &at, "key '%.*s': %s: %s; dead-lettered",
                   (int)(it->msg.key.n < KEY_SHOWN ? it->msg.key.n : KEY_SHOWN),
                   it->msg.key.p ? (const char *)it->msg.key.p : "", it->code ? it->code : "rejected",
                   it->detail ? it->detail : "no reason given");
        }
    }
}

/* It is committed: memory follows the database. */
static void advance(struct pw_worker *w, struct pw_batch *ba, int64_t began_us)
{
    pw_bb_add(&w->bb->batches, 1);
    pw_bb_add(&w->bb->waves, ba->waves);
    pw_bb_observe(&w->bb->batch_size, pw_bb_limits_n, ba->n);
    pw_bb_observe(&w->bb->commit_us, pw_bb_limits_us, (uint64_t)(pw_clock_us() - began_us));
    count_verdicts(w, ba);
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
static int batch_run(struct pw_worker *w, struct pw_batch *ba, struct stop *stop, struct pw_err *err)
{
    int64_t began_us, handle_us;
    size_t  more;

    if (!pw_worker_park_begin(w, ba, &stop->at)) {
        stop->kind = STOP_FULL;
        return -1;
    }
    if (!pw_worker_park_changes(ba))
        return 0;
    pw_calls_next_trip(&ba->calls);
    for (size_t r = 0; r < ba->ranges_n; r++)
        ba->ranges[r].swept_to = sweep_to(w, ba->ranges[r].pt);
    if (w->tx.dedupe)
        pw_dedupe_begin(w->tx.dedupe, ba);
    more = plan_open(w, ba, false, stop);
    if (stop->kind != STOP_NONE)
        return -1;
    PW_FAULT(before_begin);
    began_us = pw_clock_us();
    if (pw_tx_open(&w->tx, ba, err) < 0 || plan_rest(w, ba, more, stop, err) < 0)
        return -1;
    PW_FAULT(after_fence);
    handle_us = pw_clock_us();
    if (stop->kind != STOP_NONE || handle_all(w, ba, stop, err) < 0 || stop->kind != STOP_NONE)
        return -1;
    if (ba->n)
        pw_bb_observe(&w->bb->handle_us, pw_bb_limits_us, (uint64_t)(pw_clock_us() - handle_us) / ba->n);
    PW_FAULT(after_handle);
    if (pw_tx_commit(&w->tx, ba, err) < 0)
        return pw_err_wrap(err, "commit batch of %zu", ba->n);
    PW_FAULT(after_commit);
    advance(w, ba, began_us);
    return 0;
}

/* ---- what a failure means ---- */

static void force_reject(struct pw_batch *ba, struct pw_item *it, const char *code, const char *detail)
{
    it->forced = it->done = true;
    it->verdict           = PAWL_REJECT;
    it->code              = pw_arena_strdup(ba->ar, code);
    it->detail            = pw_arena_strdup(ba->ar, detail);
}

/* The first message of its partition asked to be called again. A restart forgets neither how often it was tried nor how long it
 * has to wait. */
static void wait_and_remember(struct pw_worker *w, struct pw_batch *ba, struct pw_item *it)
{
    struct pw_part  *pt = part_of(ba, 0);
    struct pw_log_at at = at_item(it);
    struct pw_err    err;

    PW_ASSERT(!it->unparked);
    pw_bb_add(&w->bb->events_retried, 1);
    it->retry_us       = pw_worker_backoff_us(w, it->msg.attempt);
    pt->attempt        = it->msg.attempt;
    pt->attempt_offset = it->msg.offset;
    pt->retry_at_us    = pw_clock_us() + it->retry_us;
    (void)snprintf(pt->reason, sizeof(pt->reason), "retry %d of %u: %s: %.80s", it->msg.attempt, w->pipe->retry_attempts,
                   it->code ? it->code : "retry", it->detail ? it->detail : "");
    pw_log(PW_LOG_WARN, "event.retry", &at, "%s: %s", it->code ? it->code : "retry",
           it->detail ? it->detail : "no reason given");
    PW_FAULT(attempt_before);
    if (pw_tx_remember(&w->tx, pt, it, &err) == 0) {
        pt->remembered = true;
        PW_FAULT(attempt_after);
        return;
    }
    if (err.disp == PW_D_RETRY) { /* it counts in memory; the next attempt writes it */
        pw_worker_retry_later(w, &err);
        return;
    }
    pw_conn_rollback(&w->conn);
    if (err.disp == PW_D_FENCED)
        pw_worker_reclaim(w, pt, err.text);
    else
        pw_worker_failed(w, PW_EXIT_FAILED, "worker.failed", &err);
}

/* It has to be set aside, and there is no room: as if the mode were block, until some of the parked ones are gone. */
static void wait_for_room(const struct pw_batch *ba, const struct pw_item *it)
{
    struct pw_part  *pt = part_of(ba, 0);
    struct pw_log_at at = at_item(it);

    pt->full        = true;
    pt->retry_at_us = INT64_MAX;
    (void)snprintf(pt->reason, sizeof(pt->reason),
                   "offset %lld has to be parked, and there is no room: %zu messages, %lld bytes", (long long)it->msg.offset,
                   pt->park.n, (long long)pt->park.bytes);
    pw_log(PW_LOG_WARN, "partition.full", &at, "%s", pt->reason);
}

static bool gives_up(const struct pw_worker *w, const struct pw_item *it)
{
    return (uint32_t)it->msg.attempt >= w->pipe->retry_attempts && w->pipe->dlq_topic;
}

/* The item at the front ended the batch. Returns true if the batch can be run again now. */
static bool stopped_at_front(struct pw_worker *w, struct pw_batch *ba, enum stop_kind kind)
{
    struct pw_item  *it = ba->items[0];
    struct pw_log_at at = at_item(it);
    struct pw_err    err;

    switch (kind) {
    case STOP_RETRY:
        if (gives_up(w, it)) {
            char detail[320];

            (void)snprintf(detail, sizeof(detail), "gave up after %d attempts: %s: %.200s", it->msg.attempt,
                           it->code ? it->code : "retry", it->detail ? it->detail : "");
            force_reject(ba, it, "retry.exhausted", detail);
            return true;
        }
        wait_and_remember(w, ba, it);
        return false;
    case STOP_FULL: wait_for_room(ba, it); return false;
    case STOP_FATAL:
        (void)pw_err_set(&err, PW_D_FATAL, "%s[%d]@%lld: fatal: %s: %s", it->msg.topic.p, it->msg.partition,
                         (long long)it->msg.offset, it->code ? it->code : "no code",
                         it->detail ? it->detail : "no reason given");
        pw_worker_failed(w, PW_EXIT_FAILED, "worker.failed", &err);
        return false;
    case STOP_NO_DLQ: {
        struct pw_part *pt = part_of(ba, 0);

        if (it->unparked) /* its partition is past it: it stays where it is */
            return pw_worker_park_alone(w, ba, it->code ? it->code : "rejected", it->detail ? it->detail : "");
        pw_log(PW_LOG_ERROR, "partition.halted", &at, "rejected, %s: %s; no dlq.topic takes it",
               it->code ? it->code : "rejected", it->detail ? it->detail : "");
        pw_part_halt(pt, 1, 0, "offset %lld was rejected (%.40s) and the pipeline has no dlq.topic", (long long)it->msg.offset,
                     it->code ? it->code : "rejected");
        return false;
    }
    case STOP_NONE:
    case STOP_SLOW: break; /* never at the front */
    }
    pw_assert_failed(__FILE__, __LINE__, "a slow batch is never stopped at its front");
}

/* A message that killed its worker too often is not given to the plugin again. Struck messages travel alone, so it is the batch.
 * Returns false if the batch cannot be run. */
static bool reject_crashers(struct pw_worker *w, struct pw_batch *ba)
{
    atomic_store_explicit(&w->bb->struck, 0, memory_order_relaxed);
    for (size_t i = 0; i < ba->n; i++) {
        struct pw_item    *it = ba->items[i];
        char               code[96], detail[160];
        struct pw_bb_death de;
        uint32_t           n = pw_strikes_find(&w->strikes, it->msg.topic.p, it->msg.partition, it->msg.offset, &de);

        if (n == 0)
            continue;
        it->strikes     = n;
        it->msg.attempt = it->msg.attempt > (int32_t)n ? it->msg.attempt : (int32_t)n + 1; /* it may have answered RETRY, too */
        atomic_store_explicit(&w->bb->struck, n, memory_order_relaxed);
        if (n < w->pipe->crash_limit)
            continue;
        (void)snprintf(code, sizeof(code), "crash.%s", de.how);
        for (char *c = code; *c; c++)
            *c = *c == ' ' ? '_' : *c;
        (void)snprintf(detail, sizeof(detail), "the plugin died %u times with this message in hand, last by %s", n, de.how);
        it->crashed     = true;
        it->signal      = de.signal[0] ? pw_arena_strdup(ba->ar, de.signal) : NULL;
        it->trace       = de.trace[0] ? pw_arena_strdup(ba->ar, de.trace) : NULL;
        it->msg.attempt = (int32_t)n;
        force_reject(ba, it, code, detail);
        if (!w->pipe->dlq_topic)
            return stopped_at_front(w, ba, STOP_NO_DLQ);
    }
    return true;
}

/* Lock conflicts, time-outs and memory depend on how much one transaction does. */
static bool smaller_may_help(const struct pw_err *err)
{
    static const char *const states[] = { "57014", "25P03", "25P04", "40001", "40P01", "55P03", "53200" };

    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
        if (strcmp(err->sqlstate, states[i]) == 0)
            return true;
    return false;
}

/* One message stands alone with its failure. Returns true if it is now rejected and the batch can be run. */
static bool isolated(struct pw_worker *w, struct pw_batch *ba, const struct pw_err *err)
{
    struct pw_item  *it = ba->items[0];
    struct pw_log_at at = at_item(it);
    char             code[24];

    if (it->forced && !it->parked && it->unparked)
        return pw_worker_park_alone(w, ba, "dlq.refused", err->text);
    if (it->forced) { /* not the plugin's writes: its dead letter itself cannot be written */
        pw_log(PW_LOG_ERROR, "partition.halted", &at, "its dead letter cannot be written: %s", err->text);
        pw_part_halt(part_of(ba, 0), 1, 0, "the dead letter of offset %lld cannot be written: %.100s",
                     (long long)it->msg.offset, err->text);
        return false;
    }
    pw_log(PW_LOG_WARN, "event.isolated", &at, "%s", err->text);
    (void)snprintf(code, sizeof(code), "sql.%s", err->verdict ? "rows" : err->sqlstate[0] ? err->sqlstate : "value");
    force_reject(ba, it, code, err->text);
    if (err->verdict == PAWL_RETRY && !gives_up(w, it) && pw_worker_park_alone(w, ba, code, err->text))
        return true;
    if (err->verdict == PAWL_RETRY || err->verdict == PAWL_FATAL || !w->pipe->dlq_topic) {
        it->forced = it->done = false;
        return stopped_at_front(w, ba,
                                err->verdict == PAWL_RETRY ? STOP_RETRY :
                                err->verdict == PAWL_FATAL ? STOP_FATAL :
                                                             STOP_NO_DLQ);
    }
    return true;
}

/* COMMIT was sent and the line is dead: only the offset row knows. Returns true if it was committed. */
static bool resolve(struct pw_worker *w, struct pw_batch *ba)
{
    enum pw_outcome outcome = PW_TX_FENCED;
    struct pw_err   err;

    pw_bb_add(&w->bb->in_doubt, 1);
    for (;;) {
        pw_worker_connect(w);
        if (w->exit_code >= 0 || w->draining || w->consumer.fatal)
            return false; /* whoever comes next reads the row */
        if (pw_conn_alive(&w->conn) && pw_tx_resolve(&w->tx, ba, &outcome, &err) == 0)
            break;
        if (pw_conn_alive(&w->conn)) { /* 55P03: the old transaction still holds the row */
            pw_log(PW_LOG_WARN, "batch.in_doubt", PW_LOG_AT_NONE, "%s", err.text);
            pw_conn_rollback(&w->conn);
            w->connect_at_us = pw_clock_us() + RESOLVE_PAUSE_US;
        }
        while (pw_clock_us() < pw_worker_connect_at_us(w) && !w->draining && !w->consumer.fatal)
            (void)pw_worker_turn(w, -1, 0, pw_worker_connect_at_us(w));
    }
    pw_log(PW_LOG_WARN, "batch.in_doubt", PW_LOG_AT_NONE, "the connection died at COMMIT; the offset row says: %s",
           outcome == PW_TX_COMMITTED     ? "committed" :
           outcome == PW_TX_NOT_COMMITTED ? "not committed" :
                                            "somebody else went on");
    if (outcome == PW_TX_FENCED)
        for (size_t r = 0; r < ba->ranges_n; r++)
            pw_worker_reclaim(w, ba->ranges[r].pt, "another owner went on while the commit was in doubt");
    return outcome == PW_TX_COMMITTED;
}

static void step_aside(struct pw_worker *w, struct pw_batch *ba, const struct pw_err *err)
{
    for (size_t r = 0; r < ba->ranges_n; r++)
        if (ba->ranges[r].hi < 0)
            pw_worker_reclaim(w, ba->ranges[r].pt, err->text);
}

void pw_worker_retry_later(struct pw_worker *w, const struct pw_err *err)
{
    bool outage = pw_worker_is_outage(w, err);

    w->failures++;
    w->pause_until_us = pw_clock_us() + pw_worker_backoff_us(w, (int32_t)(w->failures < 30 ? w->failures : 30));
    if (outage) {
        w->refused = pw_conn_alive(&w->conn);
        pw_worker_outage(w, PW_OUTAGE_POSTGRES, err->text);
        w->pause_until_us = w->breakers[PW_OUTAGE_POSTGRES].probe_at_us;
    } else {
        pw_log(PW_LOG_WARN, "batch.failed", PW_LOG_AT_NONE, "%s", err->text);
    }
    pw_tx_rollback(&w->tx);
}

static bool halve(struct pw_worker *w, const struct pw_batch *ba, size_t *ret_n)
{
    pw_bb_add(&w->bb->batch_splits, 1);
    *ret_n = ba->n / 2;
    return true;
}

/* A lock, a deadlock, a serialization failure or a time-out of this message alone, not of the server. */
static bool again_and_again(struct pw_worker *w, const struct pw_batch *ba, const struct pw_err *err)
{
    const struct pw_part *pt = part_of(ba, 0);

    if (!err->sqlstate[0] || pw_worker_is_outage(w, err) || !smaller_may_help(err))
        return false;
    if (w->alone.pt != pt || w->alone.offset != ba->items[0]->msg.offset)
        w->alone.n = 0;
    w->alone.pt     = pt;
    w->alone.offset = ba->items[0]->msg.offset;
    return ++w->alone.n > GIVE_UP_AFTER;
}

/* It is no fault of the message, so it costs no attempt and never makes a dead letter. But it is no outage either, so it may hold
 * up its partition (or its key, if that can be parked), and nobody else. */
static bool wait_uncounted(struct pw_worker *w, struct pw_batch *ba, const struct pw_err *err)
{
    struct pw_item  *it = ba->items[0];
    struct pw_part  *pt = part_of(ba, 0);
    struct pw_log_at at = at_item(it);
    char             code[24];
    int64_t          until_us = pw_clock_us() + pw_worker_backoff_us(w, (int32_t)w->alone.n);

    (void)snprintf(code, sizeof(code), "sql.%s", err->sqlstate);
    if (it->unparked) {
        struct pw_parked *row = pw_park_find(&pt->park, it->msg.offset);

        if (row)
            row->retry_at_us = until_us;
        pw_park_settle(&pt->park);
    } else if (!pt->remembered && pw_worker_park_alone(w, ba, code, err->text)) {
        it->msg.attempt--; /* it does not count */
        return true;
    } else {
        pt->retry_at_us = until_us;
        (void)snprintf(pt->reason, sizeof(pt->reason), "%s, not counted: %.100s", code, err->text);
    }
    pw_log(PW_LOG_WARN, "event.retry", &at, "%s, not counted: %s", code, err->text);
    return false;
}

/* The only place that decides what a failure means. Returns true if the (perhaps smaller) batch is to be run now. */
static bool after_failure(struct pw_worker *w, struct pw_batch *ba, size_t *ret_n, struct pw_err *err)
{
    bool committed;

    pw_bb_add(&w->bb->batch_failures, 1);
    switch (err->disp) {
    case PW_D_RETRY: /* not the message's fault: same batch again, from memory */
        if (ba->n == 1 && again_and_again(w, ba, err)) {
            pw_tx_rollback(&w->tx);
            if (strcmp(err->sqlstate, "57014") == 0) /* statement_timeout */
                return isolated(w, ba, err);
            return wait_uncounted(w, ba, err);
        }
        if (w->tx.commit_sent && !pw_conn_alive(&w->conn)) {
            int64_t began_us = pw_clock_us();

            committed         = resolve(w, ba);
            w->tx.commit_sent = false;
            if (committed)
                advance(w, ba, began_us);
            *ret_n = 0;
            return committed;
        }
        pw_worker_retry_later(w, err);
        if (strcmp(err->sqlstate, "0A000") == 0 || strcmp(err->sqlstate, "26000") == 0)
            pw_conn_close(&w->conn);
        if (w->failures >= SHRINK_AFTER && smaller_may_help(err) && ba->n > 1)
            w->batch_cap = ba->n / 2;
        return false;
    case PW_D_ISOLATE: /* some message's fault: halves, until it stands alone */
    case PW_D_REJECT:
        pw_tx_rollback(&w->tx);
        if (ba->n > 1)
            return halve(w, ba, ret_n);
        if (ba->n == 1)
            return isolated(w, ba, err);
        break;
    case PW_D_FENCED: /* someone else owns it now: step aside */
        pw_tx_rollback(&w->tx);
        step_aside(w, ba, err);
        return false;
    case PW_D_FATAL: /* the others commit first, and the log names the one */
        if (ba->n > 1 && err->sqlstate[0] && pw_conn_alive(&w->conn)) {
            pw_tx_rollback(&w->tx);
            return halve(w, ba, ret_n);
        }
        break;
    case PW_D_NONE: break;
    }
    pw_tx_rollback(&w->tx);
    pw_worker_failed(w, PW_EXIT_FAILED, "worker.failed", err);
    return false;
}

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
        struct stop     stop  = { STOP_NONE, 0 };
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
        if (stop.kind != STOP_NONE) {
            pw_tx_rollback(&w->tx);
            for (size_t i = 0; i < piece.n; i++)
                piece.items[i]->done = piece.items[i]->forced;
            if (stop.kind == STOP_SLOW)
                w->batch_cap = stop.at;
            if (stop.at > 0)
                to = from + stop.at;
            else if (!stopped_at_front(w, &piece, stop.kind))
                return;
            continue;
        }
        for (size_t i = 0; i < piece.n; i++)
            piece.items[i]->done = piece.items[i]->forced;
        if (!after_failure(w, &piece, &n, &err))
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

/* Before the first batch after a claim: nobody may be given a message whose strikes are not known. */
static bool strikes_known(struct pw_worker *w)
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
    if (!strikes_known(w))
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
    if (w->batch.ranges_n && (!struck || reject_crashers(w, &w->batch)))
        run_pieces(w, &w->batch);
    w->in_batch = false;
}
