/* relay_loop: what outputs are measured against. Consume, transform, produce as Kafka's documentation describes it: one
 * transaction for what was read, with the group's offsets in it, committed at once. The source and its position are in Kafka alone:
 * no database, so no outbox and no effect that has to agree with anything. On any failure it ends.
 *
 * Usage: pawl-bench-relay-loop BOOTSTRAP TOPIC OUTPUT GROUP    says "ready" when it has its partitions. */
#include "sql.h"

#include <librdkafka/rdkafka.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH      2000
#define TIMEOUT_MS 20000

static volatile sig_atomic_t stopped;
static rd_kafka_t           *consumer, *producer;
static rd_kafka_message_t   *batch[BATCH];
static size_t                batch_n;

static void on_signal(int sig)
{
    (void)sig;
    stopped = 1;
}

static _Noreturn void die(const char *what, const char *why)
{
    (void)fprintf(stderr, "relay_loop: %s: %s\n", what, why);
    exit(1);
}

static void check(rd_kafka_error_t *error, const char *what)
{
    if (error)
        die(what, rd_kafka_error_string(error));
}

static void set(rd_kafka_conf_t *conf, const char *key, const char *value)
{
    char why[200] = "";

    if (rd_kafka_conf_set(conf, key, value, why, sizeof(why)) == RD_KAFKA_CONF_INVALID) /* an old library lacks some */
        die(key, why);
}

static rd_kafka_t *handle(rd_kafka_type_t type, rd_kafka_conf_t *conf)
{
    char        why[200] = "";
    rd_kafka_t *rk       = rd_kafka_new(type, conf, why, sizeof(why));

    if (!rk)
        die("librdkafka", why);
    return rk;
}

static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t *list, void *opaque)
{
    (void)opaque;
    if (code != RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        (void)rd_kafka_assign(rk, NULL);
        return;
    }
    for (int i = 0; i < list->cnt; i++) /* the group is new in each run */
        list->elems[i].offset = RD_KAFKA_OFFSET_BEGINNING;
    if (rd_kafka_assign(rk, list))
        die("assign", "refused");
    (void)puts("ready");
    (void)fflush(stdout);
}

static void open_consumer(const char *bootstrap, const char *topic, const char *group)
{
    rd_kafka_conf_t                 *conf = rd_kafka_conf_new();
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

    set(conf, "bootstrap.servers", bootstrap);
    set(conf, "group.id", group);
    set(conf, "enable.auto.commit", "false");
    set(conf, "auto.offset.reset", "error");
    set(conf, "isolation.level", "read_committed");
    set(conf, "check.crcs", "true");
    set(conf, "fetch.queue.backoff.ms", "10");
    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
    consumer = handle(RD_KAFKA_CONSUMER, conf);
    (void)rd_kafka_poll_set_consumer(consumer);
    rd_kafka_topic_partition_list_add(list, topic, RD_KAFKA_PARTITION_UA);
    if (rd_kafka_subscribe(consumer, list))
        die("subscribe", topic);
    rd_kafka_topic_partition_list_destroy(list);
}

static void open_producer(const char *bootstrap, const char *group)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    set(conf, "bootstrap.servers", bootstrap);
    set(conf, "transactional.id", group);
    set(conf, "partitioner", "murmur2_random");
    set(conf, "linger.ms", "0");
    set(conf, "retry.backoff.ms", "2"); /* as the runtime's: a transaction right after another waits for its markers */
    producer = handle(RD_KAFKA_PRODUCER, conf);
    check(rd_kafka_init_transactions(producer, TIMEOUT_MS), "init transactions");
}

static void take(rd_kafka_message_t *m)
{
    if (m->err)
        die("consume", rd_kafka_message_errstr(m));
    if (m->len != BENCH_EVENT_BYTES || !m->key)
        die("consume", "not an event of this benchmark");
    batch[batch_n++] = m;
}

/* Waits for one, then takes what is there. */
static void fetch(rd_kafka_queue_t *records)
{
    static rd_kafka_message_t *got[BATCH];
    rd_kafka_message_t        *m = rd_kafka_consumer_poll(consumer, 100); /* serves the group, too */
    ssize_t                    n;

    if (!m)
        return;
    take(m);
    n = rd_kafka_consume_batch_queue(records, 0, got, BATCH - 1);
    for (ssize_t i = 0; i < n; i++)
        take(got[i]);
}

static void note_offset(rd_kafka_topic_partition_list_t *offsets, const char *topic, const rd_kafka_message_t *m)
{
    rd_kafka_topic_partition_t *tp = rd_kafka_topic_partition_list_find(offsets, topic, m->partition);

    if (!tp)
        tp = rd_kafka_topic_partition_list_add(offsets, topic, m->partition), tp->offset = 0;
    if (m->offset + 1 > tp->offset)
        tp->offset = m->offset + 1;
}

static void send_on(const rd_kafka_message_t *m, const char *output)
{
    rd_kafka_resp_err_t rc;

    while ((rc = rd_kafka_producev(producer, RD_KAFKA_V_TOPIC(output), RD_KAFKA_V_KEY(m->key, m->key_len),
                                   RD_KAFKA_V_VALUE(m->payload, m->len), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                   RD_KAFKA_V_END)) == RD_KAFKA_RESP_ERR__QUEUE_FULL)
        (void)rd_kafka_poll(producer, 20);
    if (rc)
        die("produce", rd_kafka_err2str(rc));
}

static void run_batch(const char *topic, const char *output)
{
    rd_kafka_topic_partition_list_t    *offsets = rd_kafka_topic_partition_list_new(8);
    rd_kafka_consumer_group_metadata_t *group   = rd_kafka_consumer_group_metadata(consumer);

    check(rd_kafka_begin_transaction(producer), "begin");
    for (size_t i = 0; i < batch_n; i++) {
        send_on(batch[i], output);
        note_offset(offsets, topic, batch[i]);
    }
    check(rd_kafka_send_offsets_to_transaction(producer, offsets, group, TIMEOUT_MS), "send offsets");
    check(rd_kafka_commit_transaction(producer, TIMEOUT_MS), "commit");
    rd_kafka_consumer_group_metadata_destroy(group);
    rd_kafka_topic_partition_list_destroy(offsets);
    for (size_t i = 0; i < batch_n; i++)
        rd_kafka_message_destroy(batch[i]);
    batch_n = 0;
}

int main(int argc, char **argv)
{
    rd_kafka_queue_t *records;

    if (argc != 5) {
        (void)fprintf(stderr, "usage: %s BOOTSTRAP TOPIC OUTPUT GROUP\n", argv[0]);
        return 64;
    }
    (void)signal(SIGTERM, on_signal);
    (void)signal(SIGINT, on_signal);
    open_producer(argv[1], argv[4]);
    open_consumer(argv[1], argv[2], argv[4]);
    records = rd_kafka_queue_get_consumer(consumer);
    while (!stopped) {
        fetch(records);
        if (batch_n)
            run_batch(argv[2], argv[3]);
    }
    rd_kafka_queue_destroy(records);
    return 0; /* the handles end with the process */
}
