/* What Kafka tells of an event: its record, and records that name it. Readers without a group: nobody's position moves. */
#include "base/clock.h"
#include "cli/explain_parts.h"
#include "kafka/ask.h"

#include <stdlib.h>
#include <string.h>

#define ASK_MS    15000
#define RECORD_US 20000000 /* until the reader of one record gives up */
#define BATCH     500

static bool open_reader(struct pw_explain *ex)
{
    rd_kafka_t *kept = ex->dl.op.rk;

    if (ex->reader)
        return true;
    ex->dl.op.rk = NULL;
    if (pw_ops_kafka_reader(&ex->dl.op) == 0)
        ex->reader = ex->dl.op.rk;
    ex->dl.op.rk = kept;
    return ex->reader != NULL;
}

/* ---- one record ---- */

static void *copy(struct pw_explain *ex, const void *p, size_t n)
{
    return p ? pw_arena_copy(ex->dl.op.ar, n ? p : "", n ? n : 1) : NULL;
}

static void take_headers(struct pw_explain *ex, const rd_kafka_message_t *m, struct pw_life_record *re)
{
    rd_kafka_headers_t    *hdrs = NULL;
    struct pw_life_header *list;
    const char            *name;
    const void            *value;
    size_t                 n;

    if (rd_kafka_message_headers(m, &hdrs))
        return;
    list = pw_arena_array(ex->dl.op.ar, rd_kafka_header_cnt(hdrs), sizeof(*list));
    while (!rd_kafka_header_get_all(hdrs, re->headers_n, &name, &value, &n))
        list[re->headers_n++] = (struct pw_life_header){ pw_arena_strdup(ex->dl.op.ar, name), copy(ex, value, n), n };
    re->headers = list;
}

static void take_record(struct pw_explain *ex, const rd_kafka_message_t *m, struct pw_life_record *re)
{
    rd_kafka_timestamp_type_t type;

    re->is           = PW_RECORD_THERE;
    re->timestamp_ms = rd_kafka_message_timestamp(m, &type);
    re->by_broker    = type == RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME;
    re->key          = copy(ex, m->key, m->key_len);
    re->key_n        = m->key_len;
    re->value        = copy(ex, m->payload, m->len);
    re->value_n      = m->len;
    take_headers(ex, m, re);
}

/* true: it is decided. */
static bool look(struct pw_explain *ex, const rd_kafka_message_t *m, int64_t offset, struct pw_life_record *re)
{
    if (m->err && m->err != RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        re->why = rd_kafka_err2str(m->err);
        return true;
    }
    if (!m->err && m->offset < offset)
        return false;
    if (!m->err && m->offset == offset)
        take_record(ex, m, re);
    else
        re->is = PW_RECORD_NONE;
    return true;
}

static void read_record(struct pw_explain *ex, const struct pw_life_place *at, struct pw_life_record *re)
{
    rd_kafka_topic_t *rkt      = rd_kafka_topic_new(ex->reader, at->topic, NULL);
    int64_t           until_us = pw_clock_us() + RECORD_US;
    bool              done     = false;

    if (!rkt || rd_kafka_consume_start(rkt, at->partition, at->offset) < 0) {
        re->why = rd_kafka_err2str(rd_kafka_last_error());
    } else {
        re->why = "the brokers do not answer";
        while (!done && pw_clock_us() < until_us) {
            rd_kafka_message_t *m = rd_kafka_consume(rkt, at->partition, 200);

            done = m && look(ex, m, at->offset, re);
            if (m)
                rd_kafka_message_destroy(m);
        }
        (void)rd_kafka_consume_stop(rkt, at->partition); /* it is thrown away either way */
    }
    if (re->is != PW_RECORD_UNKNOWN)
        re->why = NULL;
    if (rkt)
        rd_kafka_topic_destroy(rkt);
}

void pw_explain_record(struct pw_explain *ex, struct pw_life_event *ev)
{
    struct pw_life_record *re = &ev->record;
    struct pw_err          err;

    *re = (struct pw_life_record){ .low = -1, .end = -1 };
    if (!open_reader(ex)) {
        re->why = "no client could be made";
        return;
    }
    if (pw_ask_bounds(ex->reader, ev->at.topic, ev->at.partition, ASK_MS, &re->low, &re->end, &err) < 0) {
        re->low = re->end = -1;
        re->is            = err.disp == PW_D_REJECT ? PW_RECORD_NO_TOPIC : PW_RECORD_UNKNOWN;
        re->why           = pw_arena_strdup(ex->dl.op.ar, err.text);
    } else if (ev->at.offset < re->low) {
        re->is = PW_RECORD_REMOVED;
    } else if (ev->at.offset >= re->end) {
        re->is = PW_RECORD_BEYOND;
    } else {
        read_record(ex, &ev->at, re);
    }
}

/* ---- many ---- */

struct part {
    rd_kafka_topic_t *rkt;
    int32_t           partition;
    int64_t           end;
    bool              started, done;
};

struct searching {
    struct pw_explain              *ex;
    const struct pw_explain_search *se;
    rd_kafka_queue_t               *queue;
    rd_kafka_topic_t              **topics;
    struct part                    *parts;
    size_t                          parts_n, open;
    const char                     *why;
};

