/* Dead letters that are sent again while something dies: each comes once, in the order of its key. The judge reads the source
 * topic as any consumer with read_committed does. */
#include "oracle.h"
#include "points.h"
#include "redriven.h"
#include "run.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LETTERS 48

static bool is_command(const char *name)
{
    static const char *const points[] = { "redrive_planned", "redrive_locked", "redrive_appended", "redrive_committed" };

    for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++)
        if (strcmp(name, points[i]) == 0)
            return true;
    return false;
}

static bool of_command(const char *name)
{
    return point_begins(name, "redrive_") && is_command(name);
}

static bool of_worker(const char *name)
{
    return (point_begins(name, "publisher_") || strcmp(name, "redrive_noticed") == 0) && !is_command(name);
}

/* Letters of several keys in all partitions, some of which must come twice, between messages that are right. */
static void break_some(struct cluster *k)
{
    for (int i = 0; i < LETTERS; i++) {
        event_queue(k, i % k->o.keys, "ok", 0);
        event_queue(k, i % k->o.keys, "mend", 1);
    }
    events_flush(k);
    wait_until(oracle_all_published(k));
    cr_assert_eq(dead_count(k), LETTERS);
}

static int redrive(const struct worker *a, const char *failpoint, char **ret_out)
{
    int rc;

    if (failpoint)
        (void)setenv("PAWL_FAILPOINT", failpoint, 1);
    rc = pawl_run(ret_out, "dlq", "redrive", a->topology, "main", "--rate", "40/s", NULL);
    (void)unsetenv("PAWL_FAILPOINT");
    return rc;
}

static void check(struct cluster *k)
{
    wait_until_s(90, sql_int(k, "SELECT count(*) FROM test.ledger WHERE body LIKE '%% mend %%'") >= LETTERS);
    wait_until_s(90, oracle_all_published(k));
    cr_assert(redriven_once_in_order(k));
    cr_assert_eq(ledger_count(k), 2 * LETTERS);
    cr_assert_eq(sql_int(k, "SELECT count(*) FROM pawl.dead_letters WHERE state <> 'redriven'"), 0);
}

ParameterizedTestParameters(redrive, a_command_that_is_killed_at_any_step_is_gone_on_with)
{
    return points_of(of_command);
}

ParameterizedTest(struct point *point, redrive, a_command_that_is_killed_at_any_step_is_gone_on_with)
{
    struct cluster *k = cluster_up(.partitions = 4, .keys = 8, .dlq = "there");
    struct worker  *a = worker_start(k, "a", .slots = 2);
    char            spec[80];
    int             kills = 0;
    bool            once  = strcmp(point->name, "redrive_planned") == 0;

    break_some(k);
    (void)snprintf(spec, sizeof(spec), "%s:%d=kill", point->name, once ? 1 : 2);
    for (int i = 0; i < 3; i++)
        kills += redrive(a, spec, NULL) == 128 + SIGKILL;
    cr_assert_eq(kills, 3);
    cr_assert_eq(redrive(a, NULL, NULL), 0);
    check(k);
    cr_assert_eq(redrive(a, NULL, NULL), 0); /* twice does nothing */
    check(k);
    cluster_down(k);
}

ParameterizedTestParameters(redrive, a_worker_that_is_killed_at_any_step_sends_each_letter_once)
{
    return points_of(of_worker);
}

ParameterizedTest(struct point *point, redrive, a_worker_that_is_killed_at_any_step_sends_each_letter_once)
{
    struct cluster *k     = cluster_up(.partitions = 4, .keys = 8, .dlq = "there");
    struct worker  *a     = worker_start(k, "a", .slots = 2);
    bool            start = strcmp(point->name, "publisher_init") == 0 || strcmp(point->name, "publisher_position") == 0;
    char            spec[80];

    break_some(k);
    cr_assert(worker_stop(a, 20000));
    if (start) /* it finds them there */
        cr_assert_eq(redrive(a, NULL, NULL), 0);
    (void)snprintf(spec, sizeof(spec), "%s:1=kill", point->name);
    a = worker_start(k, "a", .slots = 2, .failpoint = spec, .token = "once");
    if (!start) {
        wait_until(sql_int(k, "SELECT count(*) FROM pawl.offsets WHERE owner_epoch >= 2") == 4);
        cr_assert_eq(redrive(a, NULL, NULL), 0);
    }
    wait_until(cluster_token_taken(k));
    check(k);
    cluster_down(k);
}

/* ---- two at once, with the guard and without ---- */

static struct redriven two_operators(const char *off)
{
    struct cluster *k      = cluster_up(.partitions = 2, .keys = 4, .dlq = "there");
    struct worker  *a      = worker_start(k, "a");
    char           *argv[] = { (char *)kit_pawl(), "dlq", "redrive", a->topology, "main", "--wait", "60", NULL };
    char            guards[80], log[300];
    char           *env[] = { "PAWL_FAILPOINT=redrive_planned=sleep_ms(3000)", guards, NULL };
    struct proc     first = { 0 };
    struct redriven l;

    break_some(k);
    (void)snprintf(guards, sizeof(guards), "PAWL_GUARD_OFF=%s", off);
    (void)snprintf(log, sizeof(log), "%s/first.log", k->dir);
    proc_start(&first, log, argv, env);
    wait_until(proc_says(&first, "test.broken")); /* the plan is made */
    cr_assert_eq(redrive(a, NULL, NULL), 0);
    cr_assert(proc_wait(&first, 90000));
    wait_until(oracle_all_published(k));
    wait_until(sql_int(k, "SELECT count(*) FROM test.ledger WHERE body LIKE '%% mend %%'") >= LETTERS);
    l = redriven_look(k);
    cr_assert_eq(l.lost, 0);
    cluster_down(k);
    return l;
}

Test(redrive, two_operators_at_once_send_each_letter_once)
{
    struct redriven l = two_operators("");

    cr_assert_eq(l.duplicated + l.disordered + l.foreign, 0);
}

Test(redrive, without_its_guard_two_operators_send_letters_twice)
{
    cr_assert_gt(two_operators("redrive_once").duplicated, 0);
}

/* ---- a worker that stands still while its successor publishes ---- */

Test(redrive, of_a_frozen_worker_is_published_by_its_successor_and_not_twice)
{
    struct cluster *k = cluster_up(.partitions = 2, .keys = 4, .dlq = "there", .handler_timeout_ms = 500);
    struct worker  *a = worker_start(k, "a");

    break_some(k);
    cr_assert(worker_stop(a, 20000));
    a = worker_start(k, "a", .failpoint = "publisher_offsets:1=stop", .token = "once");
    wait_until(sql_int(k, "SELECT count(*) FROM pawl.offsets WHERE owner_epoch >= 2") == 2);
    cr_assert_eq(redrive(a, NULL, NULL), 0);
    wait_until(cluster_token_taken(k));
    worker_freeze(a);
    (void)worker_start(k, "b");
    check(k);
    worker_thaw(a);
    wait_until(worker_says(a, "publisher.failed") || worker_says(a, "worker.fenced"));
    check(k);
    cluster_down(k);
}
