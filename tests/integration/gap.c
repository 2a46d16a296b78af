/* The log is not where we left it: that partition halts with the exact range, the others go on. */
#include "oracle.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static void applied_and_stopped(struct cluster *k, struct worker **ret_a, int n)
{
    *ret_a = worker_start(k, "a");
    events_send(k, n);
    wait_until(oracle_all_accounted(k));
    cr_assert(worker_stop(*ret_a, 15000));
}

Test(gap, records_deleted_before_the_start_halt_their_partition)
{
    struct cluster *k = cluster_up(.partitions = 2);
    struct worker  *a;

    applied_and_stopped(k, &a, 40); /* 20 a partition */
    events_send(k, 40);
    kafka_delete_records(k->topic, 0, 30);
    a = worker_start(k, "a");
    wait_until(worker_says(a, "partition.halted"));
    cr_assert(worker_says(a, "offsets 20 to 29 are missing"));
    wait_until(next_offset(k, 1) == 40);
    cr_assert_eq(next_offset(k, 0), 20);
    cr_assert_eq(ledger_count(k), 60);
    events_send(k, 20); /* the other goes on */
    wait_until(next_offset(k, 1) == 50);
    cr_assert_eq(next_offset(k, 0), 20);
    cluster_down(k);
}

Test(gap, records_deleted_while_it_runs_halt_their_partition)
{
    struct cluster *k = cluster_up(.partitions = 2);
    struct worker  *a = worker_start(k, "a");

    events_send(k, 40);
    wait_until(oracle_all_accounted(k));
    worker_freeze(a);
    kit_nap(4 *
            CLUSTER_FETCH_WAIT_MS); /* its fetch that waits at the broker comes back empty: it must not hold what is deleted */
    events_send(k, 40);
    kafka_delete_records(k->topic, 0, 30);
    worker_thaw(a);
    wait_until(worker_says(a, "partition.halted"));
    cr_assert(worker_says(a, "offsets 20 to 29 are missing"));
    wait_until(next_offset(k, 1) == 40);
    cr_assert_eq(next_offset(k, 0), 20);
    cluster_down(k);
}

Test(gap, records_deleted_below_the_position_are_no_gap)
{
    struct cluster *k = cluster_up(.partitions = 1);
    struct worker  *a;

    applied_and_stopped(k, &a, 40);
    kafka_delete_records(k->topic, 0, 40); /* also the record that was applied last */
    events_send(k, 20);
    a = worker_start(k, "a");
    wait_until(next_offset(k, 0) == 60);
    cr_assert_not(worker_says(a, "partition.halted"));
    cr_assert_eq(ledger_count(k), 60);
    cr_assert_eq(sql_int(k, "SELECT count(DISTINCT source_offset) FROM test.ledger"), 60);
    cluster_down(k);
}

static void recreate(struct cluster *k, int n)
{
    kafka_topic_delete(k->topic);
    kafka_topic_create(k->topic, k->o.partitions, k->o.replicas);
    kafka_producer_free(k->producer);
    k->producer = kafka_producer_new();
    events_send(k, n);
}

static void recreated(int n, const char *says)
{
    struct cluster *k = cluster_up(.partitions = 1);
    struct worker  *a;

    applied_and_stopped(k, &a, 40);
    recreate(k, n);
    a = worker_start(k, "a");
    wait_until(worker_says(a, "partition.halted"));
    cr_assert(worker_says(a, says));
    cr_assert_eq(next_offset(k, 0), 40);
    cr_assert_eq(ledger_count(k), 40);
    cluster_down(k);
}

Test(gap, a_topic_recreated_shorter_halts)
{
    recreated(10, "the log ends at 10");
}

Test(gap, a_topic_recreated_empty_halts)
{
    recreated(0, "the log ends at 0");
}

Test(gap, a_topic_recreated_longer_halts)
{
    recreated(70, "recreated");
}

Test(gap, a_topic_recreated_of_the_same_length_halts)
{
    recreated(40, "recreated");
}

/* Red control of the bookmark: without it a longer topic is taken for the old one, and its first records are never read. */
Test(gap, without_the_bookmark_a_recreated_topic_loses_records)
{
    struct cluster *k = cluster_up(.partitions = 1);
    struct worker  *a;

    applied_and_stopped(k, &a, 40);
    recreate(k, 70);
    a = worker_start(k, "a", .guards_off = "bookmark");
    wait_until(next_offset(k, 0) == 70);
    cr_assert_not(worker_says(a, "partition.halted"));
    cr_assert_gt(oracle_look(k).foreign, 0); /* the old records' effects stand for the new ones */
    cluster_down(k);
}

Test(gap, holes_inside_the_log_are_legal)
{
    struct cluster *k = cluster_up(.partitions = 1);

    events_send(k, 10);
    kafka_produce_transaction(k->topic, 0, "k00", "900 ok 0", 5, false); /* aborted: five records and a marker nobody sees */
    events_send(k, 10);
    kafka_produce_transaction(k->topic, 0, "k00", "901 skip 0", 5, true);
    (void)worker_start(k, "a");
    wait_until(oracle_all_accounted(k)); /* also over the marker at the end */
    cr_assert_eq(ledger_count(k), 20);
    cr_assert(oracle_exactly_once_in_order(k));
    cluster_down(k);
}
