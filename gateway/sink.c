#include "sink.h"

#include "base/clock.h"
#include "kafka/bell.h"
#include "kafka/conf.h"
#include "observe/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

const double gw_sink_limits_s[11] = { 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5 };

struct flight {
    gw_sink_done         *done;
    void                 *arg;
    int64_t               began_us;
    struct gw_trace_span *span;
};

struct gw_sink {
    struct gw_sink_settings se;
    struct gw_loop         *loop;
    rd_kafka_t             *rk;
    rd_kafka_queue_t       *events;
    struct gw_watch         bell; /* eventfd: librdkafka has something for us */
    size_t                  waiting;
    char                    fatal[160];
    struct gw_sink_counters co;
};

/* ---- what a failure means for the client ---- */

static enum gw_status status_of(rd_kafka_resp_err_t rc, rd_kafka_msg_status_t persisted)
{
    bool not_there = persisted == RD_KAFKA_MSG_STATUS_NOT_PERSISTED;

    switch ((int)rc) {
    case RD_KAFKA_RESP_ERR_NO_ERROR: return GW_OK;
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE: return GW_INVALID_ARGUMENT;
    case RD_KAFKA_RESP_ERR__QUEUE_FULL: return GW_RESOURCE_EXHAUSTED;
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED: return not_there ? GW_FAILED_PRECONDITION : GW_UNAVAILABLE;
    default: return GW_UNAVAILABLE;
    }
}

/* ---- events of the library ---- */

static void observe(struct gw_sink *si, int64_t took_us)
{
    size_t b = 0;

    while (b < 11 && (double)took_us / 1e6 > gw_sink_limits_s[b])
        b++;
    si->co.latency_buckets[b]++;
    si->co.latency_sum += (double)took_us / 1e6;
}

static void delivered(struct gw_sink *si, const rd_kafka_message_t *m)
{
    struct flight *fl = m->_private;
    enum gw_status st = status_of(m->err, rd_kafka_message_status(m));

    si->waiting--;
    gw_trace_end(si->se.trace, fl->span, st == GW_OK ? NULL : rd_kafka_err2name(m->err), m->partition, m->offset);
    if (st == GW_OK) {
        si->co.published++;
        observe(si, pw_clock_us() - fl->began_us);
        fl->done(fl->arg, st, NULL, m->partition, m->offset);
    } else {
        si->co.failed++;
        pw_log(PW_LOG_WARN, "gateway.not_published", PW_LOG_AT_NONE, "%s: %s", si->se.topic, rd_kafka_err2str(m->err));
        fl->done(fl->arg, st, rd_kafka_err2str(m->err), -1, -1);
    }
    free(fl);
}

static void failed(struct gw_sink *si, rd_kafka_event_t *ev)
{
    rd_kafka_resp_err_t rc = rd_kafka_event_error(ev);
    char                text[128];

    if (rc == RD_KAFKA_RESP_ERR__FATAL) {
        rc = rd_kafka_fatal_error(si->rk, text, sizeof(text));
        (void)snprintf(si->fatal, sizeof(si->fatal), "%s: %s", rd_kafka_err2name(rc), text);
        return;
    }
    pw_log(PW_LOG_WARN, "gateway.kafka", PW_LOG_AT_NONE, "%s", rd_kafka_event_error_string(ev));
}

static void serve(void *arg, uint32_t events)
{
    struct gw_sink   *si = arg;
    rd_kafka_event_t *ev;
    uint64_t          n;

    (void)events;
    (void)!read(si->bell.fd, &n, sizeof(n)); /* it is only a bell */
    while ((ev = rd_kafka_queue_poll(si->events, 0)) != NULL) {
        const rd_kafka_message_t *m;

        if (rd_kafka_event_type(ev) == RD_KAFKA_EVENT_DR)
            while ((m = rd_kafka_event_message_next(ev)) != NULL)
                delivered(si, m);
        else if (rd_kafka_event_type(ev) == RD_KAFKA_EVENT_ERROR)
            failed(si, ev);
        rd_kafka_event_destroy(ev);
    }
}

/* ---- open and close ---- */

/* Any thread of the library's. */
static void log_from_library(const rd_kafka_t *rk, int level, const char *fac, const char *text)
{
    (void)rk;
    pw_log(level <= 3 ? PW_LOG_ERROR :
           level <= 4 ? PW_LOG_WARN :
                        PW_LOG_DEBUG,
           "gateway.kafka", PW_LOG_AT_NONE, "%s: %s", fac, text);
}

