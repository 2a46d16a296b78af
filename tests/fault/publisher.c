/* The way from PostgreSQL to Kafka: every output and every dead letter once, in the order of its source. The judge reads the
 * topics as any consumer with read_committed does, and knows the source records; nothing of the product takes part. */
#include "load.h"
#include "oracle.h"
#include "outputs.h"
#include "points.h"
#include "run.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS 3

/* ---- SIGKILL at every step ---- */

static bool is_ours(const char *name)
{
    return point_begins(name, "publisher_");
}

ParameterizedTestParameters(publisher, a_kill_at_any_step_publishes_everything_once)
{
    return points_of(is_ours);
}

ParameterizedTest(struct point *point, publisher, a_kill_at_any_step_publishes_everything_once)
{
    bool            early = strcmp(point->name, "publisher_init") == 0 || strcmp(point->name, "publisher_position") == 0;
    struct cluster *k     = cluster_up(.partitions = 4, .batch = 10, .plugin = "emitter");
    char            spec[80];
    struct worker  *a;

    (void)snprintf(spec, sizeof(spec), "%s:%d=kill", point->name, early ? 1 : 2);
    a = worker_start(k, "a", .slots = 2, .failpoint = spec, .token = "once");
    for (int i = 0; i < ROUNDS; i++) { /* whoever passes there next */
        if (i)
            cluster_token_make(k);
        if (i && early) /* a start only comes there */
            worker_kill(a, i % 2);
        flow_until_taken(k);
    }
    flow(k, 60);
    check_all(k, true);
    cluster_down(k);
}

/* ---- a worker that stands still with an open Kafka transaction ---- */

struct successor {
    char as[8]; /* instance */
    int  session_ms;
};

ParameterizedTestParameters(publisher, a_frozen_worker_with_an_open_transaction_publishes_nothing_twice)
{
    /* another worker waits for the session and the transaction to time out; its namesake ends both at once */
    static struct successor who[] = { { "b", 6000 }, { "a", 45000 } };

    return cr_make_param_array(struct successor, who, sizeof(who) / sizeof(who[0]));
}

ParameterizedTest(struct successor *who, publisher, a_frozen_worker_with_an_open_transaction_publishes_nothing_twice)
{
    struct cluster *k =
        cluster_up(.partitions = 2, .batch = 10, .plugin = "emitter", .handler_timeout_ms = 500, .session_ms = who->session_ms);
    struct worker *a = worker_start(k, "a", .failpoint = "publisher_offsets:2=stop", .token = "once");

    flow_until_taken(k);
    worker_freeze(a);
    (void)worker_start(k, "b", .as = who->as);
    flow(k, 60);
    wait_until_s(TAKE_OVER_S, settled(k));
    cr_assert(once_in_order(k, TO_OUT));
    worker_thaw(a);
    wait_until(worker_says(a, "publisher.failed") || worker_says(a, "worker.fenced"));
    if (strcmp(who->as, "a") == 0) /* namesakes would fence each other for ever */
        worker_cut_off(a);
    flow(k, 60);
    check_all(k, true);
    cluster_down(k);
}

/* ---- brokers ---- */

/* As PostgreSQL knows it: it hears of it with a later batch. */
static int64_t published(struct cluster *k)
{
    return sql_int(k, "SELECT sum(published_seq) FROM pawl.offsets");
}

/* Tests that want to be alone are in the suite that runs first: later they would keep others waiting. */
Test(brokers, one_killed_while_outputs_flow_loses_and_doubles_none)
{
    struct cluster *k    = cluster_up(.partitions = 4, .batch = 20, .plugin = "emitter", .alone = true);
    struct load    *load = NULL;
    int64_t         before;

    (void)worker_start(k, "a", .slots = 2);
    load = load_start(k, 200);
    wait_until(published(k) > 100);
    kafka_broker_kill(2);
    before = published(k);
    wait_until_s(60, published(k) > before + 400);
    kafka_broker_up(2);
    kafka_wait_in_sync(k->topic, 3);
    (void)load_stop(load);
    check_all(k, false);
    cluster_down(k);
}

Test(publisher, an_output_topic_that_comes_late_gets_every_output_once)
{
    struct cluster *k = cluster_up(.partitions = 2, .batch = 20, .plugin = "emitter", .no_out = true);
    struct worker  *a = worker_start(k, "a");
    char            name[80];

    (void)snprintf(name, sizeof(name), "%s.out", k->topic);
    flow(k, 200);
    wait_until(oracle_all_accounted(k)); /* processing goes on */
    cr_assert(!holds_within_ms(5000, mirrored(k)), "the group's offset is ahead of what is published");
    wait_until_s(60, worker_says(a, "publisher.failed"));
    cr_assert(!holds_within_ms(2000, worker_says(a, "publisher.recovered")), "it is said to publish again before it does");
    kafka_topic_create(name, 2, k->o.replicas);
    flow(k, 100);
    cr_assert(proc_running(&a->proc));
    check_all(k, true);
    cluster_down(k);
}

/* ---- PostgreSQL and the group do not fit ---- */

