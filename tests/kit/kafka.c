#include "kafka.h"

#include "proc.h"
#include "run.h"
#include "wait.h"

#include <librdkafka/rdkafka.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FAIL(...) kit_fail(__FILE__, __LINE__, __VA_ARGS__)

struct kafka_producer {
    rd_kafka_t  *rk;
    long         sent;
    _Atomic long acked, refused;
    char         why[160];
};

const char *kafka_bootstrap(void)
{
    const char *at = getenv("KIT_KAFKA_BOOTSTRAP");

    if (!at)
        FAIL("no brokers: this test must be started by kit_main()");
    return at;
}

static void set(rd_kafka_conf_t *conf, const char *key, const char *value)
{
    char why[200];

    if (rd_kafka_conf_set(conf, key, value, why, sizeof(why)) != RD_KAFKA_CONF_OK)
        FAIL("%s=%s: %s", key, value, why);
}

static rd_kafka_t *handle_new(rd_kafka_type_t type, rd_kafka_conf_t *conf)
{
    char        why[200];
    rd_kafka_t *rk;

    set(conf, "bootstrap.servers", kafka_bootstrap());
    set(conf, "log_level", "0");
    set(conf, "reconnect.backoff.max.ms", "500");
    set(conf, "topic.metadata.refresh.fast.interval.ms", "100");
    rk = rd_kafka_new(type, conf, why, sizeof(why));
    if (!rk)
        FAIL("librdkafka: %s", why);
    return rk;
}

/* One handle for questions and administration per process; it dies with the test. */
static rd_kafka_t *admin(void)
{
    static rd_kafka_t *rk;

    if (!rk)
        rk = handle_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new());
    return rk;
}

static rd_kafka_event_t *admin_answer(rd_kafka_queue_t *queue, const char *what)
{
    rd_kafka_event_t *ev = rd_kafka_queue_poll(queue, 30000);

    if (!ev)
        FAIL("%s: no answer within 30 s", what);
    if (rd_kafka_event_error(ev))
        FAIL("%s: %s", what, rd_kafka_event_error_string(ev));
    return ev;
}

/* Partitions with a leader, 0 if the topic is not known. */
static int leaders(const char *topic)
{
    const struct rd_kafka_metadata *md;
    rd_kafka_topic_t               *rkt = rd_kafka_topic_new(admin(), topic, NULL);
    int                             n   = 0;

    if (rd_kafka_metadata(admin(), 0, rkt, &md, 5000) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        for (int t = 0; t < md->topic_cnt; t++)
            for (int p = 0; md->topics[t].err == 0 && p < md->topics[t].partition_cnt; p++)
                n += md->topics[t].partitions[p].leader >= 0;
        rd_kafka_metadata_destroy(md);
    }
    rd_kafka_topic_destroy(rkt);
    return n;
}

/* The smallest set of replicas in sync of any partition. */
static int in_sync(const char *topic)
{
    const struct rd_kafka_metadata *md;
    rd_kafka_topic_t               *rkt   = rd_kafka_topic_new(admin(), topic, NULL);
    int                             least = 0;

    if (rd_kafka_metadata(admin(), 0, rkt, &md, 5000) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        for (int t = 0; t < md->topic_cnt; t++)
            for (int p = 0; p < md->topics[t].partition_cnt; p++)
                if (p == 0 || md->topics[t].partitions[p].isr_cnt < least)
                    least = md->topics[t].partitions[p].isr_cnt;
        rd_kafka_metadata_destroy(md);
    }
    rd_kafka_topic_destroy(rkt);
    return least;
}

void kafka_wait_in_sync(const char *topic, int replicas)
{
    wait_until(in_sync(topic) >= replicas);
}

void kafka_topic_create(const char *topic, int partitions, int replicas)
{
    kafka_topic_create_bounded(topic, partitions, replicas, 0);
}

