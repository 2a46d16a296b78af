#include "kafka/consumer.h"

#include "base/clock.h"
#include "kafka/bell.h"
#include "kafka/conf.h"
#include "kafka/props.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <syslog.h>
#include <unistd.h>

#define TEXT_OF(x) #x
#define NUMBER(x)  TEXT_OF(x)

/* What the protocol owns. The topology cannot set these; see docs/ARCHITECTURE.md for each reason. */
static const char *const owned[][2] = {
    { "enable.auto.commit", "false" },
    { "enable.auto.offset.store", "false" },
    { "auto.offset.reset", "error" },
    { "isolation.level", "read_committed" },
    { "check.crcs", "true" },
    { "allow.auto.create.topics", "false" },
    { "enable.partition.eof", "true" },
    { "partition.assignment.strategy", "range" },
    { "max.poll.interval.ms", NUMBER(PW_KAFKA_MAX_POLL_INTERVAL_MS) },
};

/* What the topology may override. */
static const char *const defaults[][2] = {
    { "session.timeout.ms", NUMBER(PW_KAFKA_SESSION_TIMEOUT_MS) },
    { "heartbeat.interval.ms", NUMBER(PW_KAFKA_HEARTBEAT_INTERVAL_MS) },
    { "fetch.wait.max.ms", NUMBER(PW_KAFKA_FETCH_WAIT_MAX_MS) },
    { "fetch.error.backoff.ms", "100" },
    { "reconnect.backoff.max.ms", NUMBER(PW_KAFKA_RECONNECT_BACKOFF_MAX_MS) },
    { "topic.metadata.refresh.interval.ms", "30000" },
    { "socket.keepalive.enable", "true" },
    { "socket.nagle.disable", "true" },
    { "statistics.interval.ms", "0" },
    { "client.id", "pawl" },
};

static struct pw_consumer *self(void *opaque)
{
    return opaque;
}

static bool is_replaced(const struct pw_consumer *co)
{
    return atomic_load_explicit(&co->replaced, memory_order_relaxed);
}

static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    struct pw_consumer *co = self(rd_kafka_opaque(rk));

    if (is_replaced(co) && level < LOG_DEBUG)
        level = LOG_DEBUG;
    if (co->log)
        co->log(level, facility, text);
}

static void note_error(struct pw_consumer *co, rd_kafka_resp_err_t code, const char *text)
{
    if (is_replaced(co))
        return;
    co->errors++;
    co->trouble_us   = pw_clock_us();
    co->brokers_down = co->brokers_down || code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN;
    (void)snprintf(co->text, sizeof(co->text), "%s: %s", rd_kafka_err2name(code), text);
    if (code == RD_KAFKA_RESP_ERR__FATAL) {
        char                why[200];
        rd_kafka_resp_err_t real = rd_kafka_fatal_error(co->rk, why, sizeof(why));

        co->fatal  = true;
        co->fenced = real == RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID;
        (void)snprintf(co->text, sizeof(co->text), "%s: %s", rd_kafka_err2name(real), why);
    }
}

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    (void)rk;
    note_error(self(opaque), (rd_kafka_resp_err_t)code, reason);
}

/* Only notes what happened. An assignment is answered by an empty one, which lets the group go on while the offsets are
 * claimed; a revocation is answered by the caller when its batch is done. */
static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t *list, void *opaque)
{
    struct pw_consumer *co = self(opaque);

    if (is_replaced(co)) /* it is not answered, so nothing is taken back */
        return;
    co->rebalances++;
    if (co->assigned) {
        rd_kafka_topic_partition_list_destroy(co->assigned);
        co->assigned = NULL;
    }
    if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        rd_kafka_topic_partition_list_t *none = rd_kafka_topic_partition_list_new(0);

        co->assigned = rd_kafka_topic_partition_list_copy(list);
        (void)rd_kafka_assign(rk, none); /* cannot be refused here; if it were, the next rebalance repairs it */
        rd_kafka_topic_partition_list_destroy(none);
        return;
    }
    co->revoked = true;
    co->lost    = rd_kafka_assignment_lost(rk) != 0;
    if (code != RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS)
        note_error(co, code, "rebalance failed");
}

/* ---- connections; the threads of the brokers call these ---- */

