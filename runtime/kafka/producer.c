#include "kafka/producer.h"

#include "base/clock.h"
#include "base/fault.h"
#include "kafka/conf.h"

#include <string.h>
#include <syslog.h>

#define ASK_MIN_MS 20 /* between two questions for a transaction of the predecessor that is still ending; doubling */
#define ASK_MAX_MS 500
#define WARM_MS    1000 /* for what brokers know of one topic */
#define REPORTS_MS 1000 /* for reports of records that are not on their way any more */

enum { ADD_PARTITIONS_TO_TXN = 24, ADD_OFFSETS_TO_TXN = 25, END_TXN = 26, TXN_OFFSET_COMMIT = 28 }; /* the protocol's numbers */

static const char *const owned[][2] = {
    { "enable.idempotence", "true" },
    { "acks", "all" },
    { "partitioner", "murmur2_random" }, /* as Java clients: one key, one partition, whoever produces */
    { "linger.ms", "0" },
    { "transaction.timeout.ms", "15000" },
    { "retry.backoff.ms", "2" }, /* a transaction begun right after another waits for its markers: ask again soon */
    { "statistics.interval.ms", "0" },
};

static const char *const consumers_only[] = {
    "fetch.",      "max.partition.fetch.", "queued.",   "session.", "heartbeat.", "partition.assignment.",
    "client.rack", "coordinator.query.",   "client.id",
};

static bool for_consumers(const char *key)
{
    for (size_t i = 0; i < sizeof(consumers_only) / sizeof(consumers_only[0]); i++)
        if (strncmp(key, consumers_only[i], strlen(consumers_only[i])) == 0)
            return true;
    return false;
}

static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    const struct pw_producer *pr = rd_kafka_opaque(rk);

    if (level == LOG_WARNING && strcmp(facility, "GETPID") == 0) /* not yet: asked again; what lasts is an error of opening */
        level = LOG_DEBUG;
    if (pr->log)
        pr->log(level, facility, text);
}

