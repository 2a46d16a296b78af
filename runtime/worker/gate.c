/* What operators decide while the worker runs: whether batches may be begun (pawl.pipelines), and new offsets for
 * partitions that stand still (pawl.offsets). One small question a second, between batches. */
#include "base/clock.h"
#include "observe/log.h"
#include "worker/redrive.h"
#include "worker/tx_parts.h"

#include <stdio.h>
#include <string.h>

#define LOOK_US 1000000

static const char state_sql[] = "SELECT state, coalesce(reason, ''), \"by\" FROM pawl.pipelines WHERE group_name = $1";

/* A lock that nobody waits for: who holds it stands still. It goes with the session, so it cannot be out of date. */
static const char idle_sql[] = "SELECT pg_advisory_lock_shared(hashtextextended('pawl idle ' || $1::text, 0))";
static const char busy_sql[] = "SELECT pg_advisory_unlock_shared(hashtextextended('pawl idle ' || $1::text, 0))";

static const char rows_sql[] =
    "SELECT v.i, o.owner_epoch, o.next_offset, coalesce(o.owner, '') FROM unnest($2::text[], $3::bigint[]) WITH ORDINALITY"
    " AS v(topic, partition, i) JOIN pawl.offsets AS o ON o.topic = v.topic AND o.partition = v.partition::int WHERE o.group_name = $1";

enum { R_I, R_EPOCH, R_NEXT, R_OWNER };

static int queue_group(struct pw_worker *w, const char *name, struct pw_err *err)
{
    const char *values[]  = { w->pipe->group };
    int         lengths[] = { (int)strlen(w->pipe->group) };

    return pw_conn_queue_prepared(&w->conn, name, 1, values, lengths, err);
}

/* ---- may batches be begun? ---- */

static enum pw_gate_state state_of(const char *text)
{
    return strcmp(text, "paused") == 0 ? PW_GATE_PAUSED : strcmp(text, "drained") == 0 ? PW_GATE_DRAINED : PW_GATE_OPEN;
}

static void take_state(struct pw_worker *w, const PGresult *res)
{
    static const char *const events[] = {
        [PW_GATE_OPEN] = "pipeline.resumed", [PW_GATE_PAUSED] = "pipeline.paused", [PW_GATE_DRAINED] = "pipeline.drained"
    };
    bool               any                   = PQntuples(res) > 0;
    enum pw_gate_state state                 = any ? state_of(PQgetvalue(res, 0, 0)) : PW_GATE_OPEN;
    struct pw_gate    *g                     = &w->gate;
    char               text[sizeof(g->text)] = "";

    if (state != PW_GATE_OPEN)
        (void)snprintf(text, sizeof(text), "%s by operator: %.300s%s(%.100s)", PQgetvalue(res, 0, 0), PQgetvalue(res, 0, 1),
                       *PQgetvalue(res, 0, 1) ? " " : "", PQgetvalue(res, 0, 2));
    if (state != g->state)
        pw_log(PW_LOG_INFO, events[state], PW_LOG_AT_NONE, "%s", state == PW_GATE_OPEN ? "batches are begun again" : text);
    if (state == PW_GATE_OPEN && g->state != PW_GATE_OPEN)
        pw_bb_text(w->bb, "");
    g->state = state;
    memcpy(g->text, text, sizeof(text));
}

static int read_state(struct pw_worker *w, struct pw_err *err)
{
    PGresult *res = NULL;

    if (pw_conn_result(&w->conn, &res, err) < 0)
        return -1;
    take_state(w, res);
    PQclear(res);
    return 0;
}

bool pw_worker_gate_open(const struct pw_worker *w)
{
    return w->gate.state == PW_GATE_OPEN;
}