static rd_kafka_resp_err_t on_broker(rd_kafka_t *rk, int32_t id, const char *protocol, const char *name, int port,
                                     const char *state, void *opaque)
{
    (void)rk;
    (void)id;
    (void)protocol;
    (void)name;
    (void)port;
    if (strcmp(state, "UP") == 0)
        atomic_fetch_add_explicit(&self(opaque)->connects, 1, memory_order_relaxed);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t on_new(rd_kafka_t *rk, const rd_kafka_conf_t *conf, void *opaque, char *why, size_t why_cap)
{
    (void)conf;
    (void)why;
    (void)why_cap;
    return rd_kafka_interceptor_add_on_broker_state_change(rk, "pawl", on_broker, opaque);
}

/* ---- open ---- */

/* Properties that old libraries do not have, and do not need. */
static bool set_if_known(rd_kafka_conf_t *conf, const char *key, const char *value)
{
    char why[256];

    return rd_kafka_conf_set(conf, key, value, why, sizeof(why)) == RD_KAFKA_CONF_OK;
}

/* Setting the credentials wakes the threads of all brokers; these change nothing: they are the ones in use, or none are. */
static void prepare_to_hurry(struct pw_consumer *co, const struct pw_consumer_settings *se)
{
    const char *protocol = "plaintext";

    for (size_t i = 0; i < se->properties_n; i++) {
        if (strcmp(se->keys[i], "sasl.username") == 0)
            co->wake_name = se->values[i];
        else if (strcmp(se->keys[i], "sasl.password") == 0)
            co->wake_secret = se->values[i];
        else if (strcmp(se->keys[i], "security.protocol") == 0)
            protocol = se->values[i];
    }
    if (strncasecmp(protocol, "sasl", 4) != 0)
        co->wake_name = co->wake_secret = "-";
    else if (!co->wake_name || !co->wake_secret) /* of a kind that has no password */
        co->wake_name = co->wake_secret = NULL;
}

void pw_consumer_hurry(struct pw_consumer *co)
{
    if (co->wake_name)
        rd_kafka_error_destroy(rd_kafka_sasl_set_credentials(co->rk, co->wake_name, co->wake_secret));
}

static int configure(struct pw_consumer *co, rd_kafka_conf_t *conf, const struct pw_consumer_settings *se, struct pw_err *err)
{
    char n[16];

    for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++)
        if (pw_kafka_set(conf, defaults[i][0], defaults[i][1], err) < 0)
            return -1;
    (void)snprintf(n, sizeof(n), "%u", se->queue_messages);
    if (pw_kafka_set(conf, "queued.min.messages", n, err) < 0)
        return -1;
    (void)snprintf(n, sizeof(n), "%u", se->queue_kbytes);
    if (pw_kafka_set(conf, "queued.max.messages.kbytes", n, err) < 0)
        return -1;
    for (size_t i = 0; i < se->properties_n; i++)
        if (pw_kafka_set(conf, se->keys[i], se->values[i], err) < 0)
            return -1;
    for (size_t i = 0; i < sizeof(owned) / sizeof(owned[0]); i++)
        if (pw_kafka_set(conf, owned[i][0], owned[i][1], err) < 0)
            return -1;
    if (pw_kafka_set(conf, "group.id", se->group, err) < 0 || pw_kafka_set(conf, "group.instance.id", se->instance_id, err) < 0)
        return -1;
    (void)set_if_known(conf, "enable.metrics.push", "false");
    if (!set_if_known(conf, "fetch.queue.backoff.ms", "10"))
        prepare_to_hurry(co, se);
    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_set_log_cb(conf, on_log);
    (void)rd_kafka_conf_interceptor_add_on_new(conf, "pawl", on_new, co); /* refused only if it is there already */
    return 0;
}

int pw_consumer_open(struct pw_consumer *co, const struct pw_consumer_settings *se, struct pw_err *err)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char             why[256];

    rd_kafka_conf_set_opaque(conf, co);
    if (configure(co, conf, se, err) < 0) {
        rd_kafka_conf_destroy(conf);
        return -1;
    }
    if (pipe2(co->wake, O_CLOEXEC | O_NONBLOCK) < 0) {
        rd_kafka_conf_destroy(conf);
        return pw_err_sys(err, PW_D_FATAL, "pipe");
    }
    co->rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why));
    if (!co->rk) {
        rd_kafka_conf_destroy(conf);
        return pw_err_set(err, PW_D_FATAL, "consumer: %s", why);
    }
    (void)rd_kafka_poll_set_consumer(co->rk); /* always succeeds for a consumer with a group */
    co->queue = rd_kafka_queue_get_consumer(co->rk);
    pw_kafka_bell(co->queue, co->wake[1], "", 1);
    return 0;
}

