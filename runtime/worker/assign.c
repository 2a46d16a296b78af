/* What the group gives and takes, and how a partition comes to run: WANTED, claimed in PostgreSQL, assigned at exactly
 * the stored offset, its first record compared with the last one applied. */
#include "base/clock.h"
#include "base/fault.h"
#include "kafka/ask.h"
#include "observe/log.h"
#include "worker/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLAIM_PAUSE_US    100000
#define RECLAIM_PAUSE_US  1000000
#define RECLAIM_MAX_US    30000000
#define WATERMARK_WAIT_MS 500
#define BOUNDS_PAUSE_US   1000000 /* between two looks at the bounds of one log */
#define ENDS_EVERY_US     500000
#define REVOKE_SETTLE_US  1000000
#define REVOKE_FORGET_MS  1000
/* Per partition. */
#define QUEUE_MESSAGES 12000
#define QUEUE_KBYTES   8192
#define QUEUE_LONG     256 /* from here on it is worth saying that it has become short */

static struct pw_log_at at_part(const struct pw_part *pt, int64_t offset)
{
    return (struct pw_log_at){ .topic = pt->topic, .partition = pt->partition, .offset = offset };
}

/* librdkafka's own threads call this. */
static void log_from_kafka(int level, const char *facility, const char *text)
{
    pw_log(level <= 4 ? PW_LOG_WARN : PW_LOG_DEBUG, "kafka.log", PW_LOG_AT_NONE, "%s: %s", facility, text);
}

int pw_worker_open_consumer(struct pw_worker *w, struct pw_err *err)
{
    const struct pw_topology   *tp     = w->args->topology;
    const char                **keys   = pw_arena_array(w->life, tp->kafka_n, sizeof(*keys));
    const char                **values = pw_arena_array(w->life, tp->kafka_n, sizeof(*values));
    struct pw_consumer_settings se     = {
            .keys           = keys,
            .values         = values,
            .properties_n   = tp->kafka_n,
            .group          = w->pipe->group,
            .instance_id    = pw_arena_printf(w->life, "%s-%s-%u", tp->instance, w->pipe->name, w->args->slot),
            .queue_messages = QUEUE_MESSAGES,
            .queue_kbytes   = QUEUE_KBYTES,
    };

    for (size_t i = 0; i < tp->kafka_n; i++) {
        keys[i]   = tp->kafka[i].key;
        values[i] = tp->kafka[i].value;
    }
    w->consumer.log = log_from_kafka;
    return pw_consumer_open(&w->consumer, &se, err);
}

int pw_worker_open_publisher(struct pw_worker *w, struct pw_err *err)
{
    const struct pw_topology    *tp     = w->args->topology;
    const char                 **keys   = pw_arena_array(w->life, tp->kafka_n, sizeof(*keys));
    const char                 **values = pw_arena_array(w->life, tp->kafka_n, sizeof(*values));
    const char                 **topics = pw_arena_array(w->life, w->pipe->outputs_n + 1, sizeof(*topics));
    struct pw_publisher_settings se     = {
            .consumer         = w->consumer.rk,
            .group            = w->pipe->group,
            .dsn              = tp->postgres_dsn,
            .application_name = pw_arena_printf(w->life, "pawl %s/%u publisher", w->pipe->name, w->args->slot),
            .dlq_topic        = w->pipe->dlq_topic,
            .has_outputs      = w->plugin->n_outputs > 0,
            .producer         = { .keys             = keys,
                                  .values           = values,
                                  .properties_n     = tp->kafka_n,
                                  .topics           = topics,
                                  .topics_n         = w->pipe->outputs_n,
                                  .transactional_id = pw_arena_printf(w->life, "pawl-%s-%s-%s-%u", w->pipe->group, tp->instance,
                                                                      w->pipe->name, w->args->slot),
                                  .log              = log_from_kafka },
            .tracer           = w->tracing.tracer,
            .bb               = w->bb,
    };

    for (size_t i = 0; i < tp->kafka_n; i++) {
        keys[i]   = tp->kafka[i].key;
        values[i] = tp->kafka[i].value;
    }
    for (size_t i = 0; i < w->pipe->outputs_n; i++)
        topics[i] = w->pipe->outputs[i].value;
    if (w->pipe->dlq_topic)
        topics[se.producer.topics_n++] = w->pipe->dlq_topic;
    return pw_publisher_start(&se, &w->publisher, err);
}