static int configure(rd_kafka_conf_t *conf, const struct gw_sink_settings *se, struct pw_err *err)
{
    char timeout[16], queue[16];

    (void)snprintf(timeout, sizeof(timeout), "%u", se->delivery_timeout_ms);
    (void)snprintf(queue, sizeof(queue), "%u",
                   se->in_flight * 2 + 1); /* the library counts those whose report we are reading */
    /* A request must not wait for the acknowledgement of the one before it, which TCP at the other end may hold back for 40 ms. */
    if (pw_kafka_set(conf, "socket.nagle.disable", "true", err) < 0)
        return -1;
    for (size_t i = 0; i < se->kafka_n; i++)
        if (pw_kafka_set(conf, se->kafka[i].key, se->kafka[i].value, err) < 0)
            return -1;
    /* linger 0: a client waits for this event; what comes meanwhile shares the next request anyway */
    if (pw_kafka_set(conf, "enable.idempotence", "true", err) < 0 || pw_kafka_set(conf, "acks", "all", err) < 0 ||
        pw_kafka_set(conf, "linger.ms", "0", err) < 0 || pw_kafka_set(conf, "message.timeout.ms", timeout, err) < 0 ||
        pw_kafka_set(conf, "partitioner", "murmur2_random", err) < 0 ||
        pw_kafka_set(conf, "allow.auto.create.topics", "false", err) < 0 ||
        pw_kafka_set(conf, "queue.buffering.max.messages", queue, err) < 0)
        return -1;
    rd_kafka_conf_set_log_cb(conf, log_from_library);
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR);
    return 0;
}

int gw_sink_open(struct gw_sink **ret, struct gw_loop *loop, const struct gw_sink_settings *se, struct pw_err *err)
{
    static const uint64_t one  = 1;
    rd_kafka_conf_t      *conf = rd_kafka_conf_new();
    struct gw_sink       *si   = calloc(1, sizeof(*si));
    char                  why[200];

    PW_ASSERT(si != NULL);
    si->se   = *se;
    si->loop = loop;
    si->bell = (struct gw_watch){ .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .fn = serve, .arg = si };
    if (si->bell.fd < 0) {
        rd_kafka_conf_destroy(conf);
        free(si);
        return pw_err_sys(err, PW_D_FATAL, "eventfd");
    }
    if (configure(conf, se, err) < 0) {
        rd_kafka_conf_destroy(conf);
    } else {
        si->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
        if (!si->rk) {
            rd_kafka_conf_destroy(conf);
            (void)pw_err_set(err, PW_D_FATAL, "kafka: %s", why);
        }
    }
    if (!si->rk || gw_watch_add(loop, &si->bell, EPOLLIN, err) < 0) {
        if (si->rk)
            rd_kafka_destroy(si->rk);
        (void)close(si->bell.fd); /* nothing is behind it */
        free(si);
        return -1;
    }
    si->events = rd_kafka_queue_get_main(si->rk);
    pw_kafka_bell(si->events, si->bell.fd, &one, sizeof(one));
    *ret = si;
    return 0;
}

void gw_sink_close(struct gw_sink *si)
{
    if (!si)
        return;
    (void)rd_kafka_purge(si->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT); /* then each has its report */
    (void)rd_kafka_flush(si->rk, 0);
    for (int64_t end = pw_clock_us() + 1000000; si->waiting && pw_clock_us() < end;) {
        rd_kafka_event_t         *ev = rd_kafka_queue_poll(si->events, 100);
        const rd_kafka_message_t *m;

        while (ev && rd_kafka_event_type(ev) == RD_KAFKA_EVENT_DR && (m = rd_kafka_event_message_next(ev)) != NULL)
            delivered(si, m);
        if (ev)
            rd_kafka_event_destroy(ev);
    }
    gw_watch_drop(si->loop, &si->bell);
    rd_kafka_queue_io_event_enable(si->events, -1, NULL, 0);
    rd_kafka_queue_destroy(si->events);
    rd_kafka_destroy(si->rk);
    (void)close(si->bell.fd); /* nothing is behind it */
    free(si);
}

/* ---- one event ---- */

