/* pawl-kafka-admin: the few administrative acts that kit/kafka and the demo need, without starting a JVM for each. */
#include <librdkafka/rdkafka.h>

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

static rd_kafka_t *rk;
static int         answer_ms = 30000;

static int64_t now_ms(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void nap_ms(long ms)
{
    struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

    (void)nanosleep(&ts, NULL);
}

static int fail(const char *what, const char *why)
{
    (void)fprintf(stderr, "pawl-kafka-admin: %s: %s\n", what, why);
    return EXIT_FAILURE;
}

static int usage(void)
{
    (void)fputs("usage: pawl-kafka-admin [-t SECONDS] BOOTSTRAP COMMAND ...    how long to wait for answers, 30 by default\n"
                "       pawl-kafka-admin BOOTSTRAP wait BROKERS [SECONDS]\n"
                "       pawl-kafka-admin BOOTSTRAP create TOPIC PARTITIONS [REPLICAS] [key=value...]\n"
                "       pawl-kafka-admin BOOTSTRAP delete TOPIC...\n"
                "       pawl-kafka-admin BOOTSTRAP add-partitions TOPIC NEW_TOTAL\n"
                "       pawl-kafka-admin BOOTSTRAP delete-records TOPIC PARTITION BEFORE_OFFSET\n"
                "       pawl-kafka-admin BOOTSTRAP offsets TOPIC          partition, first, end; one a line\n"
                "       pawl-kafka-admin BOOTSTRAP group GROUP TOPIC      partition, committed (-1: none)\n",
                stderr);
    return EX_USAGE;
}

static bool number(const char *text, int64_t max, int64_t *ret_n)
{
    char     *end;
    long long n = strtoll(text, &end, 10);

    if (!*text || *end || n < 0 || n > max)
        return false;
    *ret_n = n;
    return true;
}

static rd_kafka_t *handle_new(rd_kafka_type_t type, const char *bootstrap, const char *group, char *why, size_t why_n)
{
    const char *const settings[][2] = {
        { "bootstrap.servers", bootstrap },
        { "log_level", "0" }, /* brokers that are not up yet are expected here */
        { "reconnect.backoff.ms", "50" },
        { "reconnect.backoff.max.ms", "500" },
        { "topic.metadata.refresh.sparse", "false" },
        { "allow.auto.create.topics", "false" },
        { "group.id", group },
    };
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_t      *made;

    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        bool consumer_only = strcmp(settings[i][0], "allow.auto.create.topics") == 0;

        if (!settings[i][1] || (consumer_only && type == RD_KAFKA_PRODUCER))
            continue;
        if (rd_kafka_conf_set(conf, settings[i][0], settings[i][1], why, why_n) != RD_KAFKA_CONF_OK) {
            rd_kafka_conf_destroy(conf);
            return NULL;
        }
    }
    made = rd_kafka_new(type, conf, why, why_n);
    if (!made)
        rd_kafka_conf_destroy(conf);
    return made;
}

/* Partitions of the topic with a leader and all their replicas in sync; -1: the topic is not known, -2: no answer. */
static int partitions_ready(const char *topic, int *ret_all)
{
    const struct rd_kafka_metadata *md;
    rd_kafka_topic_t               *rkt = rd_kafka_topic_new(rk, topic, NULL);
    int                             n   = -2;

    *ret_all = 0;
    if (rd_kafka_metadata(rk, 0, rkt, &md, 5000) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        n = -1;
        for (int t = 0; t < md->topic_cnt; t++) {
            const struct rd_kafka_metadata_topic *mt = &md->topics[t];

            if (strcmp(mt->topic, topic) != 0 || mt->err)
                continue;
            n        = 0;
            *ret_all = mt->partition_cnt;
            for (int p = 0; p < mt->partition_cnt; p++)
                n += mt->partitions[p].leader >= 0 && mt->partitions[p].isr_cnt == mt->partitions[p].replica_cnt;
        }
        rd_kafka_metadata_destroy(md);
    }
    rd_kafka_topic_destroy(rkt);
    return n;
}

static int await_partitions(const char *topic, int wanted)
{
    int64_t end = now_ms() + answer_ms;
    int     all;

    while (partitions_ready(topic, &all) != (wanted ? wanted : -1)) {
        if (now_ms() > end)
            return fail(topic, wanted ? "not all partitions have a leader and their replicas in sync in time" : "still there");
        nap_ms(30);
    }
    return EXIT_SUCCESS;
}

static int cmd_wait(int argc, char **argv)
{
    const struct rd_kafka_metadata *md;
    int64_t                         brokers, seconds = 60, end;
    int                             seen = 0;

    if (argc < 1 || argc > 2 || !number(argv[0], 1000, &brokers) || (argc == 2 && !number(argv[1], 3600, &seconds)))
        return usage();
    end = now_ms() + seconds * 1000;
    for (;;) {
        if (rd_kafka_metadata(rk, 0, NULL, &md, 1000) == RD_KAFKA_RESP_ERR_NO_ERROR) {
            seen = md->broker_cnt;
            rd_kafka_metadata_destroy(md);
            if (seen == brokers && rd_kafka_controllerid(rk, 1000) >= 0)
                return EXIT_SUCCESS;
        }
        if (now_ms() > end) {
            (void)fprintf(stderr, "pawl-kafka-admin: %d of %lld brokers after %lld s\n", seen, (long long)brokers,
                          (long long)seconds);
            return EXIT_FAILURE;
        }
        nap_ms(50);
    }
}

