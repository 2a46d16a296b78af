/* SIGKILL, hand-over and rebalances while messages are tried again: each key keeps its order, nothing is lost or doubled, and
 * no attempt is forgotten. */
#include "oracle.h"
#include "points.h"
#include "run.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROUNDS 3

static bool is_ours(const char *name)
{
    return point_begins(name, "park_") || point_begins(name, "attempt_");
}

ParameterizedTestParameters(park, a_kill_while_messages_are_tried_again_loses_and_doubles_nothing)
{
    return points_of(is_ours);
}

/* Most are applied at once, some at their second or third attempt, one in twenty never. */
static void some_events(struct cluster *k, int n)
{
    for (int i = 0; i < n; i++) {
        event_queue(k, k->next_key, i % 20 == 7 ? "never" : i % 5 == 1 ? "retry" : i % 20 == 13 ? "reject" : "ok", 1 + i % 2);
        k->next_key = (k->next_key + 1) % k->o.keys;
    }
    events_flush(k);
}

static bool all_published(struct cluster *k)
{
    return oracle_all_published(k) && sql_int(k, "SELECT count(*) FROM pawl.parked") == 0;
}

static void settled(struct cluster *k)
{
    long          rejected;
    struct oracle seen;

    wait_until_s(90, all_published(k));
    rejected = sql_int(k, "SELECT sum(outbox_seq) FROM pawl.offsets");
    wait_until((seen = oracle_look(k)).dead >= rejected); /* a transaction's last markers come after its answer */
    cr_assert_eq(seen.dead, rejected, "%ld dead letters in their topic, %ld were written", seen.dead, rejected);
    cr_assert_eq(sql_int(k, "SELECT count(*) FROM pawl.dead_letters WHERE code = 'retry.exhausted' AND attempt <> %d",
                         k->o.retry_attempts),
                 0);
    cr_assert_eq(sql_int(k, "SELECT count(*) FROM pawl.attempts"), 0);
    cr_assert(oracle_exactly_once_in_order(k));
    cluster_down(k);
}

ParameterizedTest(struct point *point, park, a_kill_while_messages_are_tried_again_loses_and_doubles_nothing)
{
    bool            blocks = strncmp(point->name, "attempt_", 8) == 0;
    struct cluster *k      = cluster_up(.partitions = 4, .batch = 20, .keys = 24, .dlq = "there", .retry_attempts = 4,
                                        .retry_mode = blocks ? "block" : "park");
    char            spec[80];

    (void)snprintf(spec, sizeof(spec), "%s:3=kill", point->name);
    (void)worker_start(k, "a", .slots = 2, .failpoint = spec, .token = "once");
    some_events(k, 80);
    for (int i = 0; i < ROUNDS; i++) { /* whoever passes there next */
        if (i)
            cluster_token_make(k);
        some_events(k, 80);
        wait_until(cluster_token_taken(k));
    }
    some_events(k, 40);
    settled(k);
}

/* A second instance comes and goes: partitions change hands with what is parked of them. */
Test(park, partitions_that_change_hands_take_their_park_along)
{
    struct cluster *k = cluster_up(.partitions = 6, .batch = 20, .keys = 36, .dlq = "there", .retry_attempts = 4,
                                   .retry_mode = "park", .backoff_ms = 400);
    struct worker  *a = worker_start(k, "a"), *b;

    some_events(k, 120);
    wait_until(ledger_count(k) > 0);
    b = worker_start(k, "b");
    some_events(k, 120);
    wait_until(sql_int(k, "SELECT count(DISTINCT owner) FROM pawl.offsets") == 2);
    some_events(k, 60);
    cr_assert(worker_stop(b, 20000));
    some_events(k, 60);
    worker_kill(a, 0);
    settled(k);
}