void kafka_topic_create_bounded(const char *topic, int partitions, int replicas, int max_bytes)
{
    char                            why[200];
    rd_kafka_NewTopic_t            *nt    = rd_kafka_NewTopic_new(topic, partitions, replicas, why, sizeof(why));
    rd_kafka_queue_t               *queue = rd_kafka_queue_new(admin());
    rd_kafka_event_t               *ev;
    const rd_kafka_topic_result_t **results;
    size_t                          n;

    if (!nt)
        FAIL("topic %s: %s", topic, why);
    (void)snprintf(why, sizeof(why), "%d", max_bytes);
    if (max_bytes && rd_kafka_NewTopic_set_config(nt, "max.message.bytes", why))
        FAIL("topic %s: max.message.bytes", topic);
    rd_kafka_CreateTopics(admin(), &nt, 1, NULL, queue);
    ev      = admin_answer(queue, "create topic");
    results = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(ev), &n);
    if (n != 1 || rd_kafka_topic_result_error(results[0]))
        FAIL("create topic %s: %s", topic, n == 1 ? rd_kafka_topic_result_error_string(results[0]) : "no result");
    rd_kafka_event_destroy(ev);
    rd_kafka_NewTopic_destroy(nt);
    rd_kafka_queue_destroy(queue);
    wait_until(leaders(topic) == partitions);
}

void kafka_partitions_add(const char *topic, int partitions)
{
    char                      why[200];
    rd_kafka_NewPartitions_t *np    = rd_kafka_NewPartitions_new(topic, (size_t)partitions, why, sizeof(why));
    rd_kafka_queue_t         *queue = rd_kafka_queue_new(admin());
    rd_kafka_event_t         *ev;

    if (!np)
        FAIL("partitions of %s: %s", topic, why);
    rd_kafka_CreatePartitions(admin(), &np, 1, NULL, queue);
    ev = admin_answer(queue, "create partitions");
    rd_kafka_event_destroy(ev);
    rd_kafka_NewPartitions_destroy(np);
    rd_kafka_queue_destroy(queue);
    wait_until(leaders(topic) == partitions);
}

void kafka_topic_delete(const char *topic)
{
    rd_kafka_DeleteTopic_t         *dt    = rd_kafka_DeleteTopic_new(topic);
    rd_kafka_queue_t               *queue = rd_kafka_queue_new(admin());
    rd_kafka_event_t               *ev;
    const rd_kafka_topic_result_t **results;
    size_t                          n;

    rd_kafka_DeleteTopics(admin(), &dt, 1, NULL, queue);
    ev      = admin_answer(queue, "delete topic");
    results = rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(ev), &n);
    if (n != 1 || rd_kafka_topic_result_error(results[0]))
        FAIL("delete topic %s: %s", topic, n == 1 ? rd_kafka_topic_result_error_string(results[0]) : "no result");
    rd_kafka_event_destroy(ev);
    rd_kafka_DeleteTopic_destroy(dt);
    rd_kafka_queue_destroy(queue);
    wait_until(leaders(topic) == 0);
}

void kafka_watermarks(const char *topic, int partition, int64_t *ret_low, int64_t *ret_high)
{
    rd_kafka_resp_err_t rc;
    int64_t             end = kit_now_ms() + 30000;

    do {
        rc = rd_kafka_query_watermark_offsets(admin(), topic, partition, ret_low, ret_high, 5000);
        if (rc && kit_now_ms() > end)
            FAIL("watermarks of %s[%d]: %s", topic, partition, rd_kafka_err2str(rc));
        if (rc) {
            (void)leaders(topic); /* who leads is asked anew */
            kit_nap(50);
        }
    } while (rc);
}

static int64_t low_watermark(const char *topic, int partition)
{
    int64_t low, high;

    kafka_watermarks(topic, partition, &low, &high);
    return low;
}