Test(publisher, a_database_from_the_past_halts_its_partition_and_says_why)
{
    struct cluster *k = cluster_up(.partitions = 2, .plugin = "emitter");
    struct worker  *a = worker_start(k, "a");
    int64_t         next;

    flow(k, 100);
    wait_until(settled(k));
    cr_assert(worker_stop(a, 20000));
    sql_exec(k, "UPDATE pawl.offsets SET published_seq = outbox_seq - 3, outbox_seq = outbox_seq - 3 WHERE partition = 0");
    next = next_offset(k, 0);
    (void)worker_start(k, "a");
    wait_until(status_says(a, "was it restored?"));
    flow(k, 40);
    wait_until(next_offset(k, 1) == 70); /* the other one goes on */
    cr_assert_eq(next_offset(k, 0), next);
    cr_assert_eq(look_at(k, TO_OUT).duplicated, 0);
    cluster_down(k);
}

Test(publisher, a_lost_group_offset_halts_a_partition_whose_rows_wait)
{
    struct cluster *k = cluster_up(.partitions = 1, .plugin = "emitter");
    struct worker  *a = worker_start(k, "a");

    flow(k, 40);
    wait_until(settled(k));
    worker_cut_off(a); /* published, but PostgreSQL does not know yet */
    cr_assert_gt(sql_int(k, "SELECT outbox_seq - published_seq FROM pawl.offsets"), 0);
    wait_until(kafka_group_delete(k->group));
    (void)worker_start(k, "a");
    wait_until(status_says(a, "may or may not have been published"));
    flow(k, 20);
    cr_assert(!holds_within_ms(1000, next_offset(k, 0) != 40));
    cr_assert_eq(look_at(k, TO_OUT).duplicated, 0);
    cluster_down(k);
}

Test(publisher, a_lost_group_offset_is_made_anew_when_all_is_published)
{
    struct cluster *k = cluster_up(.partitions = 2, .plugin = "emitter");
    struct worker  *a = worker_start(k, "a");

    flow(k, 60);
    wait_until(settled(k));
    cr_assert(worker_stop(a, 20000));
    wait_until(kafka_group_delete(k->group));
    cr_assert_eq(kafka_group_offset(k->group, k->topic, 0), -1);
    (void)worker_start(k, "a");
    flow(k, 60);
    check_all(k, true);
    cr_assert_not(worker_says(a, "publisher.halted"));
    cluster_down(k);
}

/* ---- what a topic does not take ---- */

Test(publisher, an_output_that_is_too_large_is_dead_lettered_by_reference)
{
    struct cluster *k = cluster_up(.partitions = 2, .batch = 50, .plugin = "emitter", .out_max_bytes = 4000);

    for (int i = 0; i < 60; i++) /* before it starts, so that they share transactions */
        event_queue(k, i % k->o.keys, i % 20 == 11 ? "big" : "ok", 20000);
    flow(k, 40);
    (void)worker_start(k, "a");
    flow(k, 40);
    check_all(k, true);
    cr_assert_eq(sql_int(k, "SELECT count(*) FROM pawl.dead_letters WHERE code = 'output.too_large' AND state = 'open'"
                            " AND octet_length(value) = 20000 AND target LIKE '%%.out'"),
                 3, "its value stays in PostgreSQL");
    cluster_down(k);
}

/* ---- red controls, each beside its green twin ---- */

static struct look killed_after_the_commit(const char *off)
{
    struct cluster *k = cluster_up(.partitions = 1, .batch = 10, .plugin = "emitter");
    struct look     l;

    (void)worker_start(k, "a", .failpoint = "publisher_committed:2=kill", .token = "once", .guards_off = off);
    flow_until_taken(k);
    wait_until(settled(k));
    l = look_at(k, TO_OUT);
    cluster_down(k);
    return l;
}

Test(publisher, with_the_position_in_the_transaction_a_kill_after_the_commit_doubles_nothing)
{
    struct look l = killed_after_the_commit(NULL);

    cr_assert_eq(l.lost + l.duplicated + l.disordered + l.foreign, 0);
}

Test(publisher, without_the_position_in_the_transaction_a_kill_after_the_commit_doubles_outputs)
{
    cr_assert_gt(killed_after_the_commit("position_in_transaction").duplicated, 0);
}

/* The publisher is held up, so that batches overtake it. */
static struct cluster *overtaken(const char *off)
{
    struct cluster *k = cluster_up(.partitions = 1, .batch = 10, .plugin = "emitter");

    (void)worker_start(k, "a", .failpoint = "publisher_read:1=sleep_ms(2000)", .guards_off = off);
    for (int i = 0; i < 6; i++) {
        int64_t before = next_offset(k, 0);

        flow(k, 10);
        wait_until(next_offset(k, 0) == before + 10);
    }
    return k;
}

Test(publisher, rows_that_wait_survive_the_batches_that_overtake_them)
{
    struct cluster *k = overtaken(NULL);

    check_all(k, true);
    cluster_down(k);
}

Test(publisher, without_its_guard_rows_that_wait_are_deleted)
{
    struct cluster *k = overtaken("delete_published");

    wait_until(worker_says(k->workers[0], "is missing: somebody deleted it before it was published"));
    cr_assert_gt(look_at(k, TO_OUT).lost, 0);
    cluster_down(k);
}