int pw_worker_gate_prepare(struct pw_worker *w, struct pw_err *err)
{
    static const char *const ours[][2] = {
        { "pawl_gate", state_sql }, { "pawl_idle", idle_sql }, { "pawl_busy", busy_sql }, { "pawl_rows", rows_sql }
    };
    const size_t n = sizeof(ours) / sizeof(ours[0]);

    w->gate.idle_told = false; /* the lock went with the old session */
    for (size_t i = 0; i < n; i++)
        if (pw_conn_queue_prepare(&w->conn, ours[i][0], ours[i][1], 0, NULL, err) < 0)
            return -1;
    if (queue_group(w, "pawl_gate", err) < 0 || pw_conn_sync(&w->conn, err) < 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        if (pw_conn_done(&w->conn, NULL, err) < 0)
            return pw_err_wrap(err, "prepare %s", ours[i][0]);
    if (read_state(w, err) < 0)
        return pw_err_wrap(err, "read pawl.pipelines");
    if (pw_conn_synced(&w->conn, err) < 0)
        return -1;
    w->gate.look_at_us = pw_clock_us() + LOOK_US; /* it has just been read */
    return pw_redrive_prepare(w, err);
}

/* ---- partitions that stand still ---- */

static bool stands_still(const struct pw_worker *w, const struct pw_part *pt)
{
    return pt->state == PW_PART_HALTED || (pt->state == PW_PART_RUNNING && !pw_worker_gate_open(w));
}

/* The row carries another epoch than ours. If it still names us, nobody claimed it: an operator decided. */
static void look_again(struct pw_worker *w, struct pw_part *pt, int64_t next_offset, const char *owner)
{
    struct pw_log_at at = { .topic = pt->topic, .partition = pt->partition, .offset = next_offset };

    if (strcmp(owner, w->tx.owner) != 0) {
        pw_worker_reclaim(w, pt, "another worker has claimed it");
        return;
    }
    pw_log(PW_LOG_INFO, "partition.decided", &at, "an operator decided about offset %lld; the partition is claimed again",
           (long long)pt->next_offset);
    pw_part_clear(pt);
    pt->state     = PW_PART_WANTED;
    pt->halt_from = pt->halt_to = 0;
    pt->expected                = 0;
    pt->retry_at_us             = 0;
    pt->attempt                 = 0;
    pt->reclaim_at_us           = 0;
    w->claim_at_us              = 0;
}

static int queue_rows(struct pw_worker *w, struct pw_part **asked, size_t *ret_n, struct pw_err *err)
{
    *ret_n = 0;
    pw_tx_reset_arrays(w->tx.claim, C_N);
    for (size_t i = 0; i < w->parts_n; i++) {
        if (!stands_still(w, &w->parts[i]))
            continue;
        asked[(*ret_n)++] = &w->parts[i];
        if (pw_tx_put_claim(&w->tx, &w->parts[i], err) < 0)
            return -1;
    }
    return *ret_n ? pw_tx_queue_arrays(&w->tx, "pawl_rows", w->tx.claim, C_START, err) : 0;
}

static int read_rows(struct pw_worker *w, struct pw_part **asked, struct pw_err *err)
{
    PGresult *res = NULL;

    if (pw_conn_result(&w->conn, &res, err) < 0)
        return -1;
    for (int r = 0; r < PQntuples(res); r++) {
        struct pw_part *pt = asked[pw_tx_int8(res, r, R_I) - 1];

        if (stands_still(w, pt) && pw_tx_int8(res, r, R_EPOCH) != pt->owner_epoch)
            look_again(w, pt, pw_tx_int8(res, r, R_NEXT), PQgetvalue(res, r, R_OWNER));
    }
    PQclear(res);
    return 0;
}

/* ---- the look ---- */

/* Says that we stand still, or not any more. */
static int tell(struct pw_worker *w, struct pw_err *err)
{
    bool idle = !pw_worker_gate_open(w);

    if (idle == w->gate.idle_told)
        return 0;
    if (queue_group(w, idle ? "pawl_idle" : "pawl_busy", err) < 0 || pw_conn_sync(&w->conn, err) < 0 ||
        pw_conn_done(&w->conn, NULL, err) < 0 || pw_conn_synced(&w->conn, err) < 0)
        return -1;
    w->gate.idle_told = idle;
    return 0;
}

static int look(struct pw_worker *w, struct pw_err *err)
{
    struct pw_part **asked, **grown;
    size_t           n = 0, grown_n = 0;

    pw_arena_reset(w->scratch);
    asked = pw_arena_array(w->scratch, w->parts_n + 1, sizeof(struct pw_part *));
    grown = pw_arena_array(w->scratch, w->parts_n + 1, sizeof(struct pw_part *));
    if (queue_group(w, "pawl_gate", err) < 0 || queue_rows(w, asked, &n, err) < 0 ||
        pw_redrive_queue(w, grown, &grown_n, err) < 0 || pw_conn_sync(&w->conn, err) < 0 || read_state(w, err) < 0 ||
        (n && read_rows(w, asked, err) < 0) || (grown_n && pw_redrive_read(w, grown, err) < 0) ||
        pw_conn_synced(&w->conn, err) < 0)
        return -1;
    return tell(w, err);
}

void pw_worker_gate(struct pw_worker *w)
{
    struct pw_err err;

    if (!pw_conn_alive(&w->conn) || pw_clock_us() < w->gate.look_at_us)
        return;
    if (look(w, &err) < 0) {
        pw_log(PW_LOG_WARN, "pipeline.state", PW_LOG_AT_NONE, "read what operators decided: %s", err.text);
        pw_conn_rollback(&w->conn);
    }
    w->gate.look_at_us = pw_clock_us() + LOOK_US;
}
