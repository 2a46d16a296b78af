#include "kafka/producer.h"

#include "base/clock.h"

#include <criterion/criterion.h>
#include <librdkafka/rdkafka_mock.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* The producer's own mock cluster takes the place of brokers. */
static struct pw_producer pr;

#define NOT_YET RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS

enum {
    PRODUCE          = 0,
    INIT_PRODUCER_ID = 22,
    END_TXN          = 26,
    MAX_BYTES        = 20000,
    OVERHEAD         = 36 /* at most, of a record without headers */
};

static void open_producer(bool apart)
{
    static const char *const    keys[]   = { "test.mock.num.brokers", "message.max.bytes", "fetch.wait.max.ms" };
    static const char *const    values[] = { "1", "20000", "10" };
    struct pw_producer_settings se       = {
              .keys = keys, .values = values, .properties_n = 3, .transactional_id = "t", .apart = apart
    };
    struct pw_err err;

    cr_assert_eq(pw_producer_open(&pr, &se, 20000, &err), 0, "%s", err.text);
}

static void close_producer(void)
{
    pw_producer_discard(&pr);
    cr_assert_null(pr.rk);
    pw_producer_discard(&pr); /* once more is a no-op */
}

static int send_bytes(int64_t tag, size_t n, struct pw_err *err)
{
    char            *value = calloc(1, n);
    struct pw_record re    = { .topic = "out", .key = "k", .key_n = 1, .value = value, .value_n = n, .tag = tag };
    int              rc    = pw_producer_send(&pr, &re, err);

    free(value);
    return rc;
}

static void refuse_next(rd_kafka_resp_err_t code)
{
    rd_kafka_mock_push_request_errors(rd_kafka_handle_mock_cluster(pr.rk), PRODUCE, 1, code);
}

static void three_records(void)
{
    struct pw_err err;

    cr_assert_eq(pw_producer_begin(&pr, &err), 0, "%s", err.text);
    for (int64_t tag = 1; tag <= 3; tag++)
        cr_assert_eq(send_bytes(tag, 10, &err), 0, "%s", err.text);
}

/* The coordinator answers so while it ends the transaction of a producer that died. The library by itself asks every 500 ms. */
Test(producer, that_is_put_off_asks_again_soon, .fini = close_producer)
{
    char                     why[200];
    rd_kafka_t              *owner = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), why, sizeof(why));
    rd_kafka_mock_cluster_t *mock  = rd_kafka_mock_cluster_new(owner, 1);
    const char *const keys[] = { "bootstrap.servers" }, *const values[] = { rd_kafka_mock_cluster_bootstraps(mock) };
    struct pw_producer_settings se = { .keys = keys, .values = values, .properties_n = 1, .transactional_id = "t" };
    int64_t                     began;
    struct pw_err               err;

    rd_kafka_mock_push_request_errors(mock, INIT_PRODUCER_ID, 4, NOT_YET, NOT_YET, NOT_YET, NOT_YET);
    began = pw_clock_us();
    cr_assert_eq(pw_producer_open(&pr, &se, 20000, &err), 0, "%s", err.text);
    cr_assert_lt(pw_clock_us() - began, 4 * 500000);
    three_records();
    cr_assert_eq(pw_producer_commit(&pr, 20000, &err), 0, "%s", err.text);

    pw_producer_discard(&pr);
    rd_kafka_mock_broker_set_down(mock, 1);
    cr_assert_eq(pw_producer_open(&pr, &se, 300, &err), -1, "nobody answers");
    cr_assert_eq(err.kafka, RD_KAFKA_RESP_ERR__TIMED_OUT);
    cr_assert_null(pr.rk);
    rd_kafka_mock_cluster_destroy(mock);
    rd_kafka_destroy(owner);
}

Test(producer, commits_one_transaction_after_another, .fini = close_producer)
{
    struct pw_err err;

    open_producer(false);
    for (int i = 0; i < 3; i++) {
        three_records();
        cr_assert_eq(pw_producer_commit(&pr, 20000, &err), 0, "%s", err.text);
        cr_assert_eq(pr.refused, 0);
    }
}

