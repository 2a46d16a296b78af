/* Brokers die and come back. */
#include "load.h"
#include "oracle.h"

#include <criterion/criterion.h>
#include <stdlib.h>

Test(brokers, killed_one_after_the_other_lose_and_double_nothing)
{
    struct cluster *k    = cluster_up(.partitions = 6, .batch = 30, .alone = true);
    struct worker  *a    = worker_start(k, "a", .slots = 2);
    struct load    *load = load_start(k, 300);
    long            acked;

    wait_until(ledger_count(k) > 100);
    for (int broker = 1; broker <= 3; broker++) {
        int64_t before;

        kafka_broker_kill(broker);
        before = ledger_count(k);
        wait_until(ledger_count(k) > before + 100); /* it goes on with two */
        kafka_broker_up(broker);
        kafka_wait_in_sync(k->topic, 3);
    }
    acked = load_stop(load);
    wait_until(oracle_all_accounted(k));
    cr_assert_eq(dead_count(k), 0, "a broker's death became a dead letter");
    cr_assert(proc_running(&a->proc));
    cr_assert_geq(oracle_look(k).sent, acked, "Kafka itself has lost what it acknowledged");
    cr_assert(oracle_exactly_once_in_order(k));
    cluster_down(k);
}
