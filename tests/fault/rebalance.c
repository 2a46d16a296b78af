/* Members come and go under load. */
#include "load.h"
#include "oracle.h"

#include <criterion/criterion.h>
#include <stdlib.h>

Test(rebalance, members_that_come_and_go_lose_and_double_nothing)
{
    struct cluster *k    = cluster_up(.partitions = 6, .batch = 30);
    struct worker  *a    = worker_start(k, "a", .slots = 2);
    struct load    *load = load_start(k, 400);

    wait_until(ledger_count(k) > 100);
    for (int i = 0; i < 3; i++) {
        struct worker *b      = worker_start(k, "b", .slots = 2);
        int64_t        before = ledger_count(k);

        wait_until(worker_says_n(b, "group.assigned") >= 2 * (i + 1));
        wait_until(ledger_count(k) > before + 200);
        cr_assert(worker_stop(b, 15000)); /* its partitions wait for the session to end */
    }
    (void)load_stop(load);
    wait_until(oracle_all_accounted(k));
    cr_assert_gt(worker_says_n(a, "group.revoked"), 2, "nothing was taken away: nothing was shown");
    cr_assert_eq(dead_count(k), 0);
    cr_assert(oracle_exactly_once_in_order(k));
    cluster_down(k);
}

Test(rebalance, a_second_supervisor_takes_over_what_the_first_leaves)
{
    struct cluster *k = cluster_up(.partitions = 4, .batch = 30);
    struct worker  *a = worker_start(k, "a"), *b = worker_start(k, "b");

    wait_until(worker_says(a, "group.assigned") && worker_says(b, "group.assigned"));
    events_send(k, 400);
    cr_assert(worker_stop(a, 15000));
    events_send(k, 400);
    wait_until(oracle_all_accounted(k));
    cr_assert(oracle_exactly_once_in_order(k));
    cluster_down(k);
}

/* Two supervisors with one name want the same memberships: one side is fenced and stops, none of them doubles anything. */
Test(rebalance, two_supervisors_of_one_name_double_nothing)
{
    struct cluster *k = cluster_up(.partitions = 2, .batch = 30);
    struct worker  *a = worker_start(k, "a"), *b;

    events_send(k, 200);
    wait_until(ledger_count(k) > 0);
    b = worker_start(k, "b", .as = "a");
    events_send(k, 200);
    wait_until(worker_says(a, "worker.fenced") || worker_says(b, "worker.fenced"));
    events_send(k, 200);
    wait_until(oracle_all_accounted(k));
    cr_assert(oracle_exactly_once_in_order(k));
    cluster_down(k);
}