/* Waits for the answer of an admin request; 0, or an exit code after telling why. */
static int answer(rd_kafka_queue_t *queue, const char *what, rd_kafka_event_t **ret_ev)
{
    rd_kafka_event_t *ev = rd_kafka_queue_poll(queue, answer_ms);

    *ret_ev = ev;
    if (!ev)
        return fail(what, "no answer in time");
    if (rd_kafka_event_error(ev))
        return fail(what, rd_kafka_event_error_string(ev));
    return EXIT_SUCCESS;
}

static int topic_result(const char *what, const rd_kafka_topic_result_t **results, size_t n)
{
    if (n != 1)
        return fail(what, "the broker answered for another number of topics");
    if (rd_kafka_topic_result_error(results[0]))
        return fail(what, rd_kafka_topic_result_error_string(results[0]) ?
                              rd_kafka_topic_result_error_string(results[0]) :
                              rd_kafka_err2str(rd_kafka_topic_result_error(results[0])));
    return EXIT_SUCCESS;
}

static int cmd_create(int argc, char **argv)
{
    rd_kafka_queue_t    *queue;
    rd_kafka_NewTopic_t *nt;
    rd_kafka_event_t    *ev = NULL;
    char                 why[256];
    int64_t              partitions, replicas = 1;
    int                  at = 2, rc = EXIT_SUCCESS;

    if (argc < 2 || !number(argv[1], 10000, &partitions) || partitions == 0)
        return usage();
    if (argc > 2 && !strchr(argv[2], '=')) {
        if (!number(argv[2], 100, &replicas) || replicas == 0)
            return usage();
        at = 3;
    }
    nt = rd_kafka_NewTopic_new(argv[0], (int)partitions, (int)replicas, why, sizeof(why));
    if (!nt)
        return fail(argv[0], why);
    for (; at < argc; at++) {
        char *eq = strchr(argv[at], '=');

        if (!eq) {
            rd_kafka_NewTopic_destroy(nt);
            return usage();
        }
        *eq = 0;
        (void)rd_kafka_NewTopic_set_config(nt, argv[at], eq + 1); /* the broker judges it */
    }
    queue = rd_kafka_queue_new(rk);
    rd_kafka_CreateTopics(rk, &nt, 1, NULL, queue);
    rc = answer(queue, argv[0], &ev);
    if (!rc) {
        size_t                          n;
        const rd_kafka_topic_result_t **results =
            rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(ev), &n);

        rc = topic_result(argv[0], results, n);
    }
    if (ev)
        rd_kafka_event_destroy(ev);
    rd_kafka_queue_destroy(queue);
    rd_kafka_NewTopic_destroy(nt);
    return rc ? rc : await_partitions(argv[0], (int)partitions);
}

static int delete_one(const char *topic)
{
    rd_kafka_queue_t       *queue = rd_kafka_queue_new(rk);
    rd_kafka_DeleteTopic_t *dt    = rd_kafka_DeleteTopic_new(topic);
    rd_kafka_event_t       *ev    = NULL;
    int                     rc;

    rd_kafka_DeleteTopics(rk, &dt, 1, NULL, queue);
    rc = answer(queue, topic, &ev);
    if (!rc) {
        size_t                          n;
        const rd_kafka_topic_result_t **results =
            rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(ev), &n);

        rc = topic_result(topic, results, n);
    }
    if (ev)
        rd_kafka_event_destroy(ev);
    rd_kafka_DeleteTopic_destroy(dt);
    rd_kafka_queue_destroy(queue);
    return rc ? rc : await_partitions(topic, 0);
}

/* One that fails does not keep the others. */
static int cmd_delete(int argc, char **argv)
{
    int rc = EXIT_SUCCESS;

    if (argc < 1)
        return usage();
    for (int i = 0; i < argc; i++)
        if (delete_one(argv[i]) != EXIT_SUCCESS)
            rc = EXIT_FAILURE;
    return rc;
}

static int cmd_add_partitions(int argc, char **argv)
{
    rd_kafka_queue_t         *queue;
    rd_kafka_NewPartitions_t *np;
    rd_kafka_event_t         *ev = NULL;
    char                      why[256];
    int64_t                   total;
    int                       rc;

    if (argc != 2 || !number(argv[1], 10000, &total))
        return usage();
    np = rd_kafka_NewPartitions_new(argv[0], (size_t)total, why, sizeof(why));
    if (!np)
        return fail(argv[0], why);
    queue = rd_kafka_queue_new(rk);
    rd_kafka_CreatePartitions(rk, &np, 1, NULL, queue);
    rc = answer(queue, argv[0], &ev);
    if (!rc) {
        size_t                          n;
        const rd_kafka_topic_result_t **results =
            rd_kafka_CreatePartitions_result_topics(rd_kafka_event_CreatePartitions_result(ev), &n);

        rc = topic_result(argv[0], results, n);
    }
    if (ev)
        rd_kafka_event_destroy(ev);
    rd_kafka_NewPartitions_destroy(np);
    rd_kafka_queue_destroy(queue);
    return rc ? rc : await_partitions(argv[0], (int)total);
}

