/* Hosts are replaced one after the other, come, and leave for good, under load. */
#include "load.h"
#include "oracle.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#define HOSTS 3

static int64_t moves(struct cluster *k) /* claims of partitions so far */
{
    return sql_int(k, "SELECT coalesce(sum(owner_epoch), 0) FROM pawl.offsets");
}

static bool shared_by(struct cluster *k, int hosts)
{
    return sql_int(k, "SELECT count(DISTINCT owner) FROM pawl.offsets") == hosts;
}

static int told(struct worker *const *hosts)
{
    int n = 0;

    for (int i = 0; i < HOSTS; i++)
        n += worker_says_n(hosts[i], "group.assigned") + worker_says_n(hosts[i], "group.revoked");
    return n;
}

static void nothing_lost_doubled_or_halted(struct cluster *k, long acked)
{
    wait_until(oracle_all_accounted(k));
    cr_assert_geq(oracle_look(k).sent, acked);
    cr_assert_eq(dead_count(k), 0);
    cr_assert(oracle_exactly_once_in_order(k));
    for (int i = 0; i < k->workers_n; i++)
        cr_assert_not(worker_says(k->workers[i], "partition.halted"), "%s", k->workers[i]->name);
}

/* Places in the group are kept over a restart: only the partitions of the host that is replaced stand still, each claimed once. */
Test(rolling, hosts_are_replaced_one_by_one_and_only_their_own_partitions_stand_still)
{
    static const char *const name[HOSTS] = { "a", "b", "c" };
    struct cluster          *k           = cluster_up(.partitions = 6, .batch = 50, .deployed = true, .session_ms = 45000);
    struct worker           *host[HOSTS];
    struct load             *load;
    int64_t                  claimed;
    int                      rebalances;

    for (int i = 0; i < HOSTS; i++)
        host[i] = worker_start(k, name[i]);
    wait_until(shared_by(k, HOSTS));
    load = load_start(k, 300);
    wait_until(ledger_count(k) > 100);
    claimed    = moves(k);
    rebalances = told(host);
    for (int round = 0; round < 2; round++) { /* to the next version, and back */
        plugin_deploy(k, round ? "ledger" : "ledger_next");
        for (int i = 0; i < HOSTS; i++) {
            int64_t before = ledger_count(k);

            cr_assert(worker_stop(host[i], 15000));
            host[i] = worker_start(k, name[i]);
            claimed += 6 / HOSTS;
            wait_until(moves(k) == claimed && ledger_count(k) > before + 50);
        }
    }
    nothing_lost_doubled_or_halted(k, load_stop(load));
    cr_assert_eq(moves(k), claimed, "partitions moved that had no need to");
    cr_assert_eq(told(host), rebalances + 2 * HOSTS, "the group shared its partitions out anew");
    cluster_down(k);
}

/* Who leaves for good is not waited for: the session of this group would end after 45 s. */
Test(rolling, hosts_that_leave_for_good_are_not_waited_for)
{
    struct cluster *k = cluster_up(.partitions = 6, .batch = 50, .session_ms = 45000);
    struct worker  *b, *c;
    struct load    *load;
    char           *out = NULL;

    (void)worker_start(k, "a");
    wait_until(shared_by(k, 1));
    load = load_start(k, 300);
    b    = worker_start(k, "b", .slots = 2);
    wait_until(shared_by(k, 3));
    c = worker_start(k, "c");
    wait_until(shared_by(k, 4));
    cr_assert_eq(pawl_run(&out, "leave", b->topology, NULL), 0, "%s", out);
    cr_assert_str_eq(out, "left: 2 workers\n");
    wait_until_s(20, shared_by(k, 2));
    cr_assert_eq(pawl_run(NULL, "leave", c->topology, NULL), 0);
    wait_until_s(20, shared_by(k, 1));
    nothing_lost_doubled_or_halted(k, load_stop(load));
    free(out);
    cluster_down(k);
}
