#include "auto_kafka.h"

#include "auto_row.h"

#include <errno.h>
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WAIT_MS     30000
#define IDLE_MS     60000 /* of nothing at all from the brokers while reading */
#define DELIVERY_MS "120000"

static bool fail(const char *doing, const char *why)
{
    (void)fprintf(stderr, "auto-events: %s: %s\n", doing, why);
    return false;
}

static bool set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char why[256];

    return rd_kafka_conf_set(conf, name, value, why, sizeof(why)) == RD_KAFKA_CONF_OK || fail("configuration", why);
}

static bool set_all(rd_kafka_conf_t *conf, const struct auto_kafka *ka)
{
    if (!set(conf, "bootstrap.servers", ka->bootstrap))
        return false;
    for (size_t i = 0; i < ka->n_properties; i++) {
        char        name[128];
        const char *eq = strchr(ka->properties[i], '=');

        if (!eq || (size_t)(eq - ka->properties[i]) >= sizeof(name))
            return fail(ka->properties[i], "a property is name=value");
        (void)snprintf(name, sizeof(name), "%.*s", (int)(eq - ka->properties[i]), ka->properties[i]);
        if (!set(conf, name, eq + 1))
            return false;
    }
    return true;
}

/* Owns conf, whatever happens. */
static rd_kafka_t *client(rd_kafka_type_t type, rd_kafka_conf_t *conf, bool ok)
{
    char        why[256];
    rd_kafka_t *rk;

    if (!ok) {
        rd_kafka_conf_destroy(conf);
        return NULL;
    }
    rk = rd_kafka_new(type, conf, why, sizeof(why));
    if (!rk) {
        rd_kafka_conf_destroy(conf);
        (void)fail("client", why);
    }
    return rk;
}

/* ---- produce ---- */

struct produced {
    uint64_t            sent, delivered, failed;
    rd_kafka_resp_err_t why;
};

static void delivered(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    struct produced *pr = opaque;

    (void)rk;
    if (m->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        pr->delivered++;
    } else {
        pr->failed++;
        pr->why = m->err;
    }
}

static bool created(rd_kafka_event_t *ev, const char *topic)
{
    const rd_kafka_topic_result_t **results;
    rd_kafka_resp_err_t             err;
    size_t                          n = 0;

    if (!ev)
        return fail(topic, "create topic: no answer");
    if (rd_kafka_event_error(ev))
        return fail(topic, rd_kafka_event_error_string(ev));
    results = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(ev), &n);
    err     = n == 1 ? rd_kafka_topic_result_error(results[0]) : RD_KAFKA_RESP_ERR__FAIL;
    return err == RD_KAFKA_RESP_ERR_NO_ERROR || err == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS ||
           fail(topic, rd_kafka_err2str(err));
}