/* Codes below 0 are the library's own: no answer came. In its threads. Records themselves carry numbers, and are safe. */
static rd_kafka_resp_err_t on_answer(rd_kafka_t *rk, int fd, const char *broker, int32_t broker_id, int16_t api,
                                     int16_t version, int32_t id, size_t size, int64_t rtt, rd_kafka_resp_err_t code,
                                     void *opaque)
{
    struct pw_producer *pr = opaque;

    (void)rk, (void)fd, (void)broker, (void)broker_id, (void)version, (void)id, (void)size, (void)rtt;
    if (code < 0 && (api == ADD_PARTITIONS_TO_TXN || api == ADD_OFFSETS_TO_TXN || api == END_TXN || api == TXN_OFFSET_COMMIT))
        atomic_store_explicit(&pr->unanswered, true, memory_order_relaxed);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t on_new(rd_kafka_t *rk, const rd_kafka_conf_t *conf, void *opaque, char *why, size_t why_cap)
{
    (void)conf, (void)why, (void)why_cap;
    return rd_kafka_interceptor_add_on_response_received(rk, "pawl", on_answer, opaque);
}

static bool record_is_to_blame(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE || code == RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE ||
           code == RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE || code == RD_KAFKA_RESP_ERR_INVALID_RECORD;
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    struct pw_producer *pr = opaque;

    if (record_is_to_blame(m->err) && !pr->refused) {
        pr->refused         = (int64_t)(intptr_t)m->_private;
        pr->refused_code    = m->err;
        pr->refused_exactly = pr->apart;
        /* The transaction is lost. The library would wait for the records behind this one until they time out. */
        (void)rd_kafka_purge(rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING);
    }
}

/* Takes the error over. Everything but a defect of ours can be tried again with a new producer. */
static int failed(rd_kafka_error_t *error, const char *doing, struct pw_err *err)
{
    rd_kafka_resp_err_t code = rd_kafka_error_code(error);

    (void)pw_err_set(err, PW_D_RETRY, "%s: %s: %s", doing, rd_kafka_error_name(error), rd_kafka_error_string(error));
    err->kafka = (int)code;
    rd_kafka_error_destroy(error);
    return -1;
}

static int configure(rd_kafka_conf_t *conf, const struct pw_producer_settings *se, struct pw_err *err)
{
    for (size_t i = 0; i < se->properties_n; i++)
        if (!for_consumers(se->keys[i]) && pw_kafka_set(conf, se->keys[i], se->values[i], err) < 0)
            return -1;
    for (size_t i = 0; i < sizeof(owned) / sizeof(owned[0]); i++)
        if (pw_kafka_set(conf, owned[i][0], owned[i][1], err) < 0)
            return -1;
    if (se->apart && pw_kafka_set(conf, "batch.num.messages", "1", err) < 0)
        return -1;
    rd_kafka_conf_set_log_cb(conf, on_log);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    return pw_kafka_set(conf, "transactional.id", se->transactional_id, err);
}

/* The first answer after a crash is "not yet", while the coordinator ends the predecessor's transaction, and the library asks
 * again after 500 ms. A call that was given less time may be made again; it goes on, and asks at once. */
static rd_kafka_error_t *init_transactions(rd_kafka_t *rk, int timeout_ms)
{
    int64_t until_us = pw_clock_us() + (int64_t)timeout_ms * 1000;

    for (int ask_ms = ASK_MIN_MS;; ask_ms = ask_ms < ASK_MAX_MS / 2 ? ask_ms * 2 : ASK_MAX_MS) {
        rd_kafka_error_t *error = rd_kafka_init_transactions(rk, ask_ms);

        if (!error || !rd_kafka_error_is_retriable(error) || pw_clock_us() >= until_us) /* retriable: its time was up */
            return error;
        rd_kafka_error_destroy(error);
    }
}

/* What the first record of a topic would wait for: up to 1 s. */
static void warm(rd_kafka_t *rk, const char *topic)
{
    rd_kafka_topic_t               *rkt = rd_kafka_topic_new(rk, topic, NULL);
    const struct rd_kafka_metadata *md;

    if (!rkt)
        return; /* sending to it will say why */
    if (rd_kafka_metadata(rk, 0, rkt, &md, WARM_MS) == RD_KAFKA_RESP_ERR_NO_ERROR)
        rd_kafka_metadata_destroy(md);
    rd_kafka_topic_destroy(rkt); /* the library keeps what it has learnt */
}

int pw_producer_open(struct pw_producer *pr, const struct pw_producer_settings *se, int timeout_ms, struct pw_err *err)
{
    rd_kafka_conf_t  *conf = rd_kafka_conf_new();
    rd_kafka_error_t *error;
    char              why[256];

    *pr = (struct pw_producer){ .log = se->log, .apart = se->apart };
    rd_kafka_conf_set_opaque(conf, pr);
    (void)rd_kafka_conf_interceptor_add_on_new(conf, "pawl", on_new, pr); /* fails for a second one of its name only */
    if (configure(conf, se, err) < 0) {
        rd_kafka_conf_destroy(conf);
        return -1;
    }
    pr->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
    if (!pr->rk) {
        rd_kafka_conf_destroy(conf);
        return pw_err_set(err, PW_D_FATAL, "producer: %s", why);
    }
    error = init_transactions(pr->rk, timeout_ms);
    if (error) {
        pw_producer_discard(pr);
        return failed(error, "init_transactions", err);
    }
    for (size_t i = 0; i < se->topics_n; i++)
        warm(pr->rk, se->topics[i]);
    return 0;
}

void pw_producer_discard(struct pw_producer *pr)
{
    if (!pr->rk)
        return;
    (void)rd_kafka_purge(pr->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING);
    (void)rd_kafka_poll(pr->rk, 0); /* the reports of what was purged */
    rd_kafka_destroy_flags(pr->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    pr->rk = NULL;
}

int pw_producer_begin(struct pw_producer *pr, struct pw_err *err)
{
    rd_kafka_error_t *error = rd_kafka_begin_transaction(pr->rk);

    pr->refused = 0;
    return error ? failed(error, "begin transaction", err) : 0;
}

int pw_producer_send(struct pw_producer *pr, const struct pw_record *re, struct pw_err *err)
{
    for (;;) {
        rd_kafka_vu_t vus[] = {
            { .vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = re->topic },
            { .vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = re->fixed ? re->partition : RD_KAFKA_PARTITION_UA },
            { .vtype = RD_KAFKA_VTYPE_KEY, .u.mem = { (void *)(uintptr_t)re->key, re->key_n } },
            { .vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = { (void *)(uintptr_t)re->value, re->value_n } },
            { .vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY },
            { .vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = (void *)(intptr_t)re->tag },
            { .vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = re->headers },
        };
        rd_kafka_error_t   *error = rd_kafka_produceva(pr->rk, vus, sizeof(vus) / sizeof(vus[0]) - (re->headers ? 0 : 1));
        rd_kafka_resp_err_t code;

        if (!error)
            return 0;
        code = rd_kafka_error_code(error);
        if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL) { /* ours is bounded by the batch of rows, so this ends */
            rd_kafka_error_destroy(error);
            (void)rd_kafka_poll(pr->rk, 50);
            continue;
        }
        (void)failed(error, re->topic, err);
        if (record_is_to_blame(code)) {
            pr->refused         = re->tag;
            pr->refused_code    = code;
            pr->refused_exactly = true;
            err->disp           = PW_D_REJECT;
        }
        return -1;
    }
}

/* What failed may be a record's fault that was refused meanwhile: its report says which one. The others will not be sent. */
static int transaction_failed(struct pw_producer *pr, rd_kafka_error_t *error, const char *doing, struct pw_err *err)
{
    (void)rd_kafka_purge(pr->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    (void)rd_kafka_flush(pr->rk, REPORTS_MS);
    return failed(error, doing, err);
}

int pw_producer_offsets(struct pw_producer *pr, const rd_kafka_consumer_group_metadata_t *member,
                        const rd_kafka_topic_partition_list_t *offsets, int timeout_ms, struct pw_err *err)
{
    rd_kafka_error_t *error = rd_kafka_send_offsets_to_transaction(pr->rk, offsets, member, timeout_ms);

    return error ? transaction_failed(pr, error, "send offsets to the transaction", err) : 0;
}

int pw_producer_commit(struct pw_producer *pr, int timeout_ms, struct pw_err *err)
{
    rd_kafka_error_t *error = rd_kafka_commit_transaction(pr->rk, timeout_ms);

    return error ? transaction_failed(pr, error, "commit transaction", err) : 0;
}