Test(producer, refuses_a_record_above_the_limit_and_knows_which, .fini = close_producer)
{
    struct pw_err err;

    open_producer(false);
    cr_assert_eq(pw_producer_begin(&pr, &err), 0, "%s", err.text);
    cr_assert_eq(send_bytes(1, MAX_BYTES - 1 - OVERHEAD, &err), 0, "key, value and overhead at the limit: %s", err.text);
    cr_assert_eq(send_bytes(2, MAX_BYTES - OVERHEAD, &err), -1, "one byte above it");
    cr_assert_eq(err.disp, PW_D_REJECT);
    cr_assert_eq(pr.refused, 2);
    cr_assert(pr.refused_exactly);
}

Test(producer, does_not_know_which_record_of_a_request_a_broker_refused, .fini = close_producer)
{
    struct pw_err err;

    open_producer(false);
    refuse_next(RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    three_records();
    cr_assert_eq(pw_producer_commit(&pr, 20000, &err), -1);
    cr_assert_eq(pr.refused, 1);
    cr_assert_not(pr.refused_exactly);
}

Test(producer, that_sends_records_apart_knows_which_one_a_broker_refused, .fini = close_producer)
{
    struct pw_err err;

    open_producer(true);
    refuse_next(RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    three_records();
    cr_assert_eq(pw_producer_commit(&pr, 20000, &err), -1);
    cr_assert_eq(pr.refused, 1);
    cr_assert(pr.refused_exactly);
}

static atomic_bool transaction_is_lost; /* the library says so in one of its threads, before it reports the record */

static void on_log(int level, const char *facility, const char *text)
{
    (void)level, (void)text;
    if (strcmp(facility, "TXNERR") == 0)
        transaction_is_lost = true;
}

Test(producer, knows_the_refused_record_when_the_refusal_came_before_the_offsets, .fini = close_producer)
{
    static const char *const    keys[]   = { "test.mock.num.brokers" };
    static const char *const    values[] = { "1" };
    struct pw_producer_settings se       = {
              .keys = keys, .values = values, .properties_n = 1, .transactional_id = "t", .apart = true, .log = on_log
    };
    rd_kafka_consumer_group_metadata_t *member  = rd_kafka_consumer_group_metadata_new("g");
    rd_kafka_topic_partition_list_t    *offsets = rd_kafka_topic_partition_list_new(1);
    struct pw_err                       err;

    rd_kafka_topic_partition_list_add(offsets, "in", 0)->offset = 1;
    cr_assert_eq(pw_producer_open(&pr, &se, 20000, &err), 0, "%s", err.text);
    refuse_next(RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    three_records();
    while (!transaction_is_lost)
        (void)sched_yield();
    cr_assert_eq(pw_producer_offsets(&pr, member, offsets, 20000, &err), -1);
    cr_assert_eq(pr.refused, 1);
    cr_assert(pr.refused_exactly);
    rd_kafka_topic_partition_list_destroy(offsets);
    rd_kafka_consumer_group_metadata_destroy(member);
}

/* ---- requests without an answer ---- */

Test(producer, whose_requests_are_all_answered_is_in_no_doubt, .fini = close_producer)
{
    struct pw_err err;

    open_producer(false);
    three_records();
    rd_kafka_mock_push_request_errors(rd_kafka_handle_mock_cluster(pr.rk), END_TXN, 2,
                                      RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS,
                                      RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS);
    cr_assert_eq(pw_producer_commit(&pr, 20000, &err), 0, "%s", err.text);
    cr_assert_not(pr.unanswered, "an answer that asks for patience is one");
}

Test(producer, whose_commit_was_asked_for_twice_is_in_doubt_though_it_is_committed, .fini = close_producer)
{
    struct pw_err err;

    open_producer(false);
    three_records();
    rd_kafka_mock_push_request_errors(rd_kafka_handle_mock_cluster(pr.rk), END_TXN, 1, RD_KAFKA_RESP_ERR__TRANSPORT);
    cr_assert_eq(pw_producer_commit(&pr, 20000, &err), 0, "%s", err.text);
    cr_assert(pr.unanswered);
    close_producer();
    open_producer(false);
    cr_assert_not(pr.unanswered, "a new one begins without doubt");
}

Test(producer, blames_no_record_for_what_brokers_have_of_their_own, .fini = close_producer)
{
    struct pw_err err;

    open_producer(false);
    refuse_next(RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    three_records();
    cr_assert_eq(pw_producer_commit(&pr, 20000, &err), -1);
    cr_assert_eq(err.disp, PW_D_RETRY);
    cr_assert_eq(pr.refused, 0);
}