void kafka_delete_records(const char *topic, int partition, int64_t before)
{
    rd_kafka_topic_partition_list_t *list  = rd_kafka_topic_partition_list_new(1);
    rd_kafka_queue_t                *queue = rd_kafka_queue_new(admin());
    rd_kafka_DeleteRecords_t        *dr;
    rd_kafka_event_t                *ev;

    rd_kafka_topic_partition_list_add(list, topic, partition)->offset = before;
    dr                                                                = rd_kafka_DeleteRecords_new(list);
    rd_kafka_DeleteRecords(admin(), &dr, 1, NULL, queue);
    ev = admin_answer(queue, "delete records");
    rd_kafka_event_destroy(ev);
    rd_kafka_DeleteRecords_destroy(dr);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_queue_destroy(queue);
    wait_until(low_watermark(topic, partition) == before);
}

int64_t kafka_group_offset(const char *group, const char *topic, int partition)
{
    rd_kafka_conf_t                 *conf = rd_kafka_conf_new();
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_t                      *rk;
    rd_kafka_resp_err_t              rc;
    int64_t                          offset;

    set(conf, "group.id", group);
    rk = handle_new(RD_KAFKA_CONSUMER, conf);
    rd_kafka_topic_partition_list_add(list, topic, partition);
    rc = rd_kafka_committed(rk, list, 10000);
    if (rc)
        FAIL("committed offset of %s: %s", group, rd_kafka_err2str(rc));
    offset = list->elems[0].offset;
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(rk);
    return offset < 0 ? -1 : offset;
}

bool kafka_group_delete(const char *group)
{
    rd_kafka_DeleteGroup_t         *dg    = rd_kafka_DeleteGroup_new(group);
    rd_kafka_queue_t               *queue = rd_kafka_queue_new(admin());
    rd_kafka_event_t               *ev;
    const rd_kafka_group_result_t **results;
    size_t                          n;
    rd_kafka_resp_err_t             rc;

    rd_kafka_DeleteGroups(admin(), &dg, 1, NULL, queue);
    ev      = admin_answer(queue, "delete group");
    results = rd_kafka_DeleteGroups_result_groups(rd_kafka_event_DeleteGroups_result(ev), &n);
    rc      = n == 1 ? rd_kafka_error_code(rd_kafka_group_result_error(results[0])) : RD_KAFKA_RESP_ERR__FAIL;
    if (rc && rc != RD_KAFKA_RESP_ERR_NON_EMPTY_GROUP)
        FAIL("delete group %s: %s", group, rd_kafka_err2str(rc));
    rd_kafka_event_destroy(ev);
    rd_kafka_DeleteGroup_destroy(dg);
    rd_kafka_queue_destroy(queue);
    return rc == RD_KAFKA_RESP_ERR_NO_ERROR;
}

static void broker_do(const char *verb, int broker)
{
    char  dir[200], number[16];
    char *out    = NULL;
    char *argv[] = { KIT_SCRIPTS "/kafka", (char *)verb, dir, number, NULL };
    int   rc;

    (void)snprintf(dir, sizeof(dir), "%s/kafka", kit_dir());
    (void)snprintf(number, sizeof(number), "%d", broker);
    rc = proc_run(argv, 90000, &out); /* it gives up after 60 s, and says why */
    if (rc != 0)
        FAIL("%s %s %s %d ended with %d:\n%s", argv[0], verb, dir, broker, rc, out ? out : "");
    free(out);
}

void kafka_broker_kill(int broker)
{
    broker_do("kill", broker);
}

void kafka_broker_up(int broker)
{
    broker_do("up", broker);
}

/* ---- producer ---- */

static void delivered(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    struct kafka_producer *pr = opaque;

    (void)rk;
    if (!m->err) {
        pr->acked++;
        return;
    }
    pr->refused++;
    (void)snprintf(pr->why, sizeof(pr->why), "%s", rd_kafka_err2str(m->err));
}

struct kafka_producer *kafka_producer_new(void)
{
    struct kafka_producer *pr   = calloc(1, sizeof(*pr));
    rd_kafka_conf_t       *conf = rd_kafka_conf_new();

