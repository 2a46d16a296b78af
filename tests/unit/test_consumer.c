#include "kafka/consumer.h"

#include "base/clock.h"

#include <criterion/criterion.h>
#include <librdkafka/rdkafka_mock.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

enum { RECORDS = 3000, BYTES = 200, QUEUE = 100 };

/* Its mock cluster takes the place of brokers; the topic "in" has one partition. */
static rd_kafka_t *producer_with_records(const char **ret_bootstrap)
{
    rd_kafka_conf_t         *conf = rd_kafka_conf_new();
    char                     why[200], value[BYTES];
    rd_kafka_t              *rk;
    rd_kafka_mock_cluster_t *mock;

    (void)rd_kafka_conf_set(conf, "test.mock.num.brokers", "1", why, sizeof(why));
    (void)rd_kafka_conf_set(conf, "batch.num.messages", "10", why, sizeof(why)); /* a fetch takes whole batches */
    rk   = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
    mock = rd_kafka_handle_mock_cluster(rk);
    cr_assert_eq(rd_kafka_mock_topic_create(mock, "in", 1, 1), 0);
    memset(value, 'x', sizeof(value));
    for (int i = 0; i < RECORDS; i++)
        cr_assert_eq(rd_kafka_producev(rk, RD_KAFKA_V_TOPIC("in"), RD_KAFKA_V_VALUE(value, sizeof(value)),
                                       RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END),
                     0);
    cr_assert_eq(rd_kafka_flush(rk, 30000), 0);
    *ret_bootstrap = rd_kafka_mock_cluster_bootstraps(mock);
    return rk;
}

static void open_consumer(struct pw_consumer *co, const char *bootstrap)
{
    static const char *const    keys[]   = { "bootstrap.servers", "fetch.message.max.bytes" };
    static const char *const    topics[] = { "in" };
    const char *const           values[] = { bootstrap, "3000" };
    struct pw_consumer_settings se       = { .keys           = keys,
                                             .values         = values,
                                             .properties_n   = 2,
                                             .group          = "g",
                                             .instance_id    = "i",
                                             .queue_messages = QUEUE,
                                             .queue_kbytes   = 8192 };
    struct pw_err               err;

    *co = (struct pw_consumer){ 0 };
    cr_assert_eq(pw_consumer_open(co, &se, &err), 0, "%s", err.text);
    cr_assert_eq(pw_consumer_join(co, topics, 1, &err), 0, "%s", err.text);
    while (!co->assigned) {
        struct pollfd p = { .fd = pw_consumer_fd(co), .events = POLLIN };

        (void)poll(&p, 1, 100);
        pw_consumer_drain_fd(co);
        pw_consumer_serve(co);
    }
}

/* As the worker does it: what is in the queue, and a word when it has become short. Waits until it is full, or holds the rest. */
static int take(struct pw_consumer *co, rd_kafka_queue_t *queue, int rest)
{
    size_t there = rd_kafka_queue_length(queue);
    int    n     = 0;

    if (there < QUEUE && there < (size_t)rest)
        return 0;
    for (size_t i = 0; i < there; i++) {
        rd_kafka_message_t *m = rd_kafka_consume_queue(queue, 0);

        if (!m)
            break;
        n += m->err == RD_KAFKA_RESP_ERR_NO_ERROR;
        rd_kafka_message_destroy(m);
    }
    if (n)
        pw_consumer_hurry(co);
    return n;
}

/* Debian's librdkafka by itself looks at its full queues once a second: 3 000 records, 100 at a time, would take it half a minute. */
Test(consumer, does_not_wait_for_the_library_to_notice_that_its_queues_are_empty, .timeout = 120)
{
    const char                      *bootstrap;
    rd_kafka_t                      *producer = producer_with_records(&bootstrap);
    static struct pw_consumer        co; /* its threads go on to the end of the process */
    struct pw_err                    err;
    rd_kafka_queue_t                *queue;
    int64_t                          began;
    int                              n    = 0;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

    open_consumer(&co, bootstrap);
    queue                                                    = pw_consumer_queue(&co, "in", 0);
    rd_kafka_topic_partition_list_add(list, "in", 0)->offset = 0;
    cr_assert_eq(pw_consumer_assign(&co, list, &err), 0, "%s", err.text);
    began = pw_clock_us();
    while (n < RECORDS) {
        struct pollfd p = { .fd = pw_consumer_fd(&co), .events = POLLIN };

        (void)poll(&p, 1, 5);
        pw_consumer_drain_fd(&co);
        pw_consumer_serve(&co);
        n += take(&co, queue, RECORDS - n);
    }
    cr_expect_lt(pw_clock_us() - began, 10 * 1000000, "%.1f s", (double)(pw_clock_us() - began) / 1e6);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_queue_destroy(queue);
    pw_consumer_close(&co, 5000);
    rd_kafka_destroy(producer);
}
