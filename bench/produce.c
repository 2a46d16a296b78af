/* produce: fills the benchmark's topic. Usage: pawl-bench-produce BOOTSTRAP TOPIC PARTITIONS EVENTS POLICIES [PER_SECOND|hold]
 * hold: all events are in one Kafka transaction, so that readers see none of them; says "held" when they are in the log, and
 * commits at the end of its input: all become visible at once. The same arguments give the same events, but for the time of sending. Exit 0 only if all are acknowledged. */
#include "sql.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static long refused;

static void delivered(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    (void)rk;
    (void)opaque;
    refused += m->err != 0;
}

static int64_t clock_us(clockid_t clock)
{
    struct timespec t;

    (void)clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void put_number(char *p, int64_t v)
{
    uint64_t be = __builtin_bswap64((uint64_t)v);

    memcpy(p, &be, sizeof(be));
}

/* A fixed generator: every machine and every run sends the same policies in the same order. */
static uint64_t next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void check(rd_kafka_error_t *error, const char *what)
{
    if (!error)
        return;
    (void)fprintf(stderr, "produce: %s: %s\n", what, rd_kafka_error_string(error));
    exit(1);
}

/* Waits for the word to go, then makes the events visible. */
static void commit_when_told(rd_kafka_t *rk)
{
    while (rd_kafka_flush(rk, 1000) == RD_KAFKA_RESP_ERR__TIMED_OUT)
        ;
    (void)puts("held");
    (void)fflush(stdout);
    while (getchar() != EOF)
        ;
    check(rd_kafka_commit_transaction(rk, 60000), "commit the transaction");
}

static rd_kafka_t *producer(const char *bootstrap, const char *transaction)
{
    static const char *const settings[][2] = { { "enable.idempotence", "true" },
                                               { "linger.ms", "1" },
                                               { "queue.buffering.max.messages", "400000" } };
    rd_kafka_conf_t         *conf          = rd_kafka_conf_new();
    char                     why[200];
    rd_kafka_t              *rk;

    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
        if (rd_kafka_conf_set(conf, settings[i][0], settings[i][1], why, sizeof(why)) != RD_KAFKA_CONF_OK)
            goto fail;
    if (rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap, why, sizeof(why)) != RD_KAFKA_CONF_OK)
        goto fail;
    if (transaction && (rd_kafka_conf_set(conf, "transactional.id", transaction, why, sizeof(why)) != RD_KAFKA_CONF_OK ||
                        rd_kafka_conf_set(conf, "transaction.timeout.ms", "300000", why, sizeof(why)) != RD_KAFKA_CONF_OK))
        goto fail;
    rd_kafka_conf_set_dr_msg_cb(conf, delivered);
    rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
    if (rk)
        return rk;
fail:
    (void)fprintf(stderr, "produce: %s\n", why);
    exit(1);
}

int main(int argc, char **argv)
{
    long        partitions = argc > 3 ? strtol(argv[3], NULL, 10) : 0, events = argc > 4 ? strtol(argv[4], NULL, 10) : 0;
    long        policies = argc > 5 ? strtol(argv[5], NULL, 10) : 0, per_second = argc > 6 ? strtol(argv[6], NULL, 10) : 0;
    int         hold  = argc > 6 && strcmp(argv[6], "hold") == 0;
    uint64_t    state = 88172645463325252u;
    int64_t     began = clock_us(CLOCK_MONOTONIC);
    char        value[BENCH_EVENT_BYTES], key[24];
    rd_kafka_t *rk;

    if (argc < 6 || partitions < 1 || events < 1 || policies < 1) {
        (void)fprintf(stderr, "usage: %s BOOTSTRAP TOPIC PARTITIONS EVENTS POLICIES [PER_SECOND|hold]\n", argv[0]);
        return 64;
    }
    rk = producer(argv[1], hold ? argv[2] : NULL);
    if (hold) {
        check(rd_kafka_init_transactions(rk, 60000), "init transactions");
        check(rd_kafka_begin_transaction(rk), "begin the transaction");
    }
    memset(value, 'x', sizeof(value));
    memcpy(value + BENCH_AT_STATUS, "active  ", BENCH_STATUS_BYTES);
    for (long i = 0; i < events; i++) {
        long                policy = (long)(next(&state) % (uint64_t)policies);
        int                 n      = snprintf(key, sizeof(key), "POL-%09ld", policy);
        rd_kafka_resp_err_t rc;

        for (; per_second && clock_us(CLOCK_MONOTONIC) - began < i * 1000000 / per_second;)
            (void)nanosleep(&(struct timespec){ 0, 200000 }, NULL);
        put_number(value + BENCH_AT_EVENT_US, clock_us(CLOCK_REALTIME));
        put_number(value + BENCH_AT_PREMIUM, (int64_t)(next(&state) % 1000000));
        put_number(value + BENCH_AT_AMOUNT, (int64_t)(next(&state) % 1000000));
        put_number(value + BENCH_AT_NUMBER, i);
        while ((rc = rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(argv[2]), RD_KAFKA_V_PARTITION((int32_t)(policy % partitions)),
                                       RD_KAFKA_V_KEY(key, (size_t)n), RD_KAFKA_V_VALUE(value, sizeof(value)),
                                       RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END)) ==
               RD_KAFKA_RESP_ERR__QUEUE_FULL)
            (void)rd_kafka_poll(rk, 20);
        if (rc) {
            (void)fprintf(stderr, "produce: %s\n", rd_kafka_err2str(rc));
            return 1;
        }
        (void)rd_kafka_poll(rk, 0);
    }
    if (hold)
        commit_when_told(rk);
    if (rd_kafka_flush(rk, 60000) || refused) {
        (void)fprintf(stderr, "produce: not all of %ld events were acknowledged\n", events);
        return 1;
    }
    rd_kafka_destroy(rk);
    return 0;
}
