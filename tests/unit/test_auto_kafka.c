/* The generator and the reader against librdkafka's mock cluster. */
#include "auto_kafka.h"
#include "auto_mix.h"

#include <criterion/criterion.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static rd_kafka_t              *owner;
static rd_kafka_mock_cluster_t *mock;
static struct auto_kafka        ka;

static void up(void)
{
    char why[256];

    owner = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), why, sizeof(why));
    cr_assert_not_null(owner, "%s", why);
    mock = rd_kafka_mock_cluster_new(owner, 1);
    ka   = (struct auto_kafka){ .bootstrap = rd_kafka_mock_cluster_bootstraps(mock), .topic = "auto.events" };
}

static void down(void)
{
    rd_kafka_mock_cluster_destroy(mock);
    rd_kafka_destroy(owner);
}

TestSuite(auto_kafka, .init = up, .fini = down);

struct line {
    long  partition, offset;
    char *key, *ce_id;
};

/* What auto_kafka_read prints, without its header: key and ce_id of each line. */
static size_t read_back(struct line *lines, size_t cap)
{
    char  *text = NULL, *row, *save = NULL;
    size_t size = 0, n = 0;
    FILE  *out = open_memstream(&text, &size);

    cr_assert(auto_kafka_read(&ka, true, out));
    cr_assert_eq(fclose(out), 0);
    row = strtok_r(text, "\n", &save);
    cr_assert_not_null(row);
    while ((row = strtok_r(NULL, "\n", &save))) {
        char *field = row;

        cr_assert_lt(n, cap);
        lines[n].partition = strtol(strsep(&field, "\t"), NULL, 10);
        lines[n].offset    = strtol(strsep(&field, "\t"), NULL, 10);
        (void)strsep(&field, "\t");
        lines[n].key   = strdup(strsep(&field, "\t"));
        lines[n].ce_id = strdup(strsep(&field, "\t"));
        n++;
    }
    free(text);
    return n;
}

Test(auto_kafka, what_is_sent_is_read_back_once_and_in_order_per_policy)
{
    static struct line           lines[2000];
    static struct auto_mix_event ev;
    struct auto_mix_params       params     = { .count = 2000, .bad = 25, .seed = 99 };
    struct auto_mix             *mix        = auto_mix_new(&params);
    bool                         seen[2000] = { false };
    long                         next[64]   = { 0 };
    size_t                       n;

    cr_assert(auto_kafka_produce(&ka, &params, 0, 0, -1));
    n = read_back(lines, 2000);
    cr_assert_eq(n, 2000);
    for (size_t i = 0; i < n; i++) {
        cr_assert_eq(lines[i].offset, next[lines[i].partition], "offsets of a partition have no holes");
        next[lines[i].partition]++;
    }
    /* Events in the order of the generator: each is the first line of its key that was not met before. */
    while (auto_mix_next(mix, &ev)) {
        size_t i = 0;

        while (i < n && (seen[i] || strcmp(lines[i].key, ev.key) != 0))
            i++;
        cr_assert_lt(i, n);
        cr_assert_str_eq(lines[i].ce_id, ev.ce_id);
        seen[i] = true;
    }
    auto_mix_free(mix);
}

Test(auto_kafka, a_rate_is_kept)
{
    struct auto_mix_params params = { .count = 50, .seed = 1 };
    struct timespec        from, to;

    (void)clock_gettime(CLOCK_MONOTONIC, &from);
    cr_assert(auto_kafka_produce(&ka, &params, 100, 0, -1));
    (void)clock_gettime(CLOCK_MONOTONIC, &to);
    cr_assert_geq((double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9, 0.49);
}

Test(auto_kafka, an_event_that_is_not_delivered_is_a_failure)
{
    struct auto_mix_params params = { .count = 10, .seed = 1 };

    ka.properties[0] = "message.timeout.ms=1500";
    ka.n_properties  = 1;
    rd_kafka_mock_push_request_errors(mock, 0 /* Produce */, 1, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    cr_assert_not(auto_kafka_produce(&ka, &params, 0, 0, -1));
}

Test(auto_kafka, a_property_that_is_none_is_refused)
{
    struct auto_mix_params params = { .count = 1, .seed = 1 };

    ka.n_properties  = 1;
    ka.properties[0] = "no.such.property=1";
    cr_assert_not(auto_kafka_produce(&ka, &params, 0, 0, -1));
    ka.properties[0] = "novalue";
    cr_assert_not(auto_kafka_read(&ka, false, stdout));
}
