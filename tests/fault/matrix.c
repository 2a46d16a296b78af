/* SIGKILL at every fault point but the publisher's, which publisher.c passes with outputs flowing, those of a redrive (redrive.c) or a
 * reload (handover.c), and those that only a message passes that is tried again (park.c). */
#include "oracle.h"
#include "points.h"
#include "run.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROUNDS 3

static bool is_ours(const char *name)
{
    return !point_begins(name, "publisher_") && !point_begins(name, "redrive_") && !point_begins(name, "handover_") &&
           !point_begins(name, "park_") && !point_begins(name, "attempt_");
}

ParameterizedTestParameters(matrix, a_kill_at_any_step_loses_and_doubles_nothing)
{
    return points_of(is_ours);
}

Test(matrix, the_binary_lists_its_fault_points)
{
    char *argv[] = { (char *)kit_pawl(), "fault-points", NULL };
    char *out    = NULL;

    cr_assert_eq(proc_run(argv, 10000, &out), 0);
    cr_assert(strstr(out, "before_commit\t"), "is this a build with PAWL_FAULTS?\n%s", out);
    cr_assert(strstr(out, "commit_sent\t"));
    free(out);
}

static bool is(const struct point *p, const char *name)
{
    return strcmp(p->name, name) == 0;
}

/* Now and then one that becomes a dead letter, so that there is something to publish, and one that is sent twice. */
static void some_events(struct cluster *k, int n)
{
    for (int i = 0; i < n; i++) {
        event_queue(k, k->next_key, i % 10 == 9 ? "reject" : "ok", 0);
        if (i % 10 == 4)
            event_copy(k, k->next_key, -1);
        k->next_key = (k->next_key + 1) % k->o.keys;
    }
    events_flush(k);
}

ParameterizedTest(struct point *point, matrix, a_kill_at_any_step_loses_and_doubles_nothing)
{
    bool            once  = is(point, "revoke") || is(point, "drain");
    bool            early = once || strncmp(point->name, "assign_", 7) == 0;
    struct cluster *k =
        cluster_up(.partitions = 4, .batch = 20, .keys = 12, .dlq = "there", .dedupe = "header: ce_id, window: 1m");
    char           spec[80];
    struct worker *a;
    long           rejected;
    struct oracle  seen;

    (void)snprintf(spec, sizeof(spec), "%s:%d=kill", point->name, early ? 1 : 3);
    a = worker_start(k, "a", .slots = 2, .failpoint = spec, .token = "once");
    some_events(k, 200);
    if (is(point, "revoke")) {
        wait_until(ledger_count(k) > 0);
        (void)worker_start(k, "b"); /* its coming takes partitions away */
    }
    if (is(point, "drain")) {
        wait_until(ledger_count(k) > 0);
        (void)worker_stop(a, 15000);
    }
    for (int i = 0; i < (once ? 1 : ROUNDS); i++) { /* whoever passes there next */
        if (i)
            cluster_token_make(k);
        if (i && early) /* a claim comes with a start only */
            worker_kill(a, i % 2);
        some_events(k, 200);
        wait_until(cluster_token_taken(k));
    }
    if (is(point, "drain"))
        (void)worker_start(k, "a", .slots = 2);
    some_events(k, 100);
    wait_until(oracle_all_published(k));
    rejected = sql_int(k, "SELECT sum(outbox_seq) FROM pawl.offsets");
    wait_until((seen = oracle_look(k)).dead >= rejected); /* a transaction's last markers come after its answer */
    cr_assert_eq(seen.dead, rejected, "%ld dead letters in their topic, %ld were written", seen.dead, rejected);
    cr_assert_gt(seen.deduplicated, 0);
    cr_assert(oracle_exactly_once_in_order(k)); /* a killed worker is not a message's fault: no "ok" among the dead */
    cluster_down(k);
}

/* Without a plan: whenever it happens to be. */
Test(matrix, kills_at_random_moments_lose_and_double_nothing)
{
    unsigned        seed = (unsigned)getpid();
    struct cluster *k    = cluster_up(.partitions = 6, .batch = 30);
    struct worker  *a    = worker_start(k, "a", .slots = 2);

    (void)fprintf(stderr, "seed %u\n", seed);
    for (int i = 0; i < 15; i++) {
        events_send(k, 150);
        kit_nap((int)(rand_r(&seed) % 60));
        worker_kill(a, (int)(rand_r(&seed) % 2));
    }
    wait_until(oracle_all_accounted(k));
    cr_assert_eq(dead_count(k), 0);
    cr_assert(oracle_exactly_once_in_order(k));
    cluster_down(k);
}
