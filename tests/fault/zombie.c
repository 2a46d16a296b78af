/* A worker stands still, loses its partitions without knowing it, and goes on. */
#include "oracle.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

struct where {
    char failpoint[32];
};

ParameterizedTestParameters(zombie, a_worker_that_lost_its_partitions_commits_nothing)
{
    static struct where points[] = { { "before_begin:3=stop" }, { "after_fence:3=stop" }, { "before_commit:3=stop" } };

    return cr_make_param_array(struct where, points, sizeof(points) / sizeof(points[0]));
}

/* before_begin: it holds nothing in the database. The others: it holds the locks of its transaction, until PostgreSQL ends
 * its session for idling. */
ParameterizedTest(struct where *at, zombie, a_worker_that_lost_its_partitions_commits_nothing)
{
    struct cluster *k = cluster_up(.partitions = 2, .batch = 20, .handler_timeout_ms = 500);
    struct worker  *a, *b;
    int64_t         by_a;

    a = worker_start(k, "a", .failpoint = at->failpoint, .token = "once");
    events_send(k, 300);
    wait_until(cluster_token_taken(k));
    worker_freeze(a);
    by_a = ledger_count(k);
    cr_assert_lt(by_a, 300);
    b = worker_start(k, "b");
    wait_until(oracle_all_accounted(k));
    cr_assert(oracle_exactly_once_in_order(k));
    worker_thaw(a);
    /* by the offset row, or because the group tells it first */
    wait_until(worker_says(a, "partition.fenced") || worker_says(a, "fenced: ") || worker_says(a, "partitions, lost"));
    cr_assert_not(worker_says(b, "partition.fenced"), "the rightful owner stepped aside");
    events_send(k, 100);
    wait_until(oracle_all_accounted(k));
    cr_assert(oracle_exactly_once_in_order(k));
    cluster_down(k);
}

/* Somebody starts a replacement under its very name: the group takes it for the same member, and nobody waits for a
 * session to end. */
Test(zombie, a_worker_that_is_replaced_under_its_name_while_it_sleeps_commits_nothing)
{
    struct cluster *k = cluster_up(.partitions = 2, .batch = 20, .handler_timeout_ms = 500, .session_ms = 30000);
    struct worker  *a = worker_start(k, "a", .failpoint = "after_handle:3=stop", .token = "once");

    events_send(k, 300);
    wait_until(cluster_token_taken(k));
    worker_freeze(a);
    (void)worker_start(k, "b", .as = "a");
    wait_until(oracle_all_accounted(k)); /* when PostgreSQL has ended the sleeper's session */
    cr_assert(oracle_exactly_once_in_order(k));
    worker_thaw(a);
    wait_until(worker_says(a, "fenced"));
    events_send(k, 100);
    wait_until(oracle_all_accounted(k));
    cr_assert(oracle_exactly_once_in_order(k));
    cluster_down(k);
}
