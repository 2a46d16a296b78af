/* Does the group have all partitions of its topics? Members notice a topic that grows while they run. One that grew while
 * this static member was away is noticed by nobody: the member comes back under its old assignment, without a rebalance, and
 * takes the number of partitions it finds for the one that it has always been. So a worker looks after its start, until the
 * group has claimed every partition once, and asks for a rebalance if one stays unclaimed. */
#include "base/clock.h"
#include "kafka/ask.h"
#include "observe/log.h"
#include "worker/internal.h"
#include "worker/tx_parts.h"

#include <string.h>

#define FIRST_LOOK_US 3000000
#define LOOK_US       2500000
#define LOOKS         3 /* in a row: other workers may be on their way to claim */
#define RETRY_US      10000000
#define WAIT_MAX_US   300000000
#define ASK_MS        1000

static const char cover_sql[] =
    "SELECT v.i, (SELECT count(*) FROM pawl.offsets AS o WHERE o.group_name = $1 AND o.topic = v.topic AND o.claimed_at IS NOT NULL)"
    " FROM unnest($2::text[]) WITH ORDINALITY AS v(topic, i)";

int pw_worker_cover_prepare(struct pw_worker *w, struct pw_err *err)
{
    static const struct pw_statement ours[] = { { "pawl_cover", cover_sql } };

    return pw_conn_prepare(&w->conn, ours, 1, err);
}

/* Partitions that somebody has claimed once, by topic. */
static int ask_claimed(struct pw_worker *w, int64_t *ret_claimed, struct pw_err *err)
{
    PGresult *res = NULL;

    pw_tx_reset_arrays(w->tx.claim, C_N);
    for (size_t i = 0; i < w->pipe->topics_n; i++)
        if (pw_array_put_text(&w->tx.claim[C_TOPIC], w->pipe->topics[i], strlen(w->pipe->topics[i]), err) < 0)
            return -1;
    if (pw_tx_queue_arrays(&w->tx, "pawl_cover", w->tx.claim, C_PARTITION, err) < 0 || pw_conn_sync(&w->conn, err) < 0 ||
        pw_conn_result(&w->conn, &res, err) < 0)
        return -1;
    for (int r = 0; r < PQntuples(res); r++)
        ret_claimed[pw_tx_int8(res, r, 0) - 1] = pw_tx_int8(res, r, 1);
    PQclear(res);
    return pw_conn_synced(&w->conn, err);
}

/* 1: all are claimed; 0: not; -1: not known. */
static int covered(struct pw_worker *w, size_t *ret_topic, int64_t *ret_claimed, int32_t *ret_n, struct pw_err *err)
{
    int64_t *claimed;

    pw_arena_reset(w->scratch);
    claimed = pw_arena_array(w->scratch, w->pipe->topics_n, sizeof(*claimed));
    if (ask_claimed(w, claimed, err) < 0)
        return -1;
    for (size_t i = 0; i < w->pipe->topics_n; i++) {
        if (pw_ask_partitions(w->consumer.rk, w->pipe->topics[i], ASK_MS, ret_n, err) < 0)
            return -1;
        if (claimed[i] < *ret_n) {
            *ret_topic   = i;
            *ret_claimed = claimed[i];
            return 0;
        }
    }
    return 1;
}

static void ask_for_rebalance(struct pw_worker *w, size_t topic, int64_t claimed, int32_t n)
{
    struct pw_cover *co = &w->cover;
    struct pw_log_at at = { .topic = w->pipe->topics[topic], .partition = -1, .offset = -1 };
    struct pw_err    err;

    pw_log(
        PW_LOG_WARN, "group.incomplete", &at,
        "the topic has %d partitions and the group has claimed %lld: it may have grown while nobody looked; asking for a rebalance",
        n, (long long)claimed);
    if (pw_consumer_rejoin(&w->consumer, &err) < 0)
        pw_log(PW_LOG_WARN, "group.incomplete", &at, "%s", err.text);
    co->missing = 0;
    co->wait_us = co->wait_us ? co->wait_us * 2 : 4 * LOOK_US; /* another worker may be down for long: no storm of rebalances */
    co->wait_us = co->wait_us > WAIT_MAX_US ? WAIT_MAX_US : co->wait_us;
    co->look_at_us = pw_clock_us() + co->wait_us;
}

/* While our own are not running, the start is not over: a rebalance would only make it longer. */
static bool own_are_claimed(const struct pw_worker *w)
{
    for (size_t i = 0; i < w->parts_n; i++)
        if (w->parts[i].state != PW_PART_RUNNING && w->parts[i].state != PW_PART_HALTED)
            return false;
    return true;
}

void pw_worker_cover(struct pw_worker *w)
{
    struct pw_cover *co      = &w->cover;
    int64_t          claimed = 0, now = pw_clock_us();
    size_t           topic = 0;
    int32_t          n     = 0;
    struct pw_err    err;

    if (co->done || w->is_aside || !pw_conn_alive(&w->conn) || w->consumer.revoked || w->consumer.assigned)
        return;
    if (!co->look_at_us || !own_are_claimed(w)) {
        co->missing    = 0;
        co->look_at_us = now + FIRST_LOOK_US > co->look_at_us ? now + FIRST_LOOK_US : co->look_at_us;
    }
    if (now < co->look_at_us)
        return;
    co->look_at_us = now + LOOK_US;
    switch (covered(w, &topic, &claimed, &n, &err)) {
    case 1: co->done = true; break;
    case 0:
        if (++co->missing >= LOOKS)
            ask_for_rebalance(w, topic, claimed, n);
        break;
    default:
        pw_log(PW_LOG_DEBUG, "group.incomplete", PW_LOG_AT_NONE, "%s", err.text);
        co->look_at_us = pw_clock_us() + RETRY_US; /* asking blocks while there is no broker */
        pw_conn_rollback(&w->conn);
        break;
    }
}