/* ---- what the group decided ---- */

static void forget_partitions(struct pw_worker *w, int publisher_ms)
{
    static const struct pw_bb_partition_view empty = { .state = PW_BB_P_NONE };

    pw_publisher_forget(w->publisher, publisher_ms);
    for (size_t i = 0; i < w->parts_n; i++) {
        pw_bb_partition_write(w->bb, w->parts[i].slot, &empty, 0);
        pw_part_done(&w->parts[i]);
    }
    free(w->parts);
    w->parts   = NULL;
    w->parts_n = 0;
}

static uint32_t topic_index(const struct pw_worker *w, const char *topic)
{
    uint32_t i = 0;

    while (i < w->pipe->topics_n && strcmp(w->pipe->topics[i], topic) != 0)
        i++;
    PW_ASSERT(i < w->pipe->topics_n);
    return i;
}

static void take_assignment(struct pw_worker *w)
{
    rd_kafka_topic_partition_list_t *list = w->consumer.assigned;

    w->consumer.assigned = NULL;
    forget_partitions(w, 0);
    w->parts = calloc((size_t)list->cnt + 1, sizeof(*w->parts));
    PW_ASSERT(w->parts != NULL);
    for (int i = 0; i < list->cnt; i++) {
        uint32_t topic = topic_index(w, list->elems[i].topic);

        pw_part_init(&w->parts[w->parts_n++], w->pipe->topics[topic], topic, list->elems[i].partition, (uint32_t)i);
    }
    if (w->parts_n > PW_BB_PARTITIONS)
        pw_log(PW_LOG_WARN, "worker.partitions", PW_LOG_AT_NONE, "%zu partitions; metrics and status show the first %d",
               w->parts_n, PW_BB_PARTITIONS);
    pw_log(PW_LOG_INFO, "group.assigned", PW_LOG_AT_NONE, "%d partitions", list->cnt);
    rd_kafka_topic_partition_list_destroy(list);
    w->claim_at_us         = 0;
    w->claims_failed       = 0;
    w->consumer.trouble_us = 0;
}

bool pw_worker_settle(struct pw_worker *w, int64_t timeout_us)
{
    int64_t until_us = pw_clock_us() + timeout_us;

    while (!pw_publisher_settled(w->publisher)) {
        if (pw_clock_us() >= until_us || w->consumer.fatal)
            return false;
        (void)pw_worker_turn(w, -1, 0, until_us);
    }
    return true;
}

bool pw_worker_leave_clean(struct pw_worker *w, int64_t timeout_us)
{
    struct pw_err err;

    if (!pw_worker_settle(w, timeout_us))
        return false;
    if (pw_conn_alive(&w->conn) && pw_worker_sweep(w, &err) < 0) {
        pw_log(PW_LOG_WARN, "worker.sweep", PW_LOG_AT_NONE, "%s", err.text);
        pw_conn_rollback(&w->conn);
    }
    return true;
}

void pw_worker_rebalance(struct pw_worker *w)
{
    if (w->consumer.revoked) {
        bool lost = w->consumer.lost;

        PW_FAULT(revoke);
        if (!lost) /* the next owner then finds everything published; what is not, it publishes */
            (void)pw_worker_leave_clean(w, REVOKE_SETTLE_US);
        pw_log(PW_LOG_INFO, "group.revoked", PW_LOG_AT_NONE, "%zu partitions%s", w->parts_n, w->consumer.lost ? ", lost" : "");
        w->consumer.revoked = w->consumer.lost = false;
        forget_partitions(w, lost ? 0 : REVOKE_FORGET_MS);
        if (!w->consumer.assigned) /* else the next assignment is here already */
            pw_consumer_unassign(&w->consumer);
    }
    if (w->consumer.assigned)
        take_assignment(w);
}

