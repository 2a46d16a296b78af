#include "cli/mockbroker.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int fail(const char *what, const char *why)
{
    (void)fprintf(stderr, "mock broker: %s: %s\n", what, why);
    return EXIT_FAILURE;
}

int pw_mockbroker_run(void *arg)
{
    const struct pw_mockbroker_args *args = arg;
    rd_kafka_conf_t                 *conf = rd_kafka_conf_new();
    rd_kafka_mock_cluster_t         *cluster;
    char                             why[256];
    rd_kafka_t                      *rk;

    (void)rd_kafka_conf_set(conf, "log_level", "0", why, sizeof(why)); /* it misses a bootstrap.servers that it does not need */
    rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
    if (!rk)
        return fail("librdkafka", why);
    cluster = rd_kafka_mock_cluster_new(rk, 1);
    if (!cluster)
        return fail("librdkafka", "no mock cluster");
    for (const struct pw_mockbroker_topic *t = args->topics; t->name; t++) {
        rd_kafka_resp_err_t e = rd_kafka_mock_topic_create(cluster, t->name, t->partitions, 1);

        if (e)
            return fail(t->name, rd_kafka_err2str(e));
    }
    if (dprintf(args->out_fd, "%s\n", rd_kafka_mock_cluster_bootstraps(cluster)) < 0 || close(args->out_fd) < 0)
        return fail("librdkafka", "nobody wants to know where it is");
    for (;;)
        (void)pause();
}