static int cmd_delete_records(int argc, char **argv)
{
    rd_kafka_topic_partition_list_t *list;
    rd_kafka_DeleteRecords_t        *dr;
    rd_kafka_queue_t                *queue;
    rd_kafka_event_t                *ev = NULL;
    int64_t                          partition, before, low = -1, high, end = now_ms() + answer_ms;
    int                              rc;

    if (argc != 3 || !number(argv[1], 10000, &partition) || !number(argv[2], INT64_MAX, &before))
        return usage();
    list                                                                         = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, argv[0], (int32_t)partition)->offset = before;
    dr                                                                           = rd_kafka_DeleteRecords_new(list);
    queue                                                                        = rd_kafka_queue_new(rk);
    rd_kafka_DeleteRecords(rk, &dr, 1, NULL, queue);
    rc = answer(queue, argv[0], &ev);
    if (!rc) {
        const rd_kafka_topic_partition_list_t *done =
            rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(ev));

        if (done->cnt != 1 || done->elems[0].err)
            rc = fail(argv[0], done->cnt == 1 ? rd_kafka_err2str(done->elems[0].err) : "no result");
    }
    if (ev)
        rd_kafka_event_destroy(ev);
    rd_kafka_queue_destroy(queue);
    rd_kafka_DeleteRecords_destroy(dr);
    rd_kafka_topic_partition_list_destroy(list);
    while (!rc && low < before) {
        if (rd_kafka_query_watermark_offsets(rk, argv[0], (int32_t)partition, &low, &high, 5000) != 0)
            low = -1;
        if (low < before && now_ms() > end)
            rc = fail(argv[0], "the log still begins below that offset");
        if (low < before)
            nap_ms(30);
    }
    return rc;
}

static int cmd_offsets(int argc, char **argv)
{
    int all, n = -1;

    if (argc != 1)
        return usage();
    n = partitions_ready(argv[0], &all);
    if (n < 0)
        return fail(argv[0], n == -1 ? "no such topic" : "no answer from the brokers");
    for (int p = 0; p < all; p++) {
        int64_t             low, high;
        rd_kafka_resp_err_t e = rd_kafka_query_watermark_offsets(rk, argv[0], p, &low, &high, 10000);

        if (e)
            return fail(argv[0], rd_kafka_err2str(e));
        (void)printf("%d %lld %lld\n", p, (long long)low, (long long)high);
    }
    return EXIT_SUCCESS;
}

static int cmd_group(const char *bootstrap, int argc, char **argv)
{
    rd_kafka_topic_partition_list_t *list;
    rd_kafka_resp_err_t              e;
    rd_kafka_t                      *member;
    char                             why[256];
    int                              all, n;

    if (argc != 2)
        return usage();
    n = partitions_ready(argv[1], &all);
    if (n < 0)
        return fail(argv[1], n == -1 ? "no such topic" : "no answer from the brokers");
    /* It asks as that group but never subscribes, so the group does not notice. */
    member = handle_new(RD_KAFKA_CONSUMER, bootstrap, argv[0], why, sizeof(why));
    if (!member)
        return fail(argv[0], why);
    list = rd_kafka_topic_partition_list_new(all);
    for (int p = 0; p < all; p++)
        rd_kafka_topic_partition_list_add(list, argv[1], p);
    e = rd_kafka_committed(member, list, 10000);
    for (int p = 0; !e && p < list->cnt; p++)
        (void)printf("%d %lld\n", list->elems[p].partition,
                     (long long)(list->elems[p].offset < 0 ? -1 : list->elems[p].offset));
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(member);
    return e ? fail(argv[0], rd_kafka_err2str(e)) : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(int argc, char **argv);
    } commands[] = {
        { "wait", cmd_wait },
        { "create", cmd_create },
        { "delete", cmd_delete },
        { "add-partitions", cmd_add_partitions },
        { "delete-records", cmd_delete_records },
        { "offsets", cmd_offsets },
    };
    char why[256];
    int  rc = -1;

    if (argc > 2 && strcmp(argv[1], "-t") == 0) {
        int64_t seconds;

        if (!number(argv[2], 3600, &seconds) || seconds == 0)
            return usage();
        answer_ms = (int)seconds * 1000;
        argc -= 2;
        argv += 2;
    }
    if (argc < 4)
        return usage();
    rk = handle_new(RD_KAFKA_PRODUCER, argv[1], NULL, why, sizeof(why));
    if (!rk)
        return fail(argv[1], why);
    if (strcmp(argv[2], "group") == 0)
        rc = cmd_group(argv[1], argc - 3, argv + 3);
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if (strcmp(argv[2], commands[i].name) == 0)
            rc = commands[i].run(argc - 3, argv + 3);
    rd_kafka_destroy(rk);
    return rc < 0 ? usage() : rc;
}
