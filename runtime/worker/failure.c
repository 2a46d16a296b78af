/* What a failed batch means: later again, smaller, without the one message whose fault it is, or not by us. */
#include "base/clock.h"
#include "base/fault.h"
#include "observe/log.h"
#include "supervisor/supervisor.h"
#include "worker/internal.h"

#include <stdio.h>
#include <string.h>

#define SHRINK_AFTER     2 /* failures in a row that a smaller batch may cure */
#define GIVE_UP_AFTER    5 /* time-outs in a row of one message alone */
#define RESOLVE_PAUSE_US 100000

struct pw_log_at pw_worker_at_item(const struct pw_item *it)
{
    return (struct pw_log_at){
        .topic = it->msg.topic.p, .partition = it->msg.partition, .offset = it->msg.offset, .attempt = it->msg.attempt
    };
}

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
    struct pw_part  *pt = pw_batch_part(ba, 0);
    struct pw_log_at at = pw_worker_at_item(it);
    struct pw_err    err;

    PW_ASSERT(!it->unparked);
    pw_bb_add(&w->bb->events_retried, 1);
    it->retry_us       = pw_worker_backoff_us(w, it->msg.attempt);
    pt->attempt        = it->msg.attempt;
    pt->attempt_offset = it->msg.offset;
    pt->retry_at_us    = pw_clock_us() + it->retry_us;
    (void)snprintf(pt->reason, sizeof(pt->reason), "retry %d of %u: %s: %.80s", it->msg.attempt, w->pipe->retry_attempts,
                   it->code ? it->code : "retry", it->detail ? it->detail : "");
    pw_log(PW_LOG_WARN, "event.retry", &at, "%s", it->code ? it->code : "retry");
    pw_tracing_retried(w->tx.tracing, it);
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
    struct pw_part  *pt = pw_batch_part(ba, 0);
    struct pw_log_at at = pw_worker_at_item(it);

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
bool pw_worker_stopped_at_front(struct pw_worker *w, struct pw_batch *ba, enum pw_stop_kind kind)
{
    struct pw_item  *it = ba->items[0];
    struct pw_log_at at = pw_worker_at_item(it);
    struct pw_err    err;

    switch (kind) {
    case PW_STOP_RETRY:
        if (gives_up(w, it)) {
            char detail[320];

            (void)snprintf(detail, sizeof(detail), "gave up after %d attempts: %s: %.200s", it->msg.attempt,
                           it->code ? it->code : "retry", it->detail ? it->detail : "");
            force_reject(ba, it, "retry.exhausted", detail);
            return true;
        }
        wait_and_remember(w, ba, it);
        return false;
    case PW_STOP_FULL: wait_for_room(ba, it); return false;
    case PW_STOP_FATAL:
        (void)pw_err_set(&err, PW_D_FATAL, "%s[%d]@%lld: fatal: %s: %s", it->msg.topic.p, it->msg.partition,
                         (long long)it->msg.offset, it->code ? it->code : "no code",
                         it->detail ? it->detail : "no reason given");
        pw_worker_failed(w, PW_EXIT_FAILED, "worker.failed", &err);
        return false;
    case PW_STOP_NO_DLQ: {
        struct pw_part *pt = pw_batch_part(ba, 0);

        if (it->unparked) /* its partition is past it: it stays where it is */
            return pw_worker_park_alone(w, ba, it->code ? it->code : "rejected", it->detail ? it->detail : "");
        if (w->probation.on) { /* a halt is worse than a dead letter: let the version before judge */
            (void)pw_err_set(&err, PW_D_FATAL, "%s[%d]@%lld was rejected (%s: %.100s), and the pipeline has no dlq.topic",
                             it->msg.topic.p, it->msg.partition, (long long)it->msg.offset, it->code ? it->code : "rejected",
                             it->detail ? it->detail : "no reason given");
            pw_worker_failed(w, PW_EXIT_REJECT, "reload.rejects", &err);
            return false;
        }
        pw_log(PW_LOG_ERROR, "partition.halted", &at, "rejected, %s: %s; no dlq.topic takes it",
               it->code ? it->code : "rejected", it->detail ? it->detail : "");
        pw_part_halt(pt, 1, 0, "offset %lld was rejected (%.40s) and the pipeline has no dlq.topic", (long long)it->msg.offset,
                     it->code ? it->code : "rejected");
        return false;
    }
    case PW_STOP_NONE:
    case PW_STOP_PROBATION:
    case PW_STOP_SLOW: break; /* never at the front */
    }
    pw_assert_failed(__FILE__, __LINE__, "a slow batch is never stopped at its front");
}

