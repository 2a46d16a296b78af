/* PostgreSQL goes away, comes back, answers late, or not at all: pause, never lose, never double. */
#include "oracle.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>

static int64_t backend(struct cluster *k)
{
    return sql_int(k, "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'pawl %%' ORDER BY random() LIMIT 1");
}

static void settled(struct cluster *k)
{
    wait_until(oracle_all_accounted(k));
    cr_assert_eq(dead_count(k), 0, "an outage became a dead letter");
    cr_assert(oracle_exactly_once_in_order(k));
    cluster_down(k);
}

static void restarted(const char *mode)
{
    struct cluster *k   = cluster_up(.batch = 20);
    struct worker  *a   = worker_start(k, "a", .slots = 2);
    pid_t           pid = worker_wait_pid(a, 0, 0);

    for (int i = 0; i < 3; i++) {
        int64_t before = ledger_count(k);

        events_send(k, 600);
        wait_until(ledger_count(k) > before);
        postgres_stop(k, mode);
        events_send(k, 100);
        postgres_start(k);
        wait_until_s(10, ledger_count(k) == before + 700);
    }
    if (worker_wait_pid(a, 0, 0) != pid)
        kit_fail(__FILE__, __LINE__, "the worker did not wait, it was started again");
    settled(k);
}

Test(postgres, a_fast_restart_is_waited_for)
{
    restarted("fast");
}

Test(postgres, an_immediate_restart_is_waited_for)
{
    restarted("immediate");
}

Test(postgres, terminated_backends_cost_nothing)
{
    struct cluster *k = cluster_up(.batch = 20);

    (void)worker_start(k, "a", .slots = 2);
    for (int i = 0; i < 10; i++) {
        events_send(k, 200);
        wait_until(sql_int(k, "SELECT pg_terminate_backend(%lld)::int", (long long)backend(k)) == 1);
    }
    settled(k);
}

Test(postgres, a_backend_killed_hard_restarts_the_server_and_costs_nothing)
{
    struct cluster *k = cluster_up(.batch = 20);

    (void)worker_start(k, "a", .slots = 2);
    for (int i = 0; i < 2; i++) {
        int64_t pid;

        events_send(k, 400);
        wait_until((pid = backend(k)) != 0);
        cr_assert_eq(kill((pid_t)pid, SIGKILL), 0);
    }
    settled(k);
}

/* ---- the line is cut at COMMIT ---- */

static void cut(enum proxy_act act, const char *says)
{
    struct cluster *k = cluster_up(.partitions = 2, .batch = 10, .proxy = true);
    struct worker  *a = worker_start(k, "a");

    for (int i = 0; i < 5; i++) {
        proxy_arm(k->proxy, act);
        events_send(k, 60);
        wait_until(proxy_acted(k->proxy) == i + 1);
        wait_until(ledger_count(k) == 60 * (i + 1));
    }
    cr_assert(worker_says(a, says), "the log does not say '%s'", says);
    settled(k);
}

Test(postgres, a_line_cut_before_commit_is_not_taken_for_a_commit)
{
    cut(PROXY_CUT_BEFORE_COMMIT, "the offset row says: not committed");
}

Test(postgres, a_line_cut_after_commit_is_not_taken_for_a_failure)
{
    cut(PROXY_CUT_AFTER_COMMIT, "the offset row says: committed");
}

/* The worker's line is gone while the server still waits for the COMMIT, which comes late. */
Test(postgres, a_commit_that_arrives_late_is_waited_for)
{
    struct cluster *k = cluster_up(.partitions = 2, .batch = 10, .proxy = true);
    struct worker  *a = worker_start(k, "a");

    for (int i = 0; i < 3; i++) {
        proxy_arm(k->proxy, PROXY_HOLD_COMMIT);
        events_send(k, 60);
        wait_until(proxy_acted(k->proxy) == i + 1);
        /* the look at the offset row waits behind the old transaction */
        wait_until(sql_int(k, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") > 0);
        proxy_release(k->proxy);
        wait_until(ledger_count(k) == 60 * (i + 1));
    }
    cr_assert(worker_says(a, "the offset row says: committed"));
    settled(k);
}

Test(postgres, a_transaction_that_fails_at_commit_is_run_again)
{
    struct cluster *k = cluster_up(.partitions = 2, .batch = 10, .proxy = true);
    struct worker  *a = worker_start(k, "a");

    for (int i = 0; i < 5; i++) {
        proxy_arm(k->proxy, PROXY_POISON_COMMIT);
        events_send(k, 60);
        wait_until(proxy_acted(k->proxy) == i + 1);
        wait_until(ledger_count(k) == 60 * (i + 1));
    }
    cr_assert(worker_says(a, "COMMIT was answered by ROLLBACK"));
    settled(k);
}

Test(postgres, a_silent_line_does_not_cost_the_group_membership)
{
    struct cluster *k = cluster_up(.partitions = 2, .batch = 10, .proxy = true);
    struct worker  *a = worker_start(k, "a");

    events_send(k, 60);
    wait_until(ledger_count(k) == 60);
    proxy_blackhole(k->proxy, 1);
    events_send(k, 60);
    cr_assert_not(holds_within_ms(7000, ledger_count(k) > 60), "nothing can get through"); /* beyond session.timeout.ms */
    proxy_blackhole(k->proxy, 0);
    wait_until(ledger_count(k) == 120);
    cr_assert_eq(worker_says_n(a, "group.assigned"), 1, "it was thrown out of its group");
    settled(k);
}

Test(postgres, a_slow_line_is_only_slow)
{
    struct cluster *k = cluster_up(.partitions = 2, .batch = 100, .keys = 40, .proxy = true);

    proxy_delay(k->proxy, 60);
    (void)worker_start(k, "a");
    events_send(k, 600);
    wait_until(ledger_count(k) == 600);
    settled(k);
}

Test(postgres, a_slow_statement_is_waited_for)
{
    struct cluster *k = cluster_up(.partitions = 1);
    struct worker  *a;

    events_send(k, 5);
    (void)event_send(k, 0, "slowsql", 7000); /* longer than the session, shorter than statement_timeout */
    events_send(k, 5);
    a = worker_start(k, "a");
    wait_until(ledger_count(k) == 11);
    cr_assert_eq(worker_says_n(a, "group.assigned"), 1);
    settled(k);
}
