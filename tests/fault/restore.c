/* PostgreSQL is restored from a base backup while Kafka keeps what was published since: the operator decides. */
#include "oracle.h"
#include "outputs.h"
#include "run.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BEFORE 100
#define AFTER  80

/* A backup, more events with their outputs and dead letters, then the end of that PostgreSQL. The group is AFTER records ahead. */
static struct cluster *restored(const char *failpoint, const char *retry_mode)
{
    struct cluster *k = cluster_up(.partitions = 2, .batch = 10, .plugin = "emitter", .retry_mode = retry_mode);
    struct worker  *a = worker_start(k, "a");

    flow(k, BEFORE);
    wait_until(settled(k));
    postgres_backup(k);
    flow(k, AFTER);
    wait_until(settled(k));
    worker_cut_off(a);
    postgres_restore(k);
    cr_assert_eq(sql_int(k, "SELECT sum(next_offset) FROM pawl.offsets"), BEFORE, "the backup is not of then");
    a = worker_start(k, "a", .failpoint = failpoint, .token = failpoint ? "once" : NULL);
    wait_until(status_says(a, "was it restored?"));
    return k;
}

static void command(struct cluster *k, const char *how, const char *more, int want, const char *says)
{
    char *out = NULL;
    int   rc  = pawl_run(&out, "offsets", "restored", k->workers[0]->topology, "--pipeline", "main", how, "--reason",
                         "the disk burnt", more, NULL);

    cr_assert_eq(rc, want, "ended with %d: %s", rc, out);
    cr_assert(strstr(out, says), "'%s' is not in: %s", says, out);
    free(out);
}

static void pause_it(struct cluster *k)
{
    cr_assert_eq(pawl_run(NULL, "pause", k->workers[0]->topology, "main", "--reason", "restored", NULL), 0);
}

static void resume_it(struct cluster *k)
{
    cr_assert_eq(pawl_run(NULL, "resume", k->workers[0]->topology, "main", NULL), 0);
}

static void decide(struct cluster *k, const char *how)
{
    pause_it(k);
    command(k, how, NULL, 0, "recorded in pawl.decisions");
    resume_it(k);
}

static struct look both(struct cluster *k)
{
    struct look out = look_at(k, TO_OUT), dlq = look_at(k, TO_DLQ);

    return (struct look){ out.expected + dlq.expected, out.lost + dlq.lost, out.duplicated + dlq.duplicated,
                          out.disordered + dlq.disordered, out.foreign + dlq.foreign };
}

Test(restore, nothing_is_decided_for_the_operator_nor_under_a_workers_feet)
{
    struct cluster *k = restored(NULL, NULL);

    flow(k, 20);
    command(k, "--skip-published", NULL, 1, "which is connected; nothing was changed");
    pause_it(k);
    command(k, "--republish", "--dry-run", 0, "readers see 40 records twice");
    cr_assert_eq(sql_int(k, "SELECT count(*) FROM pawl.decisions WHERE topic IS NOT NULL"), 0);
    cr_assert_eq(sql_int(k, "SELECT count(decided_seq) FROM pawl.offsets"), 0);
    resume_it(k);
    cr_assert(!holds_within_ms(1500, sql_int(k, "SELECT sum(next_offset) FROM pawl.offsets") != BEFORE));
    cr_assert_eq(both(k).duplicated, 0);
    cluster_down(k);
}

/* SIGKILL while it skips, and after; the partitions come back by themselves. */
struct kill_at {
    char failpoint[48];
};

ParameterizedTestParameters(restore, what_was_published_is_skipped_and_what_comes_is_published_once)
{
    static struct kill_at points[] = { { "publisher_position:2=kill" },
                                       { "after_commit:3=kill" },
                                       { "publisher_committed:1=kill" } };

    return cr_make_param_array(struct kill_at, points, sizeof(points) / sizeof(points[0]));
}

ParameterizedTest(struct kill_at *at, restore, what_was_published_is_skipped_and_what_comes_is_published_once)
{
    struct cluster *k = restored(at->failpoint, NULL);

    flow(k, 30);
    decide(k, "--skip-published");
    wait_until(settled(k));
    flow(k, 30);
    check_all(k, true); /* each once, in order: nothing of it twice */
    cr_assert_eq(sql_int(k, "SELECT count(*) FROM pawl.decisions WHERE action = 'offsets.skip-published' AND from_seq = 51 AND "
                            "to_seq = 90 AND reason = 'the disk burnt'"),
                 2);
    cr_assert(worker_says(k->workers[0], "publisher.caught_up"));
    cr_assert(cluster_token_taken(k));
    cluster_down(k);
}

ParameterizedTestParameters(restore, what_is_published_again_comes_twice_and_everything_else_once)
{
    static struct kill_at points[] = { { "publisher_position:2=kill" }, { "publisher_committed:1=kill" } };

    return cr_make_param_array(struct kill_at, points, sizeof(points) / sizeof(points[0]));
}