/* ---- claim ---- */

/* How many partitions its topic has as the group begins with it: what is above came later. */
static int partitions_now(void *arg, const struct pw_part *pt, int32_t *ret_n, struct pw_err *err)
{
    struct pw_worker *w  = arg;
    struct pw_log_at  at = at_part(pt, -1);

    if (pw_ask_partitions(w->consumer.rk, pt->topic, WATERMARK_WAIT_MS, ret_n, err) < 0) {
        pw_log(PW_LOG_WARN, "partition.start", &at, "%s", err->text);
        return -1;
    }
    *ret_n = *ret_n > pt->partition ? *ret_n : pt->partition + 1; /* a broker may be behind; this one was assigned */
    return 0;
}

/* A partition that this group has never read: where its topology says, decided once. One that was added later: from its first
 * record, or what was written before somebody noticed would be lost. */
static int first_offset(void *arg, const struct pw_part *pt, bool added, int64_t *ret_offset, struct pw_err *err)
{
    struct pw_worker *w = arg;
    int64_t           low, end;

    if (pw_consumer_watermarks(&w->consumer, pt->topic, pt->partition, WATERMARK_WAIT_MS, &low, &end, err) < 0) {
        struct pw_log_at at = at_part(pt, -1);

        pw_log(PW_LOG_WARN, "partition.start", &at, "%s", err->text);
        return -1;
    }
    *ret_offset = w->pipe->start == PW_START_LATEST && !added ? end : low;
    if (added) {
        struct pw_log_at at = at_part(pt, low);

        pw_log(
            PW_LOG_WARN, "partition.added", &at,
            "the topic has grown; keys move between partitions, so the order of a key holds only for what is written after its "
            "old partition's backlog is done");
    }
    return 0;
}

static void aim(struct pw_part *pt, struct pw_consumer *co)
{
    if (!pt->queue)
        pt->queue = pw_consumer_queue(co, pt->topic, pt->partition);
    pt->check_bookmark = pt->has_bookmark && PW_GUARD(bookmark);
    pt->expected       = pt->next_offset;
    pt->eof_offset     = -1;
}

/* Records come while the publisher still reads the group's position; they wait until it is known. */
static bool is_fetched(const struct pw_part *pt)
{
    return pt->state == PW_PART_RUNNING || (pt->state == PW_PART_OPENING && pt->publication != PW_PART_NOT_PUBLISHED);
}

/* Everything that runs or will, each from where it stands. */
static void assign(struct pw_worker *w)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)w->parts_n);
    struct pw_err                    err;

    for (size_t i = 0; i < w->parts_n; i++) {
        struct pw_part *pt = &w->parts[i];

        if (pt->state == PW_PART_CLAIMED && pw_clock_us() >= pt->bounds_at_us) {
            aim(pt, &w->consumer);
            pt->state = PW_PART_RUNNING;
        }
        if (!is_fetched(pt))
            continue;
        rd_kafka_topic_partition_list_add(list, pt->topic, pt->partition)->offset = pt->check_bookmark ? pt->bookmark_offset :
                                                                                                         pt->expected;
    }
    if (pw_consumer_assign(&w->consumer, list, &err) < 0)
        pw_log(PW_LOG_ERROR, "group.assign", PW_LOG_AT_NONE, "%s", err.text);
    rd_kafka_topic_partition_list_destroy(list);
}

static void ask_cluster_id(struct pw_worker *w)
{
    char *id;

    if (w->cluster_id[0] || !(id = rd_kafka_clusterid(w->consumer.rk, 0)))
        return;
    (void)snprintf(w->cluster_id, sizeof(w->cluster_id), "%s", id);
    rd_kafka_mem_free(w->consumer.rk, id);
}