/* Begins with the first record from that time on. */
static void start_part(struct searching *sg, const char *topic, rd_kafka_topic_t *rkt, int32_t partition)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_t      *tp   = rd_kafka_topic_partition_list_add(list, topic, partition);
    struct part                     *pa   = &sg->parts[sg->parts_n];
    int64_t                          low, from;
    struct pw_err                    err;
    rd_kafka_resp_err_t              rc;

    *pa        = (struct part){ .rkt = rkt, .partition = partition };
    tp->offset = sg->se->from_ms;
    rc         = rd_kafka_offsets_for_times(sg->ex->reader, list, ASK_MS);
    rc         = rc ? rc : tp->err;
    from       = tp->offset;
    rd_kafka_topic_partition_list_destroy(list);
    if (rc) {
        sg->why = pw_arena_printf(sg->ex->dl.op.ar, "%s[%d] could not be searched: %s", topic, partition, rd_kafka_err2str(rc));
    } else if (pw_ask_bounds(sg->ex->reader, topic, partition, ASK_MS, &low, &pa->end, &err) < 0) {
        sg->why = pw_arena_strdup(sg->ex->dl.op.ar, err.text);
    } else if (from >= 0 && from < pa->end) {
        pa->started = rd_kafka_consume_start_queue(rkt, partition, from, sg->queue) == 0;
        if (!pa->started)
            sg->why = rd_kafka_err2str(rd_kafka_last_error());
    }
    sg->parts_n += pa->started;
    sg->open += pa->started;
}

static void start_topic(struct searching *sg, size_t t)
{
    const char   *topic = sg->se->topics[t];
    int32_t       n     = 0;
    struct pw_err err;

    sg->topics[t] = rd_kafka_topic_new(sg->ex->reader, topic, NULL);
    if (!sg->topics[t] || pw_ask_partitions(sg->ex->reader, topic, ASK_MS, &n, &err) < 0) {
        sg->why = sg->topics[t] ? pw_arena_strdup(sg->ex->dl.op.ar, err.text) : "no memory for a topic";
        return;
    }
    sg->parts = realloc(sg->parts, (sg->parts_n + (size_t)n) * sizeof(*sg->parts) + 1);
    PW_ASSERT(sg->parts != NULL);
    for (int32_t p = 0; p < n; p++)
        if (sg->se->partition < 0 || sg->se->partition == p)
            start_part(sg, topic, sg->topics[t], p);
}

static void take(struct searching *sg, const rd_kafka_message_t *m)
{
    for (size_t i = 0; i < sg->parts_n; i++) {
        struct part *pa = &sg->parts[i];
        bool         end;

        if (pa->done || pa->rkt != m->rkt || pa->partition != m->partition)
            continue;
        if (m->err && m->err != RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            sg->why = rd_kafka_err2str(m->err);
            end     = true;
        } else {
            end = m->err || m->offset >= pa->end || sg->se->take(sg->se->arg, m) || m->offset + 1 >= pa->end;
        }
        pa->done = end;
        sg->open -= end;
    }
}

static void read_parts(struct searching *sg)
{
    int64_t             until_us = pw_clock_us() + sg->ex->search_us;
    rd_kafka_message_t *got[BATCH];

    while (sg->open && pw_clock_us() < until_us) {
        ssize_t n = rd_kafka_consume_batch_queue(sg->queue, 200, got, BATCH);

        for (ssize_t i = 0; i < n; i++) {
            take(sg, got[i]);
            rd_kafka_message_destroy(got[i]);
        }
    }
    if (sg->open)
        sg->why = "not all was looked at in that time: --wait SECONDS gives it more";
    for (size_t i = 0; i < sg->parts_n; i++)
        (void)rd_kafka_consume_stop(sg->parts[i].rkt, sg->parts[i].partition); /* it is thrown away either way */
}

void pw_explain_search(struct pw_explain *ex, const struct pw_explain_search *se, const char **ret_why)
{
    struct searching sg = { .ex = ex, .se = se };

    if (!open_reader(ex)) {
        *ret_why = "no client could be made";
        return;
    }
    sg.queue  = rd_kafka_queue_new(ex->reader);
    sg.topics = calloc(se->topics_n + 1, sizeof(rd_kafka_topic_t *));
    PW_ASSERT(sg.queue && sg.topics);
    for (size_t t = 0; t < se->topics_n; t++)
        start_topic(&sg, t);
    read_parts(&sg);
    for (size_t t = 0; t < se->topics_n; t++)
        if (sg.topics[t])
            rd_kafka_topic_destroy(sg.topics[t]);
    rd_kafka_queue_destroy(sg.queue);
    free(sg.topics);
    free(sg.parts);
    *ret_why = sg.why;
}

bool pw_explain_header(const rd_kafka_message_t *m, const char *name, const void **ret, size_t *ret_n)
{
    rd_kafka_headers_t *hdrs = NULL;

    return !rd_kafka_message_headers(m, &hdrs) && !rd_kafka_header_get_last(hdrs, name, ret, ret_n) && *ret;
}