/* A message that killed its worker too often is not given to the plugin again. Struck messages travel alone, so it is the batch.
 * Returns false if the batch cannot be run. */
bool pw_worker_reject_crashers(struct pw_worker *w, struct pw_batch *ba)
{
    atomic_store_explicit(&w->bb->struck, 0, memory_order_relaxed);
    for (size_t i = 0; i < ba->n; i++) {
        struct pw_item    *it = ba->items[i];
        char               code[96], detail[160 + PW_BB_BY];
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
        (void)snprintf(detail, sizeof(detail), "%s%s died %u times with this message in hand, last by %s",
                       de.by[0] ? "middleware " : "the plugin", de.by, n, de.how);
        it->by          = de.by[0] ? pw_arena_strdup(ba->ar, de.by) : NULL;
        it->crashed     = true;
        it->signal      = de.signal[0] ? pw_arena_strdup(ba->ar, de.signal) : NULL;
        it->trace       = de.trace[0] ? pw_arena_strdup(ba->ar, de.trace) : NULL;
        it->msg.attempt = (int32_t)n;
        force_reject(ba, it, code, detail);
        if (!w->pipe->dlq_topic)
            return pw_worker_stopped_at_front(w, ba, PW_STOP_NO_DLQ);
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

/* How much of the text may be logged. What PostgreSQL says of data that it cannot read (class 22) quotes it, and what a function raises
 * (P0) may say anything; the dead letter has all of it. */
static int without_values(const struct pw_err *err)
{
    const char *end = strstr(err->text, err->sqlstate);

    if (!end || (strncmp(err->sqlstate, "22", 2) != 0 && strncmp(err->sqlstate, "P0", 2) != 0))
        return (int)strlen(err->text);
    return (int)(end - err->text) + (int)strlen(err->sqlstate);
}

/* One message stands alone with its failure. Returns true if it is now rejected and the batch can be run. */
static bool isolated(struct pw_worker *w, struct pw_batch *ba, const struct pw_err *err)
{
    struct pw_item  *it = ba->items[0];
    struct pw_log_at at = pw_worker_at_item(it);
    char             code[24];

    if (it->forced && !it->parked && it->unparked)
        return pw_worker_park_alone(w, ba, "dlq.refused", err->text);
    if (it->forced) { /* not the plugin's writes: its dead letter itself cannot be written */
        pw_log(PW_LOG_ERROR, "partition.halted", &at, "its dead letter cannot be written: %s", err->text);
        pw_part_halt(pw_batch_part(ba, 0), 1, 0, "the dead letter of offset %lld cannot be written: %.100s",
                     (long long)it->msg.offset, err->text);
        return false;
    }
    pw_log(PW_LOG_WARN, "event.isolated", &at, "%.*s", without_values(err), err->text);
    (void)snprintf(code, sizeof(code), "sql.%s", err->verdict ? "rows" : err->sqlstate[0] ? err->sqlstate : "value");
    force_reject(ba, it, code, err->text);
    if (err->verdict == PAWL_RETRY && !gives_up(w, it) && pw_worker_park_alone(w, ba, code, err->text))
        return true;
    if (err->verdict == PAWL_RETRY || err->verdict == PAWL_FATAL || !w->pipe->dlq_topic) {
        it->forced = it->done = false;
        return pw_worker_stopped_at_front(w, ba,
                                          err->verdict == PAWL_RETRY ? PW_STOP_RETRY :
                                          err->verdict == PAWL_FATAL ? PW_STOP_FATAL :
                                                                       PW_STOP_NO_DLQ);
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
    const struct pw_part *pt = pw_batch_part(ba, 0);

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
    struct pw_part  *pt = pw_batch_part(ba, 0);
    struct pw_log_at at = pw_worker_at_item(it);
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
    pw_log(PW_LOG_WARN, "event.retry", &at, "%s, not counted", code);
    return false;
}

/* The only place that decides what a failure means. Returns true if the (perhaps smaller) batch is to be run now. */
bool pw_worker_after_failure(struct pw_worker *w, struct pw_batch *ba, size_t *ret_n, struct pw_err *err)
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
                pw_worker_advance(w, ba, began_us);
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