    if (!pr)
        abort();
    set(conf, "acks", "all");
    if (kit_brokers() > 1) /* a single one is never killed, and a producer's number costs half a second */
        set(conf, "enable.idempotence", "true");
    set(conf, "linger.ms", "1");
    set(conf, "message.timeout.ms", "120000");
    rd_kafka_conf_set_dr_msg_cb(conf, delivered);
    rd_kafka_conf_set_opaque(conf, pr);
    pr->rk = handle_new(RD_KAFKA_PRODUCER, conf);
    return pr;
}

void kafka_producer_free(struct kafka_producer *pr)
{
    if (!pr)
        return;
    (void)rd_kafka_purge(pr->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING);
    rd_kafka_destroy(pr->rk);
    free(pr);
}

void kafka_produce(struct kafka_producer *pr, const char *topic, int partition, const char *key, const void *value, size_t n)
{
    kafka_produce_id(pr, topic, partition, key, value, n, NULL);
}

void kafka_produce_id(struct kafka_producer *pr, const char *topic, int partition, const char *key, const void *value, size_t n,
                      const char *id)
{
    int64_t             end = kit_now_ms() + 60000;
    rd_kafka_headers_t *headers;
    rd_kafka_resp_err_t rc;

    for (;;) {
        headers = rd_kafka_headers_new(1);
        if (id)
            (void)rd_kafka_header_add(headers, "ce_id", -1, id, (ssize_t)strlen(id));
        rc = rd_kafka_producev(pr->rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition),
                               RD_KAFKA_V_KEY(key, key ? strlen(key) : 0), RD_KAFKA_V_VALUE((void *)value, n),
                               RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
        if (!rc)
            break;
        rd_kafka_headers_destroy(headers); /* they are the library's only if it takes the record */
        if (rc != RD_KAFKA_RESP_ERR__QUEUE_FULL || kit_now_ms() > end)
            FAIL("produce to %s[%d]: %s", topic, partition, rd_kafka_err2str(rc));
        (void)rd_kafka_poll(pr->rk, 50);
    }
    pr->sent++;
    (void)rd_kafka_poll(pr->rk, 0);
}

void kafka_flush(struct kafka_producer *pr, int timeout_ms)
{
    rd_kafka_resp_err_t rc = rd_kafka_flush(pr->rk, timeout_ms);

    if (rc || pr->refused || pr->acked != pr->sent)
        FAIL("%ld sent, %ld acknowledged, %ld refused: %s%s", pr->sent, pr->acked, pr->refused, rd_kafka_err2str(rc), pr->why);
}

static void tx_ok(rd_kafka_error_t *error, const char *what)
{
    if (error)
        FAIL("%s: %s", what, rd_kafka_error_string(error));
}

void kafka_produce_transaction(const char *topic, int partition, const char *key, const void *value, int records, bool commit)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char             id[64];
    rd_kafka_t      *rk;

    (void)snprintf(id, sizeof(id), "kit-%s", topic);
    set(conf, "transactional.id", id);
    set(conf, "linger.ms", "0");
    rk = handle_new(RD_KAFKA_PRODUCER, conf);
    tx_ok(rd_kafka_init_transactions(rk, 30000), "init transactions");
    tx_ok(rd_kafka_begin_transaction(rk), "begin transaction");
    for (int i = 0; i < records; i++)
        if (rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition), RD_KAFKA_V_KEY(key, strlen(key)),
                              RD_KAFKA_V_VALUE((void *)value, strlen(value)), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                              RD_KAFKA_V_END))
            FAIL("produce in a transaction");
    if (rd_kafka_flush(rk, 30000)) /* all of them are in the log before it is aborted */
        FAIL("flush in a transaction");
    if (commit)
        tx_ok(rd_kafka_commit_transaction(rk, 30000), "commit transaction");
    else
        tx_ok(rd_kafka_abort_transaction(rk, 30000), "abort transaction");
    rd_kafka_destroy(rk);
}

