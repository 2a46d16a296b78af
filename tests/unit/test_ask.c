/* Against librdkafka's mock cluster. */
#include "kafka/ask.h"

#include <criterion/criterion.h>
#include <librdkafka/rdkafka_mock.h>
#include <string.h>

static rd_kafka_t              *owner, *rk;
static rd_kafka_mock_cluster_t *mock;
static struct pw_err            err;

static void setup(void)
{
    char             why[200];
    rd_kafka_conf_t *conf    = rd_kafka_conf_new();
    const char      *keys[]  = { "bootstrap.servers", "session.timeout.ms" };
    const char      *value[] = { NULL, "6000" };

    owner = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
    cr_assert_not_null(owner, "%s", why);
    mock     = rd_kafka_mock_cluster_new(owner, 1);
    value[0] = rd_kafka_mock_cluster_bootstraps(mock);
    cr_assert_eq(rd_kafka_mock_topic_create(mock, "t", 3, 1), RD_KAFKA_RESP_ERR_NO_ERROR);
    cr_assert_eq(pw_ask_open(keys, value, 2, &rk, &err), 0, "%s", err.text);
}

static void teardown(void)
{
    pw_ask_close(rk);
    if (mock)
        rd_kafka_mock_cluster_destroy(mock);
    if (owner)
        rd_kafka_destroy(owner);
}

TestSuite(ask, .init = setup, .fini = teardown, .timeout = 60);

Test(ask, a_topic_tells_its_partitions_and_their_bounds)
{
    int32_t n   = -1;
    int64_t low = -1, end = -1;

    cr_assert_eq(pw_ask_partitions(rk, "t", 10000, &n, &err), 0, "%s", err.text);
    cr_expect_eq(n, 3);
    cr_assert_eq(pw_ask_bounds(rk, "t", 2, 10000, &low, &end, &err), 0, "%s", err.text);
    cr_expect_eq(low, 0);
    cr_expect_eq(end, 0);
}

Test(ask, a_partition_that_is_not_there_is_refused_and_no_outage)
{
    int64_t low, end;

    cr_assert_eq(pw_ask_bounds(rk, "t", 3, 10000, &low, &end, &err), -1);
    cr_expect_eq(err.disp, PW_D_REJECT, "%s", err.text);
    cr_expect(strstr(err.text, "Kafka has no t[3]"), "%s", err.text);
}

Test(ask, a_cluster_that_does_not_answer_is_an_outage)
{
    int64_t low, end;
    int32_t n;

    cr_assert_eq(rd_kafka_mock_broker_set_down(mock, 1), RD_KAFKA_RESP_ERR_NO_ERROR);
    cr_assert_eq(pw_ask_bounds(rk, "t", 0, 1000, &low, &end, &err), -1);
    cr_expect_eq(err.disp, PW_D_RETRY, "%s", err.text);
    cr_assert_eq(pw_ask_partitions(rk, "t", 1000, &n, &err), -1);
    cr_expect_eq(err.disp, PW_D_RETRY, "%s", err.text);
}

Test(ask, a_property_that_is_wrong_is_fatal_and_named)
{
    const char *key = "session.timeout.ms", *value = "soon";
    rd_kafka_t *none = NULL;

    cr_assert_eq(pw_ask_open(&key, &value, 1, &none, &err), -1);
    cr_expect_eq(err.disp, PW_D_FATAL);
    cr_expect(strstr(err.text, "session.timeout.ms"), "%s", err.text);
}