static rd_kafka_topic_partition_list_t *list_of(const char *const *topics, size_t n, int32_t partition)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)n);

    for (size_t i = 0; i < n; i++)
        (void)rd_kafka_topic_partition_list_add(list, topics[i], partition);
    return list;
}

int pw_consumer_join(struct pw_consumer *co, const char *const *topics, size_t n, struct pw_err *err)
{
    rd_kafka_topic_partition_list_t *list = list_of(topics, n, RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t              rc   = rd_kafka_subscribe(co->rk, list);

    rd_kafka_topic_partition_list_destroy(list);
    return rc ? pw_err_set(err, PW_D_FATAL, "subscribe: %s", rd_kafka_err2str(rc)) : 0;
}

#define LEADERS 64 /* brokers that are asked; more are asked when they are needed */

/* One question to each broker that leads a partition: the library connects to brokers when they are needed. */
static rd_kafka_resp_err_t ask_leaders(rd_kafka_t *rk, const struct rd_kafka_metadata_topic *topic, int timeout_ms)
{
    int32_t             asked[LEADERS];
    int                 n  = 0;
    rd_kafka_resp_err_t rc = RD_KAFKA_RESP_ERR_NO_ERROR;

    for (int i = 0; i < topic->partition_cnt && n < LEADERS && !rc; i++) {
        int64_t low, end;
        int     k = 0;

        while (k < n && asked[k] != topic->partitions[i].leader)
            k++;
        if (k < n || topic->partitions[i].leader < 0)
            continue;
        asked[n++] = topic->partitions[i].leader;
        rc         = rd_kafka_query_watermark_offsets(rk, topic->topic, topic->partitions[i].id, &low, &end, timeout_ms);
    }
    return rc;
}

static rd_kafka_resp_err_t warm_topic(rd_kafka_t *rk, const char *topic, int timeout_ms)
{
    const struct rd_kafka_metadata *md  = NULL;
    rd_kafka_topic_t               *rkt = rd_kafka_topic_new(rk, topic, NULL);
    rd_kafka_resp_err_t             rc  = rkt ? rd_kafka_metadata(rk, 0, rkt, &md, timeout_ms) : rd_kafka_last_error();

    if (!rc && md && md->topic_cnt == 1)
        rc = md->topics[0].err ? md->topics[0].err : ask_leaders(rk, &md->topics[0], timeout_ms);
    if (md)
        rd_kafka_metadata_destroy(md);
    if (rkt)
        rd_kafka_topic_destroy(rkt);
    return rc;
}

int pw_consumer_warm(struct pw_consumer *co, const char *const *topics, size_t n, int timeout_ms, struct pw_err *err)
{
    rd_kafka_topic_partition_list_t *list;
    rd_kafka_resp_err_t              rc = RD_KAFKA_RESP_ERR_NO_ERROR;

    for (size_t i = 0; i < n; i++)
        if ((rc = warm_topic(co->rk, topics[i], timeout_ms)))
            return pw_err_set(err, PW_D_RETRY, "topic %s: %s", topics[i], rd_kafka_err2str(rc));
    list = list_of(topics, n, 0); /* answered by the group's coordinator */
    rc   = rd_kafka_committed(co->rk, list, timeout_ms);
    rd_kafka_topic_partition_list_destroy(list);
    return rc ? pw_err_set(err, PW_D_RETRY, "coordinator of the group: %s", rd_kafka_err2str(rc)) : 0;
}

void pw_consumer_replaced(struct pw_consumer *co)
{
    atomic_store_explicit(&co->replaced, true, memory_order_relaxed);
}

void pw_consumer_serve(struct pw_consumer *co)
{
    rd_kafka_message_t *m;

    while ((m = rd_kafka_consumer_poll(co->rk, 0))) {
        /* Partition queues are not forwarded here, so this is never a record: topic and group errors. */
        if (m->err)
            note_error(co, m->err, rd_kafka_message_errstr(m));
        rd_kafka_message_destroy(m);
    }
}

int pw_consumer_fd(const struct pw_consumer *co)
{
    return co->wake[0];
}

void pw_consumer_drain_fd(struct pw_consumer *co)
{
    char sink[256];

    while (read(co->wake[0], sink, sizeof(sink)) == (ssize_t)sizeof(sink))
        ;
}

int pw_consumer_assign(struct pw_consumer *co, const rd_kafka_topic_partition_list_t *list, struct pw_err *err)
{
    rd_kafka_resp_err_t rc = rd_kafka_assign(co->rk, list);

    return rc ? pw_err_set(err, pw_kafka_disp(rc), "assign %d partitions: %s", list->cnt, rd_kafka_err2str(rc)) : 0;
}

void pw_consumer_unassign(struct pw_consumer *co)
{
    (void)rd_kafka_assign(co->rk, NULL); /* a failure means that nothing was assigned */
}

int pw_consumer_rejoin(struct pw_consumer *co, struct pw_err *err)
{
    rd_kafka_topic_partition_list_t *list = NULL;
    rd_kafka_resp_err_t              rc   = rd_kafka_subscription(co->rk, &list);

    if (!rc)
        rc = rd_kafka_subscribe(co->rk, list); /* the same again; no LeaveGroup is sent */
    if (list)
        rd_kafka_topic_partition_list_destroy(list);
    return rc ? pw_err_set(err, pw_kafka_disp(rc), "subscribe again: %s", rd_kafka_err2str(rc)) : 0;
}

rd_kafka_queue_t *pw_consumer_queue(struct pw_consumer *co, const char *topic, int32_t partition)
{
    rd_kafka_queue_t   *q = rd_kafka_queue_get_partition(co->rk, topic, partition);
    rd_kafka_message_t *old;

    PW_ASSERT(q != NULL);
    rd_kafka_queue_forward(q, NULL); /* stays so, also over assignments */
    pw_kafka_bell(q, co->wake[1], "", 1);
    /* What an earlier assignment left behind; also arms the wake-up again. */
    while ((old = rd_kafka_consume_queue(q, 0)))
        rd_kafka_message_destroy(old);
    return q;
}

int pw_consumer_watermarks(struct pw_consumer *co, const char *topic, int32_t partition, int timeout_ms, int64_t *ret_low,
                           int64_t *ret_end, struct pw_err *err)
{
    rd_kafka_resp_err_t rc = rd_kafka_query_watermark_offsets(co->rk, topic, partition, ret_low, ret_end, timeout_ms);

    if (rc)
        return pw_err_set(err, PW_D_RETRY, "log bounds of %s[%d]: %s", topic, partition, rd_kafka_err2str(rc));
    return 0;
}

int64_t pw_consumer_end(struct pw_consumer *co, const char *topic, int32_t partition)
{
    int64_t low, end;

    if (rd_kafka_get_watermark_offsets(co->rk, topic, partition, &low, &end) || end < 0)
        return -1;
    return end;
}

/* librdkafka forgets the member's id when it sends LeaveGroup; closing waits for the answer. */
static bool is_member(struct pw_consumer *co)
{
    char *id = rd_kafka_memberid(co->rk);
    bool  is = id && *id;

    rd_kafka_mem_free(co->rk, id);
    return is;
}

bool pw_consumer_leave(struct pw_consumer *co, int timeout_ms)
{
    int64_t deadline = pw_clock_us() + (int64_t)timeout_ms * 1000;

    if (rd_kafka_unsubscribe(co->rk))
        return false;
    while (is_member(co) && pw_clock_us() < deadline) {
        rd_kafka_message_t *m = rd_kafka_consume_queue(co->queue, 20); /* calls back; returns as soon as there is something */

        if (m)
            rd_kafka_message_destroy(m);
        if (co->revoked) {
            co->revoked = false;
            pw_consumer_unassign(co);
        }
    }
    return !is_member(co);
}

void pw_consumer_close(struct pw_consumer *co, int timeout_ms)
{
    int64_t           deadline = pw_clock_us() + (int64_t)timeout_ms * 1000;
    rd_kafka_error_t *error    = rd_kafka_consumer_close_queue(co->rk, co->queue);

    if (error) {
        rd_kafka_error_destroy(error);
        return;
    }
    while (!rd_kafka_consumer_closed(co->rk) && pw_clock_us() < deadline) {
        rd_kafka_message_t *m = rd_kafka_consume_queue(co->queue, 20); /* returns as soon as there is something */

        if (m)
            rd_kafka_message_destroy(m);
        if (co->revoked) {
            co->revoked = false;
            pw_consumer_unassign(co);
        }
    }
}

enum pw_disp pw_kafka_disp(rd_kafka_resp_err_t code)
{
    switch ((int)code) {
    case RD_KAFKA_RESP_ERR_NO_ERROR: return PW_D_NONE;
    case RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID: return PW_D_FENCED;
    case RD_KAFKA_RESP_ERR__FATAL:
    case RD_KAFKA_RESP_ERR__INVALID_ARG:
    case RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED: return PW_D_FATAL;
    default: return PW_D_RETRY; /* brokers come back; nothing of a message is at stake */
    }
}