static bool create_topic(rd_kafka_t *rk, const char *topic, int partitions, int replication)
{
    char                     why[256];
    rd_kafka_NewTopic_t     *nt = rd_kafka_NewTopic_new(topic, partitions, replication, why, sizeof(why));
    rd_kafka_queue_t        *q;
    rd_kafka_AdminOptions_t *op;
    rd_kafka_event_t        *ev;
    bool                     ok;

    if (!nt)
        return fail("create topic", why);
    q  = rd_kafka_queue_new(rk);
    op = rd_kafka_AdminOptions_new(rk, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    /* Wait until the topic is known everywhere, not only until the request was taken. */
    (void)rd_kafka_AdminOptions_set_request_timeout(op, WAIT_MS, why, sizeof(why));
    (void)rd_kafka_AdminOptions_set_operation_timeout(op, WAIT_MS, why, sizeof(why));
    rd_kafka_CreateTopics(rk, &nt, 1, op, q);
    ev = rd_kafka_queue_poll(q, WAIT_MS + 5000);
    ok = created(ev, topic);
    if (ev)
        rd_kafka_event_destroy(ev);
    rd_kafka_AdminOptions_destroy(op);
    rd_kafka_queue_destroy(q);
    rd_kafka_NewTopic_destroy(nt);
    return ok;
}

static rd_kafka_headers_t *headers_of(const struct auto_kafka *ka, const struct auto_mix_event *ev)
{
    rd_kafka_headers_t *h          = rd_kafka_headers_new(6);
    const char *const   pairs[][2] = { { "ce_specversion", "1.0" }, { "ce_id", ev->ce_id },
                                       { "ce_type", ev->ce_type },  { "ce_source", ka->source ? ka->source : "/auto/generator" },
                                       { "ce_time", ev->ce_time },  { "content-type", "application/protobuf" } };

    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
        (void)rd_kafka_header_add(h, pairs[i][0], -1, pairs[i][1], -1); /* it can fail for frozen headers only */
    for (size_t i = 0; i < ka->n_headers; i++) {
        size_t n = strcspn(ka->headers[i], "=");

        (void)rd_kafka_header_add(h, ka->headers[i], (ssize_t)n, ka->headers[i] + n + (ka->headers[i][n] == '='), -1);
    }
    return h;
}

static bool send_event(rd_kafka_t *rk, const struct auto_kafka *ka, const struct auto_mix_event *ev, struct produced *pr)
{
    for (;;) {
        rd_kafka_headers_t *h   = headers_of(ka, ev);
        rd_kafka_resp_err_t err = rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(ka->topic), RD_KAFKA_V_KEY(ev->key, strlen(ev->key)),
                                                    RD_KAFKA_V_VALUE((void *)(uintptr_t)ev->value, ev->value_n),
                                                    RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_HEADERS(h),
                                                    RD_KAFKA_V_END);

        if (err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            pr->sent++;
            (void)rd_kafka_poll(rk, 0);
            return true;
        }
        rd_kafka_headers_destroy(h);
        if (err != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            return fail("produce", rd_kafka_err2str(err));
        (void)rd_kafka_poll(rk, 100);
    }
}

static int64_t monotonic_ns(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* The n-th event of a steady flow is not sent before its time. */
static void pace(rd_kafka_t *rk, int64_t start_ns, double rate, uint64_t n)
{
    int64_t         due = start_ns + (int64_t)((double)n / rate * 1e9);
    struct timespec ts  = { .tv_sec = due / 1000000000, .tv_nsec = due % 1000000000 };

    while (due > monotonic_ns() && clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
        ;
    (void)rd_kafka_poll(rk, 0);
}

static bool flush(rd_kafka_t *rk, const struct produced *pr, uint64_t count)
{
    char text[128];

    /* Each event is delivered or failed within message.timeout.ms, so this ends. */
    while (rd_kafka_outq_len(rk) > 0)
        (void)rd_kafka_flush(rk, 1000);
    if (pr->failed > 0) {
        (void)snprintf(text, sizeof(text), "%" PRIu64 " events were not delivered: %s", pr->failed, rd_kafka_err2str(pr->why));
        return fail("produce", text);
    }
    if (pr->delivered != count) {
        (void)snprintf(text, sizeof(text), "%" PRIu64 " events, but %" PRIu64 " delivery reports", count, pr->delivered);
        return fail("produce", text);
    }
    return true;
}

bool auto_kafka_produce(const struct auto_kafka *ka, const struct auto_mix_params *params, double rate, int partitions,
                        int replication)
{
    struct produced       pr   = { 0, 0, 0, RD_KAFKA_RESP_ERR_NO_ERROR };
    rd_kafka_conf_t      *conf = rd_kafka_conf_new();
    struct auto_mix      *mix  = auto_mix_new(params);
    struct auto_mix_event ev;
    rd_kafka_t           *rk;
    int64_t               start;
    bool                  ok;

    ok = set(conf, "enable.idempotence", "true") && set(conf, "acks", "all") && set(conf, "partitioner", "murmur2_random") &&
         set(conf, "linger.ms", rate > 0 ? "0" : "5") && set(conf, "queue.buffering.max.messages", "500000") &&
         set(conf, "message.timeout.ms", DELIVERY_MS) && set_all(conf, ka);
    rd_kafka_conf_set_dr_msg_cb(conf, delivered);
    rd_kafka_conf_set_opaque(conf, &pr);
    rk = client(RD_KAFKA_PRODUCER, conf, ok);
    ok = rk != NULL;
    if (!mix)
        ok = fail("events", "out of memory");
    if (ok && partitions > 0)
        ok = create_topic(rk, ka->topic, partitions, replication);
    start = monotonic_ns();
    while (ok && auto_mix_next(mix, &ev)) {
        if (rate > 0)
            pace(rk, start, rate, pr.sent);
        ok = send_event(rk, ka, &ev, &pr);
    }
    if (ok)
        ok = flush(rk, &pr, params->count + params->duplicates);
    if (ok)
        (void)fprintf(stderr,
                      "auto-events: %" PRIu64 " events acknowledged, %" PRIu64 " of them bad, %" PRIu64
                      " a second time, in %.1f s\n",
                      pr.delivered, params->bad, params->duplicates, (double)(monotonic_ns() - start) / 1e9);
    if (rk)
        rd_kafka_destroy(rk);
    auto_mix_free(mix);
    return ok;
}

/* ---- read ---- */

struct part {
    int64_t end; /* first offset that is not read */
    bool    done;
};

struct reading {
    auto_kafka_each  *each;
    void             *arg;
    rd_kafka_t       *rk;
    rd_kafka_topic_t *rkt;
    rd_kafka_queue_t *q;
    struct part      *parts;
    int               n, left;
};

static bool bounds(struct reading *rd, const char *topic, int32_t p)
{
    int64_t             low = 0, high = 0;
    rd_kafka_resp_err_t err = rd_kafka_query_watermark_offsets(rd->rk, topic, p, &low, &high, WAIT_MS);
    char                text[128];

    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        return fail(topic, rd_kafka_err2str(err));
    if (low > 0) {
        (void)snprintf(text, sizeof(text), "partition %" PRId32 " begins at offset %" PRId64 ": earlier records are gone", p,
                       low);
        return fail(topic, text);
    }
    rd->parts[p] = (struct part){ high, high == 0 };
    rd->left += high > 0;
    if (high > 0 && rd_kafka_consume_start_queue(rd->rkt, p, 0, rd->q) < 0)
        return fail(topic, rd_kafka_err2str(rd_kafka_last_error()));
    return true;
}

static int partitions_of(struct reading *rd, const char *topic)
{
    const struct rd_kafka_metadata *md;
    rd_kafka_resp_err_t             err = rd_kafka_metadata(rd->rk, 0, rd->rkt, &md, WAIT_MS);
    int                             n   = 0;

    if (err == RD_KAFKA_RESP_ERR_NO_ERROR && md->topic_cnt == 1) {
        err = md->topics[0].err;
        n   = md->topics[0].partition_cnt;
    }
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
        rd_kafka_metadata_destroy(md);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR || n == 0) {
        (void)fail(topic, err != RD_KAFKA_RESP_ERR_NO_ERROR ? rd_kafka_err2str(err) : "has no partitions");
        return 0;
    }
    return n;
}

static struct auto_row_bytes header(const rd_kafka_message_t *m, const char *name)
{
    struct auto_row_bytes b = { NULL, 0 };
    rd_kafka_headers_t   *h;

    if (rd_kafka_message_headers(m, &h) == RD_KAFKA_RESP_ERR_NO_ERROR)
        (void)rd_kafka_header_get_last(h, name, &b.p, &b.n); /* absent: b stays empty */
    return b;
}

/* What the event asks of the demo's bad release. */
static struct auto_row_bytes bug(const rd_kafka_message_t *m)
{
    static const char     before[] = AUTO_KAFKA_BUG_SOURCE;
    struct auto_row_bytes b        = header(m, "ce_source");

    if (!b.p || b.n <= strlen(before) || memcmp(b.p, before, strlen(before)) != 0)
        return (struct auto_row_bytes){ NULL, 0 };
    return (struct auto_row_bytes){ (const char *)b.p + strlen(before), b.n - strlen(before) };
}

static void done(struct reading *rd, int32_t p)
{
    if (!rd->parts[p].done)
        rd->left--;
    rd->parts[p].done = true;
}

static bool take(struct reading *rd, const rd_kafka_message_t *m)
{
    rd_kafka_timestamp_type_t tt;
    struct auto_row           row;

    if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) { /* what is left below the end is not for readers */
        done(rd, m->partition);
        return true;
    }
    if (m->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        return fail("read", rd_kafka_message_errstr(m));
    if (m->offset < rd->parts[m->partition].end) {
        row = (struct auto_row){ m->partition,
                                 m->offset,
                                 rd_kafka_message_timestamp(m, &tt),
                                 { m->key, m->key_len },
                                 header(m, "ce_id"),
                                 header(m, "ce_type"),
                                 { m->payload, m->len },
                                 bug(m),
                                 header(m, "pawl-redriven") };
        rd->each(rd->arg, &row);
    }
    if (m->offset + 1 >= rd->parts[m->partition].end)
        done(rd, m->partition);
    return true;
}

static bool read_all(struct reading *rd, const char *topic)
{
    rd->n = partitions_of(rd, topic);
    if (rd->n == 0)
        return false;
    rd->parts = calloc((size_t)rd->n, sizeof(*rd->parts));
    if (!rd->parts)
        return fail("read", "out of memory");
    for (int32_t p = 0; p < rd->n; p++)
        if (!bounds(rd, topic, p))
            return false;
    while (rd->left > 0) {
        rd_kafka_message_t *m = rd_kafka_consume_queue(rd->q, IDLE_MS);
        bool                ok;

        if (!m)
            return fail("read", "no record and no end of a partition for a minute");
        ok = take(rd, m);
        rd_kafka_message_destroy(m);
        if (!ok)
            return false;
    }
    return true;
}

bool auto_kafka_read_each(const struct auto_kafka *ka, bool read_committed, auto_kafka_each *each, void *arg)
{
    struct reading   rd   = { .each = each, .arg = arg };
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    bool             ok;

    ok = set(conf, "enable.partition.eof", "true") &&
         set(conf, "isolation.level", read_committed ? "read_committed" : "read_uncommitted") &&
         set(conf, "auto.offset.reset", "error") && set_all(conf, ka);
    rd.rk = client(RD_KAFKA_CONSUMER, conf, ok);
    if (!rd.rk)
        return false;
    rd.rkt = rd_kafka_topic_new(rd.rk, ka->topic, NULL);
    rd.q   = rd_kafka_queue_new(rd.rk);
    ok     = read_all(&rd, ka->topic);
    for (int32_t p = 0; rd.parts && p < rd.n; p++)
        if (rd.parts[p].end > 0)
            (void)rd_kafka_consume_stop(rd.rkt, p);
    free(rd.parts);
    rd_kafka_queue_destroy(rd.q);
    rd_kafka_topic_destroy(rd.rkt);
    rd_kafka_destroy(rd.rk);
    return ok;
}

static void print_row(void *out, const struct auto_row *row)
{
    auto_row_print(out, row);
}

bool auto_kafka_read(const struct auto_kafka *ka, bool read_committed, FILE *out)
{
    auto_row_header(out);
    if (!auto_kafka_read_each(ka, read_committed, print_row, out))
        return false;
    return fflush(out) == 0 && !ferror(out) ? true : fail("write", strerror(errno));
}

/* ---- one record ---- */

bool auto_kafka_send(const struct auto_kafka *ka, const struct auto_kafka_record *re)
{
    struct produced     pr   = { 0, 0, 0, RD_KAFKA_RESP_ERR_NO_ERROR };
    rd_kafka_conf_t    *conf = rd_kafka_conf_new();
    rd_kafka_headers_t *h    = rd_kafka_headers_new(re->n_headers);
    rd_kafka_resp_err_t err;
    rd_kafka_t         *rk;
    bool                ok;

    ok = set(conf, "enable.idempotence", "true") && set(conf, "acks", "all") && set(conf, "partitioner", "murmur2_random") &&
         set(conf, "message.timeout.ms", DELIVERY_MS) && set_all(conf, ka);
    rd_kafka_conf_set_dr_msg_cb(conf, delivered);
    rd_kafka_conf_set_opaque(conf, &pr);
    rk = client(RD_KAFKA_PRODUCER, conf, ok);
    for (size_t i = 0; i < re->n_headers; i++)
        (void)rd_kafka_header_add(h, re->headers[i].name, -1, re->headers[i].value, -1);
    if (!rk) {
        rd_kafka_headers_destroy(h);
        return false;
    }
    err = rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(ka->topic), RD_KAFKA_V_KEY(re->key, strlen(re->key)),
                            RD_KAFKA_V_VALUE((void *)(uintptr_t)re->value, re->value_n),
                            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_HEADERS(h), RD_KAFKA_V_END);
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        ok = flush(rk, &pr, 1);
    } else {
        rd_kafka_headers_destroy(h);
        ok = fail("produce", rd_kafka_err2str(err));
    }
    rd_kafka_destroy(rk);
    return ok;
}