void kafka_settle(struct kafka_producer *pr, int timeout_ms)
{
    rd_kafka_resp_err_t rc = rd_kafka_flush(pr->rk, timeout_ms);

    if (rc)
        FAIL("%ld of %ld records have no answer: %s", pr->sent - pr->acked - pr->refused, pr->sent, rd_kafka_err2str(rc));
}

long kafka_acked(const struct kafka_producer *pr)
{
    return pr->acked;
}

/* ---- the independent reader ---- */

static int by_coordinates(const void *a, const void *b)
{
    const struct kafka_record *x = a, *y = b;

    if (x->partition != y->partition)
        return x->partition < y->partition ? -1 : 1;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static void copy_cut(char *to, size_t cap, const void *from, size_t n)
{
    if (n >= cap)
        n = cap - 1;
    if (n)
        memcpy(to, from, n);
    to[n] = 0;
}

static void copy_headers(char *to, size_t cap, const rd_kafka_message_t *m)
{
    rd_kafka_headers_t *hdrs;
    const char         *name;
    const void         *value;
    size_t              n, at = 0;

    to[0] = 0;
    if (rd_kafka_message_headers(m, &hdrs))
        return;
    for (size_t i = 0; rd_kafka_header_get_all(hdrs, i, &name, &value, &n) == RD_KAFKA_RESP_ERR_NO_ERROR; i++) {
        int wrote = snprintf(to + at, cap - at, "%s=%.*s\n", name, (int)n, value ? (const char *)value : "");

        if (wrote < 0 || (size_t)wrote >= cap - at) {
            to[at] = 0;
            return;
        }
        at += (size_t)wrote;
    }
}

struct kafka_record *kafka_read_all(const char *topic, int partitions, size_t *ret_n)
{
    rd_kafka_conf_t                 *conf = rd_kafka_conf_new();
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);
    struct kafka_record             *all  = NULL;
    size_t                           n = 0, cap = 0;
    int                              left      = 0;
    bool                             done[256] = { false };
    int64_t                          end       = kit_now_ms() + 60000;
    rd_kafka_t                      *rk;

    if (partitions > 256)
        FAIL("reader: at most 256 partitions");
    set(conf, "group.id", "kit-reader-never-joined");
    set(conf, "enable.auto.commit", "false");
    set(conf, "enable.partition.eof", "true");
    set(conf, "fetch.wait.max.ms", "20");
    set(conf, "isolation.level", "read_committed");
    rk = handle_new(RD_KAFKA_CONSUMER, conf);
    for (int p = 0; p < partitions; p++) {
        int64_t low, high;

        kafka_watermarks(topic, p, &low, &high);
        if (high > low) {
            rd_kafka_topic_partition_list_add(list, topic, p)->offset = low;
            left++;
        }
    }
    if (rd_kafka_assign(rk, list))
        FAIL("reader: assign");
    while (left > 0) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(rk, 1000);

        if (kit_now_ms() > end)
            FAIL("reader: %d partitions of %s not read to their end within 60 s", left, topic);
        if (m && m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            left -= !done[m->partition];
            done[m->partition] = true;
        } else if (m && !m->err) {
            if (n == cap) {
                cap = cap ? cap * 2 : 4096;
                all = realloc(all, cap * sizeof(*all));
                if (!all)
                    abort();
            }
            all[n].partition    = m->partition;
            all[n].offset       = m->offset;
            all[n].timestamp_ms = rd_kafka_message_timestamp(m, NULL);
            copy_cut(all[n].key, sizeof(all[n].key), m->key, m->key_len);
            copy_cut(all[n].value, sizeof(all[n].value), m->payload, m->len);
            copy_headers(all[n].headers, sizeof(all[n].headers), m);
            n++;
        }
        if (m)
            rd_kafka_message_destroy(m);
    }
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy_flags(rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    if (n)
        qsort(all, n, sizeof(*all), by_coordinates);
    *ret_n = n;
    return all;
}