static bool claim_due(struct pw_worker *w)
{
    int64_t now = pw_clock_us();
    bool    due = false;

    if (w->is_aside || !pw_conn_alive(&w->conn) || now < w->claim_at_us)
        return false;
    for (size_t i = 0; i < w->parts_n; i++)
        due = due || w->parts[i].state == PW_PART_WANTED;
    return due;
}

/* Claimed: the publisher reads where the group stands before the first record is handled; fetching need not wait for that. */
static void open_claimed(struct pw_worker *w)
{
    for (size_t i = 0; i < w->parts_n; i++) {
        struct pw_part *pt = &w->parts[i];

        if (pt->state != PW_PART_OPENING || pt->publication != PW_PART_NOT_PUBLISHED)
            continue;
        pt->publication = pw_publisher_add(w->publisher, pt->topic, pt->partition, pt->next_offset, pt->outbox_seq,
                                           pt->published_seq, &pt->decided);
        aim(pt, &w->consumer);
    }
    pw_publisher_added(w->publisher);
    assign(w);
}

void pw_worker_open_parts(struct pw_worker *w)
{
    bool    due = false, opened = false;
    int64_t now = pw_clock_us();

    for (size_t i = 0; i < w->parts_n; i++) {
        struct pw_part *pt = &w->parts[i];
        int64_t         published;
        char            why[sizeof(pt->reason)];

        due = due || (pt->state == PW_PART_CLAIMED && now >= pt->bounds_at_us);
        if (pt->state != PW_PART_OPENING || pt->publication == PW_PART_NOT_PUBLISHED)
            continue;
        switch (pw_publisher_state(w->publisher, pt->publication, &published, why, sizeof(why))) {
        case PW_PUB_OPENING: break;
        case PW_PUB_OPEN:
            pt->state = PW_PART_RUNNING;
            opened    = true;
            break;
        case PW_PUB_HALTED: pw_part_halt(pt, 1, 0, "%s", why); break;
        }
    }
    if (due)
        assign(w);
    if (opened) /* the bell for what came meanwhile has rung */
        pw_worker_receive(w);
}

static void log_claimed(const struct pw_worker *w)
{
    for (size_t i = 0; i < w->parts_n; i++) {
        const struct pw_part *pt = &w->parts[i];
        struct pw_log_at      at = at_part(pt, pt->next_offset);

        if (pt->state == PW_PART_OPENING)
            pw_log(PW_LOG_DEBUG, "partition.claimed", &at, "epoch %lld", (long long)pt->owner_epoch);
        else if (pt->state == PW_PART_HALTED && !pt->expected)
            pw_log(PW_LOG_ERROR, "partition.halted", &at, "%s", pt->reason);
    }
}

void pw_worker_claim(struct pw_worker *w)
{
    struct pw_start_hook start   = { .start = first_offset, .partitions = partitions_now, .arg = w };
    size_t               claimed = 0;
    struct pw_err        err;

    if (!claim_due(w))
        return;
    ask_cluster_id(w);
    start.cluster_id = w->cluster_id[0] ? w->cluster_id : NULL;
    pw_arena_reset(w->scratch);
    w->claim_at_us = pw_clock_us() + CLAIM_PAUSE_US;
    if (pw_tx_claim(&w->tx, w->scratch, w->parts, w->parts_n, &start, w->claims_failed % 2 == 1, &claimed, &err) < 0) {
        pw_log(PW_LOG_WARN, "partition.claim", PW_LOG_AT_NONE, "%s", err.text);
        pw_conn_rollback(&w->conn);
    } else if (!claimed) {
        w->claims_failed++;
    }
    if (!claimed) /* some may be ours although others failed */
        return;
    w->claims_failed = 0;
    w->strikes.stale = true;
    log_claimed(w);
    open_claimed(w);
    (void)pw_worker_strikes_known(w); /* meanwhile; if it fails, the first batch asks again */
}

