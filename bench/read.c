/* read: what a read_committed reader of the outputs sees, and when. Reads all partitions of a topic from their beginning until it
 * has seen each of EVENTS events; then prints one line: P50, P95 and P99 in ms from the producer's clock (in the event) to this
 * process having the event in its hands, without the first tenth by time of sending, and events a second from the first event to the last.
 *
 * Usage: pawl-bench-read BOOTSTRAP TOPIC PARTITIONS EVENTS SECONDS    says "reading" when it waits at the end of each partition.
 * Exit 0 only if each event came once, those of a partition of the source in their order, within SECONDS. */
#include "sql.h"

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PARTITIONS_MAX 64

struct seen {
    int64_t sent_us, seen_us; /* by the same clock; 0: not seen */
};

static struct seen *events;
static long         events_n, seen_n;
static int64_t      first_us, last_us;
/* The last event of each partition of the source in each partition of the outputs; -1: none. */
static long newest[PARTITIONS_MAX][PARTITIONS_MAX];
static int  partitions, at_end;

static _Noreturn void die(const char *what, const char *why)
{
    (void)fprintf(stderr, "read: %s: %s\n", what, why);
    exit(1);
}

static int64_t clock_us(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_REALTIME, &t); /* the producer's */
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static rd_kafka_t *consumer(const char *bootstrap)
{
    /* A broker answers a fetch as soon as there is something; the short wait bounds what it may oversee. */
    static const char *const settings[][2] = { { "group.id", "pawl-bench-read" }, { "enable.auto.commit", "false" },
                                               { "auto.offset.reset", "error" },  { "isolation.level", "read_committed" },
                                               { "check.crcs", "true" },          { "enable.partition.eof", "true" },
                                               { "fetch.wait.max.ms", "20" },     { "fetch.queue.backoff.ms", "10" } };
    rd_kafka_conf_t         *conf          = rd_kafka_conf_new();
    char                     why[200]      = "";
    rd_kafka_t              *rk;

    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) /* an old librdkafka lacks the last one */
        if (rd_kafka_conf_set(conf, settings[i][0], settings[i][1], why, sizeof(why)) == RD_KAFKA_CONF_INVALID)
            die(settings[i][0], why);
    if (rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap, why, sizeof(why)) != RD_KAFKA_CONF_OK)
        die("bootstrap.servers", why);
    rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why));
    if (!rk)
        die("librdkafka", why);
    (void)rd_kafka_poll_set_consumer(rk);
    return rk;
}

static void assign(rd_kafka_t *rk, const char *topic)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);

    for (int p = 0; p < partitions; p++) {
        rd_kafka_topic_partition_list_add(list, topic, p)->offset = RD_KAFKA_OFFSET_BEGINNING;
        for (int source = 0; source < partitions; source++)
            newest[source][p] = -1;
    }
    if (rd_kafka_assign(rk, list))
        die("assign", "refused");
    rd_kafka_topic_partition_list_destroy(list);
}

static int64_t number_at(const rd_kafka_message_t *m, size_t at)
{
    uint64_t be;

    memcpy(&be, (const char *)m->payload + at, sizeof(be));
    return (int64_t)__builtin_bswap64(be);
}

/* The producer puts POL-000001234 into partition 1234 % PARTITIONS. */
static int source_of(const rd_kafka_message_t *m)
{
    char text[24] = "";

    if (m->len != BENCH_EVENT_BYTES || m->key_len < 5 || m->key_len >= sizeof(text))
        die("read", "not an event of this benchmark");
    memcpy(text, (const char *)m->key + 4, m->key_len - 4);
    return (int)(strtoul(text, NULL, 10) % (unsigned long)partitions);
}

static void take(const rd_kafka_message_t *m)
{
    char    what[80];
    int     source = source_of(m);
    int64_t number = number_at(m, BENCH_AT_NUMBER);

    (void)snprintf(what, sizeof(what), "event %lld in partition %d", (long long)number, (int)m->partition);
    if (number < 0 || number >= events_n)
        die(what, "was never sent");
    if (events[number].seen_us)
        die(what, "came twice");
    if (number < newest[source][m->partition])
        die(what, "is out of order");
    newest[source][m->partition] = (long)number;

    last_us        = clock_us();
    first_us       = first_us ? first_us : last_us;
    events[number] = (struct seen){ number_at(m, BENCH_AT_EVENT_US), last_us };
    seen_n++;
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

static double ms_at(const int64_t *sorted_us, long n, long percent)
{
    long i = n * percent / 100;

    return (double)sorted_us[i] / 1e3;
}

static void print(void)
{
    long     skip = events_n / 10, n = events_n - skip;
    int64_t *us   = malloc((size_t)n * sizeof(*us));
    double   span = (double)(last_us - first_us) / 1e6;

    if (!us)
        die("print", "out of memory");
    for (long i = 0; i < n; i++) /* they are numbered in the order in which they were sent */
        us[i] = events[skip + i].seen_us - events[skip + i].sent_us;
    qsort(us, (size_t)n, sizeof(*us), by_value);
    (void)printf("%.2f %.2f %.2f %.0f\n", ms_at(us, n, 50), ms_at(us, n, 95), ms_at(us, n, 99),
                 span > 0 ? (double)(events_n - 1) / span : 0.0);
    free(us);
}

int main(int argc, char **argv)
{
    int64_t     until;
    rd_kafka_t *rk;

    partitions = argc == 6 ? (int)strtol(argv[3], NULL, 10) : 0;
    events_n   = argc == 6 ? strtol(argv[4], NULL, 10) : 0;
    if (partitions < 1 || partitions > PARTITIONS_MAX || events_n < 10 || strtol(argv[5], NULL, 10) < 1) {
        (void)fprintf(stderr, "usage: %s BOOTSTRAP TOPIC PARTITIONS EVENTS SECONDS\n", argv[0]);
        return 64;
    }
    events = calloc((size_t)events_n, sizeof(*events));
    if (!events)
        die("events", "out of memory");
    rk = consumer(argv[1]);
    assign(rk, argv[2]);
    until = clock_us() + strtol(argv[5], NULL, 10) * 1000000;
    while (seen_n < events_n) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(rk, 1000);

        if (m && m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF && at_end < partitions && ++at_end == partitions) {
            (void)puts("reading");
            (void)fflush(stdout);
        } else if (m && m->err && m->err != RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            die("consume", rd_kafka_message_errstr(m));
        } else if (m && !m->err) {
            take(m);
        }
        if (m)
            rd_kafka_message_destroy(m);
        if (clock_us() > until) {
            (void)fprintf(stderr, "read: %ld of %ld events after %s s\n", seen_n, events_n, argv[5]);
            return 1;
        }
    }
    print();
    return 0; /* the consumer's handle ends with the process */
}