static rd_kafka_headers_t *headers_of(const struct gw_sink *si, const struct gw_event *ev, const char *traceparent,
                                      const char *tracestate)
{
    const char *const   pairs[][2] = { { "ce_specversion", "1.0" },
                                       { "ce_id", ev->event_id },
                                       { "ce_type", ev->type },
                                       { "ce_source", ev->source[0] ? ev->source : si->se.source },
                                       { "ce_time", ev->time },
                                       { "ce_subject", ev->policy_id },
                                       { "content-type", "application/protobuf" },
                                       { "traceparent", traceparent },
                                       { "tracestate", traceparent ? tracestate : NULL } };
    const size_t        n          = sizeof(pairs) / sizeof(pairs[0]);
    rd_kafka_headers_t *he         = rd_kafka_headers_new(n);

    for (size_t i = 0; i < n; i++)
        PW_ASSERT(!pairs[i][1] || rd_kafka_header_add(he, pairs[i][0], -1, pairs[i][1], -1) == RD_KAFKA_RESP_ERR_NO_ERROR);
    return he;
}

enum gw_status gw_sink_publish(struct gw_sink *si, const struct gw_event *ev, const char *traceparent, const char *tracestate,
                               gw_sink_done *done, void *arg, const char **ret_why)
{
    struct flight      *fl;
    rd_kafka_headers_t *he;
    rd_kafka_resp_err_t rc;
    char                own[PW_TRACEPARENT_N + 1];

    if (si->fatal[0]) {
        *ret_why = si->fatal;
        return GW_UNAVAILABLE;
    }
    if (gw_sink_full(si)) {
        *ret_why = "too many events wait for Kafka; none of this call was published";
        return GW_RESOURCE_EXHAUSTED;
    }
    fl = malloc(sizeof(*fl));
    PW_ASSERT(fl != NULL);
    *fl         = (struct flight){ done, arg, pw_clock_us(), NULL };
    tracestate  = traceparent ? tracestate : NULL;
    traceparent = gw_trace_begin(si->se.trace, traceparent, tracestate, ev->value_n, own, &fl->span);
    he          = headers_of(si, ev, traceparent, tracestate);
    rc = rd_kafka_producev(si->rk, RD_KAFKA_V_TOPIC(si->se.topic), RD_KAFKA_V_KEY(ev->policy_id, strlen(ev->policy_id)),
                           RD_KAFKA_V_VALUE((void *)(uintptr_t)ev->value, ev->value_n), RD_KAFKA_V_HEADERS(he),
                           RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_OPAQUE(fl), RD_KAFKA_V_END);
    if (rc) {
        rd_kafka_headers_destroy(he); /* only an accepted record takes them over */
        gw_trace_drop(fl->span);
        free(fl);
        *ret_why = rd_kafka_err2str(rc);
        return status_of(rc, RD_KAFKA_MSG_STATUS_NOT_PERSISTED);
    }
    si->waiting++; // NOLINT(clang-analyzer-unix.Malloc): the library has fl until its report
    return GW_OK;
}

size_t gw_sink_waiting(const struct gw_sink *si)
{
    return si->waiting;
}

bool gw_sink_full(const struct gw_sink *si)
{
    return si->waiting >= si->se.in_flight;
}

int gw_sink_look(struct gw_sink *si, int timeout_ms, struct pw_err *err)
{
    const struct rd_kafka_metadata *md  = NULL;
    rd_kafka_topic_t               *rkt = rd_kafka_topic_new(si->rk, si->se.topic, NULL);
    rd_kafka_resp_err_t             rc;

    if (!rkt)
        return pw_err_set(err, PW_D_FATAL, "topic %s: %s", si->se.topic, rd_kafka_err2str(rd_kafka_last_error()));
    rc = rd_kafka_metadata(si->rk, 0, rkt, &md, timeout_ms);
    if (!rc && (md->topic_cnt != 1 || md->topics[0].err))
        rc = md->topic_cnt == 1 ? md->topics[0].err : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    if (md)
        rd_kafka_metadata_destroy(md);
    rd_kafka_topic_destroy(rkt);
    return rc ? pw_err_set(err, PW_D_RETRY, "topic %s: %s", si->se.topic, rd_kafka_err2str(rc)) : 0;
}

const char *gw_sink_fatal(const struct gw_sink *si)
{
    return si->fatal[0] ? si->fatal : NULL;
}

const struct gw_sink_counters *gw_sink_counters(const struct gw_sink *si)
{
    return &si->co;
}