void pw_worker_reclaim(struct pw_worker *w, struct pw_part *pt, const char *why)
{
    struct pw_log_at at    = at_part(pt, pt->next_offset);
    int64_t          pause = (int64_t)RECLAIM_PAUSE_US << (pt->reclaims < 5 ? pt->reclaims : 5);

    pw_log(PW_LOG_WARN, "partition.fenced", &at, "%s", why);
    pw_bb_add(&w->bb->fenced, 1);
    pw_part_clear(pt);
    pt->state = PW_PART_WANTED;
    pt->reclaims++;
    pt->retry_at_us   = 0;
    pt->attempt       = 0;
    pt->reclaim_at_us = pw_clock_us() + (pause > RECLAIM_MAX_US ? RECLAIM_MAX_US : pause);
    w->claim_at_us    = 0;
}

/* ---- receive ---- */

static void halt(struct pw_part *pt, int64_t from, int64_t to, const char *what)
{
    struct pw_log_at at = at_part(pt, pt->next_offset);

    if (from <= to)
        pw_part_halt(pt, from, to, "%s: offsets %lld to %lld are missing", what, (long long)from, (long long)to);
    else
        pw_part_halt(pt, from, to, "%s", what);
    pw_log(PW_LOG_ERROR, "partition.halted", &at, "%s", pt->reason);
}

/* The broker refused the offset. If only the bookmark is gone, go on without it; else the range is missing. */
static void out_of_range(struct pw_worker *w, struct pw_part *pt)
{
    int64_t       low, end;
    struct pw_err err;
    char          what[120];

    pt->bounds_at_us = pw_clock_us() + BOUNDS_PAUSE_US;
    if (pw_consumer_watermarks(&w->consumer, pt->topic, pt->partition, WATERMARK_WAIT_MS, &low, &end, &err) < 0) {
        struct pw_log_at at = at_part(pt, pt->next_offset);

        pw_log(PW_LOG_WARN, "partition.bounds", &at, "%s", err.text);
        pw_part_clear(pt);
        pt->state = PW_PART_CLAIMED; /* assigned again, and refused again, until the broker tells */
        return;
    }
    pt->end_offset = end;
    if (pt->next_offset < low) {
        halt(pt, pt->next_offset, low - 1, "the log was cut below the stored offset");
    } else if (pt->next_offset > end) {
        (void)snprintf(what, sizeof(what), "the log ends at %lld, before the stored offset %lld: truncated or recreated topic",
                       (long long)end, (long long)pt->next_offset);
        halt(pt, end, pt->next_offset - 1, what);
    } else {
        pw_part_clear(pt);
        pt->has_bookmark = false; /* the record before is gone; nothing says that the log is another one */
        pt->state        = PW_PART_CLAIMED;
    }
}

/* false: this was the bookmark, or something below what is expected. */
static bool accept_record(struct pw_worker *w, struct pw_part *pt, const rd_kafka_message_t *m)
{
    if (pt->check_bookmark) {
        pt->check_bookmark = false;
        if (m->offset == pt->bookmark_offset) {
            if (pw_part_fingerprint(m) != pt->bookmark_hash)
                halt(pt, 1, 0, "the record before the stored offset is not the one that was applied: the topic was recreated");
            return false;
        }
    }
    if (m->offset < pt->expected) {
        pw_bb_add(&w->bb->stale_messages, 1);
        return false;
    }
    if (m->offset > pt->expected)
        pw_bb_add(&w->bb->offset_jumps, 1);
    pt->expected = m->offset + 1;
    return true;
}