ParameterizedTest(struct kill_at *at, restore, what_is_published_again_comes_twice_and_everything_else_once)
{
    struct cluster *k = restored(at->failpoint, "park");
    struct look     l;
    struct oracle   o;

    flow(k, 30);
    pause_it(k); /* where messages are set aside, numbers say nothing: there is one way only */
    command(k, "--skip-published", NULL, 1, "Use --republish");
    decide(k, "--republish");
    wait_until(settled(k));
    flow(k, 30);
    wait_until(settled(k));
    stop_all(k);
    l = both(k);
    cr_assert_eq(l.expected, BEFORE + AFTER + 60);
    cr_assert_eq(l.lost, 0);
    cr_assert_eq(l.duplicated, AFTER, "%ld of %d came twice", l.duplicated, AFTER);
    cr_assert_eq(l.foreign, 0);
    o = oracle_look(k); /* it counts what came twice to the dead letters' topic, too */
    cr_assert_eq(o.lost + o.disordered + o.foreign + o.state_wrong + o.lag, 0);
    cr_assert_eq(o.applied, (BEFORE + AFTER + 60) / 10 * 9);
    cr_assert(cluster_token_taken(k));
    cr_assert_eq(sql_int(k, "SELECT count(*) FROM pawl.decisions WHERE action = 'offsets.republish'"), 2);
    cluster_down(k);
}

Test(restore, a_decision_that_nobody_needs_is_refused)
{
    struct cluster *k = cluster_up(.partitions = 1, .plugin = "emitter");
    struct worker  *a = worker_start(k, "a");

    flow(k, 20);
    wait_until(settled(k));
    pause_it(k);
    command(k, "--skip-published", NULL, 1, "nothing is to be decided");
    command(k, "--republish", NULL, 1, "nothing is to be decided");
    resume_it(k);
    flow(k, 20);
    check_all(k, true);
    cr_assert_not(worker_says(a, "publisher.halted"));
    cluster_down(k);
}

/* ---- a lost group offset ---- */

static struct cluster *without_offset(void)
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
    return k;
}

Test(restore, rows_without_a_group_offset_count_as_published_if_the_operator_says_so)
{
    struct cluster *k = without_offset();

    decide(k, "--skip-published");
    flow(k, 40);
    check_all(k, true);
    cluster_down(k);
}

Test(restore, rows_without_a_group_offset_are_published_again_if_the_operator_says_so)
{
    struct cluster *k    = without_offset();
    int64_t         rows = sql_int(k, "SELECT outbox_seq - published_seq FROM pawl.offsets");

    decide(k, "--republish");
    flow(k, 40);
    wait_until(settled(k));
    stop_all(k);
    cr_assert_eq(both(k).lost, 0);
    cr_assert_eq(both(k).duplicated, rows);
    cluster_down(k);
}

/* ---- the border ---- */

/* One row was published that re-processing does not make: as a dead letter that an operator sent back. */
static struct cluster *with_one_row_more(const char *guards_off)
{
    struct cluster *k = cluster_up(.partitions = 1, .batch = 10, .plugin = "emitter");
    struct worker  *a = worker_start(k, "a");

    flow(k, 60);
    wait_until(settled(k));
    postgres_backup(k);
    sql_exec(k,
             "WITH o AS (UPDATE pawl.offsets SET outbox_seq = outbox_seq + 1 RETURNING *) INSERT INTO pawl.outbox (group_name,"
             " topic, partition, seq, kind, source_offset, target, key, value)"
             " SELECT group_name, topic, partition, outbox_seq, 1, 3, topic || '.out', 'more', 'more' FROM o");
    flow(k, 40);
    wait_until(settled(k));
    worker_cut_off(a);
    postgres_restore(k);
    a = worker_start(k, "a", .guards_off = guards_off);
    wait_until(status_says(a, "was it restored?"));
    decide(k, "--skip-published");
    return k;
}

Test(restore, rows_made_again_that_end_elsewhere_halt_before_anything_is_lost)
{
    struct cluster *k = with_one_row_more(NULL);

    wait_until(status_says(k->workers[0], "end at another row than 101"));
    flow(k, 20);
    cr_assert_eq(both(k).duplicated, 0);
    /* the operator takes it as it is: the row that nobody made again swallows one of those that come */
    pause_it(k);
    command(k, "--republish", "--dry-run", 0, "nothing was changed");
    command(k, "--skip-published", NULL, 0, "recorded in pawl.decisions");
    resume_it(k);
    wait_until(settled(k));
    cr_assert_eq(both(k).lost, 1);
    cr_assert_eq(both(k).duplicated, 0);
    cluster_down(k);
}

Test(restore, without_its_guard_rows_made_again_that_end_elsewhere_lose_an_output)
{
    struct cluster *k = with_one_row_more("border");

    flow(k, 20);
    wait_until(settled(k));
    cr_assert_eq(both(k).lost, 1);
    cluster_down(k);
}