/* The worker sleeps with parked messages in its open transaction; its successor waits for it and finds what it left. */
Test(park, a_worker_that_sleeps_with_parked_messages_in_hand_is_replaced)
{
    struct cluster *k =
        cluster_up(.partitions = 2, .batch = 20, .keys = 12, .dlq = "there", .retry_attempts = 4, .retry_mode = "park");
    struct worker *a = worker_start(k, "a", .failpoint = "park_before_commit:4=stop", .token = "once");

    some_events(k, 100);
    wait_until(cluster_token_taken(k));
    worker_freeze(a);
    (void)worker_start(k, "b", .as = "b");
    some_events(k, 60);
    wait_until_s(60, sql_int(k, "SELECT count(*) FROM pawl.offsets WHERE owner LIKE 'b/%%'") == 2);
    worker_thaw(a);
    settled(k);
}

/* ---- outputs ---- */

/* Outputs of parked messages carry old offsets; each is published once, and the group's offset does not go back. */
Test(park, outputs_of_parked_messages_are_published_once)
{
    struct cluster *k = cluster_up(.partitions = 3, .batch = 20, .keys = 12, .plugin = "emitter", .retry_attempts = 4,
                                   .retry_mode = "park", .backoff_ms = 150);
    char            topic[80];
    size_t          n;
    int64_t         seen[3] = { 0 };

    (void)worker_start(k, "a");
    for (int round = 0; round < 4; round++) {
        some_events(k, 60);
        for (int p = 0; p < 3; p++) {
            int64_t at = kafka_group_offset(k->group, k->topic, p);

            cr_assert_geq(at, round ? seen[p] : at, "the group's offset went back");
            seen[p] = at;
        }
        if (round == 2)
            worker_kill(k->workers[0], 0);
    }
    wait_until_s(90, all_published(k));
    wait_until(oracle_exactly_once_in_order(k));
    (void)snprintf(topic, sizeof(topic), "%s.out", k->topic);
    free(kafka_read_all(topic, k->o.partitions, &n));
    cr_assert_eq((long)n, ledger_count(k), "%zu outputs of %lld messages", n, (long long)ledger_count(k));
    cluster_down(k);
}

/* ---- Kafka goes away ---- */

static void *broker_up(void *number)
{
    kafka_broker_up((int)(intptr_t)number);
    return NULL;
}

/* Together: one alone has no quorum, and does not come up. */
static void all_brokers_up(void)
{
    pthread_t threads[3];

    for (int i = 0; i < 3; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, broker_up, (void *)(intptr_t)(i + 1)), 0);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
}

/* In the suite that runs first: brokers that were killed look through the logs of all topics that the tests before have made. */
Test(brokers, an_outage_of_kafka_costs_no_attempt_and_is_one_event)
{
    struct cluster *k = cluster_up(.partitions = 4, .batch = 20, .keys = 24, .retry_attempts = 4, .retry_mode = "park",
                                   .backoff_ms = 300, .alone = true);
    struct worker  *a;

    for (int i = 0; i < 120; i++) { /* the fourth and last attempt succeeds: one that were lost would make a dead letter */
        event_queue(k, k->next_key, i % 5 == 1 ? "retry" : "ok", 3);
        k->next_key = (k->next_key + 1) % k->o.keys;
    }
    events_flush(k);
    a = worker_start(k, "a");
    wait_until(sql_int(k, "SELECT count(*) FROM pawl.parked") > 0);
    for (int broker = 1; broker <= 3; broker++)
        kafka_broker_kill(broker);
    wait_until(worker_says(a, "breaker.opened"));
    all_brokers_up();
    kafka_wait_in_sync(k->topic, 3);
    wait_until(worker_says(a, "breaker.closed"));
    wait_until_s(90, oracle_all_accounted(k) && sql_int(k, "SELECT count(*) FROM pawl.parked") == 0);
    cr_assert_eq(worker_says_n(a, "breaker.opened"), worker_says_n(a, "breaker.closed"));
    cr_assert_eq(dead_count(k), 0, "an outage of Kafka cost attempts");
    cr_assert(oracle_exactly_once_in_order(k));
    cluster_down(k);
}