static void take_error(struct pw_worker *w, struct pw_part *pt, const rd_kafka_message_t *m)
{
    struct pw_log_at at = at_part(pt, pt->next_offset);

    switch ((int)m->err) {
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
        pt->eof_offset = m->offset;
        if (m->offset < pt->expected) /* the log is shorter than what we have read of it */
            out_of_range(w, pt);
        break;
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE: out_of_range(w, pt); break;
    default:
        w->consumer.errors++;
        pw_log(PW_LOG_WARN, "partition.error", &at, "%s: %s", rd_kafka_err2name(m->err), rd_kafka_message_errstr(m));
        break;
    }
}

static void receive_from(struct pw_worker *w, struct pw_part *pt)
{
    /* asked once: it takes a lock, and a look at an empty queue costs more */
    size_t there = pt->state == PW_PART_RUNNING ? rd_kafka_queue_length(pt->queue) : 0;

    pt->peak = there > pt->peak ? there : pt->peak;
    for (; pt->state == PW_PART_RUNNING && there > 0 && pw_part_has_room(pt, w->batch_cap, w->pipe->batch_max_bytes); there--) {
        rd_kafka_message_t *m = rd_kafka_consume_queue(pt->queue, 0);

        if (!m)
            break;
        if (m->err && (m->err != RD_KAFKA_RESP_ERR__PARTITION_EOF || m->offset < pt->expected) && w->in_batch) {
            PW_ASSERT(!pt->held);
            pt->held = m; /* it may cost the partition its records, which the batch is using */
            break;
        }
        if (m->err || !accept_record(w, pt, m)) {
            if (m->err)
                take_error(w, pt, m);
            rd_kafka_message_destroy(m);
            continue;
        }
        pw_part_push(pt, m);
    }
    if (pt->peak >= QUEUE_LONG && there < pt->peak / 2) {
        pw_consumer_hurry(&w->consumer);
        pt->peak = there;
    }
}

void pw_worker_receive(struct pw_worker *w)
{
    for (size_t i = 0; i < w->parts_n; i++) {
        struct pw_part *pt = &w->parts[i];

        if (pt->held && w->in_batch)
            continue;
        if (pt->held) {
            rd_kafka_message_t *m = pt->held;

            pt->held = NULL;
            take_error(w, pt, m);
            rd_kafka_message_destroy(m);
        }
        receive_from(w, pt);
    }
}

/* The publisher has read its position again, and it does not fit any more. */
static void halt_if_unpublishable(struct pw_worker *w, struct pw_part *pt)
{
    int64_t published;
    char    why[sizeof(pt->reason)];

    if (pw_publisher_state(w->publisher, pt->publication, &published, why, sizeof(why)) == PW_PUB_HALTED)
        pw_part_halt(pt, 1, 0, "%s", why);
}

void pw_worker_publish(struct pw_worker *w)
{
    int64_t now = pw_clock_us(), wall_ms = pw_clock_wall_us() / 1000;

    for (size_t i = 0; i < w->parts_n; i++) {
        struct pw_part *pt = &w->parts[i];

        if (now >= w->ends_at_us && pt->publication != PW_PART_NOT_PUBLISHED && pt->state != PW_PART_WANTED)
            pt->unpublished = pw_publisher_waiting_of(w->publisher, pt->publication);
        if (now >= w->ends_at_us && pt->state == PW_PART_RUNNING) {
            halt_if_unpublishable(w, pt);
            int64_t end = pw_consumer_end(&w->consumer, pt->topic, pt->partition);

            pt->end_offset = end >= 0 ? end : pt->end_offset;
        }
        if (pt->end_offset >= 0 && pt->end_offset < pt->next_offset && pt->state != PW_PART_HALTED)
            pt->end_offset = pt->next_offset; /* what is applied was there */
        if (pt->slot < PW_BB_PARTITIONS)
            pw_part_publish(pt, wall_ms, w->bb);
    }
    if (now >= w->ends_at_us)
        w->ends_at_us = now + ENDS_EVERY_US;
    atomic_store_explicit(&w->bb->outbox_waiting, (uint64_t)pw_publisher_waiting(w->publisher), memory_order_relaxed);
}
