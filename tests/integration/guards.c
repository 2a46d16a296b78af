/* Red controls: each guard of the protocol is switched off in a scenario that is green with it, and the oracle must then
 * find what the guard prevents. Where a second guard would repair the damage, that one is off in both runs. */
#include "oracle.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* ---- compare_and_set: an operator moves the position back under a running worker, to have records applied again ---- */

static struct oracle position_moved_back(const char *off)
{
    struct cluster *k = cluster_up(.partitions = 1, .keys = 1);
    struct oracle   o;

    (void)worker_start(k, "a", .guards_off = off);
    events_send(k, 40);
    wait_until(oracle_all_accounted(k));
    sql_exec(k, "BEGIN; DELETE FROM test.ledger WHERE source_offset >= 25; UPDATE test.state SET seq = 25, count = 25; "
                "UPDATE pawl.offsets SET next_offset = 25, bookmark_offset = NULL, bookmark_hash = NULL; COMMIT");
    events_send(k, 20);
    wait_until(oracle_all_accounted(k));
    o = oracle_look(k);
    cluster_down(k);
    return o;
}

Test(guards, compare_and_set_keeps_a_position_that_was_moved_back)
{
    struct oracle o = position_moved_back(NULL);

    cr_assert_eq(o.applied, 60);
    cr_assert_eq(o.lost + o.duplicated + o.disordered + o.foreign + o.state_wrong, 0);
}

Test(guards, without_compare_and_set_records_are_lost)
{
    cr_assert_eq(position_moved_back("compare_and_set").lost, 15);
}

/* ---- owner_epoch: a worker that stood still holds records of a topic that has been replaced meanwhile, and somebody else
 * owns the partition now; the position fits by accident. It sleeps for less than its session, so that the group tells it
 * nothing, and the other owner is played here. ---- */

static struct worker *asleep_with_a_batch(struct cluster *k, const char *off)
{
    struct worker *a;

    events_send(k, 40);
    a = worker_start(k, "a", .failpoint = "before_begin=stop", .token = "once", .guards_off = off);
    wait_until(cluster_token_taken(k));
    worker_freeze(a);
    return a;
}

static struct oracle old_records_at_a_position_that_fits(const char *off)
{
    struct cluster *k = cluster_up(.partitions = 1, .batch = 50, .session_ms = 30000);
    struct worker  *a = asleep_with_a_batch(k, off);
    struct oracle   o;

    kafka_topic_delete(k->topic);
    kafka_topic_create(k->topic, 1, k->o.replicas);
    kafka_producer_free(k->producer);
    k->producer = kafka_producer_new();
    events_send(k, 70);
    sql_exec(k, "UPDATE pawl.offsets SET owner_epoch = owner_epoch + 1, next_offset = 0");
    worker_thaw(a);
    wait_until(oracle_all_accounted(k));
    o = oracle_look(k);
    cluster_down(k);
    return o;
}

Test(guards, owner_epoch_stops_a_worker_whose_position_fits)
{
    struct oracle o = old_records_at_a_position_that_fits(NULL);

    cr_assert_eq(o.applied, 70);
    cr_assert_eq(o.lost + o.duplicated + o.disordered + o.foreign, 0);
}

Test(guards, without_owner_epoch_old_records_stand_for_new_ones)
{
    cr_assert_gt(old_records_at_a_position_that_fits("owner_epoch").foreign, 0);
}

/* ---- both off: the plain zombie ---- */

/* What another owner would have done: claimed the partition and applied all that is there. */
static void other_owner_applies(struct cluster *k)
{
    size_t               n;
    struct kafka_record *log = kafka_read_all(k->topic, 1, &n);

    sql_exec(k, "BEGIN; UPDATE pawl.offsets SET owner_epoch = owner_epoch + 1, next_offset = %zu", n);
    for (size_t i = 0; i < n; i++)
        sql_exec(
            k,
            "INSERT INTO test.ledger (topic, partition, source_offset, key, seq, count, body) VALUES ('%s', 0, %lld, '%s', 1, 1, '%s')",
            k->topic, (long long)log[i].offset, log[i].key, log[i].value);
    sql_exec(k, "COMMIT");
    free(log);
}

static long doubled(const char *off)
{
    struct cluster *k = cluster_up(.partitions = 1, .batch = 50, .session_ms = 30000);
    struct worker  *a = asleep_with_a_batch(k, off);
    long            n;

    other_owner_applies(k);
    cr_assert_eq(oracle_look(k).applied, 40);
    worker_thaw(a);
    wait_until(worker_says(a, "partition.fenced") || ledger_count(k) > 40);
    n = oracle_look(k).duplicated;
    cluster_down(k);
    return n;
}

Test(guards, each_of_the_two_fences_alone_stops_a_plain_zombie)
{
    cr_assert_eq(doubled("compare_and_set"), 0);
    cr_assert_eq(doubled("owner_epoch"), 0);
}

Test(guards, without_any_fence_a_zombie_doubles_its_batch)
{
    cr_assert_gt(doubled("compare_and_set,owner_epoch"), 0);
}

/* ---- command_tag and in_doubt: a batch is taken for committed, and was not. The next batch's compare-and-set would
 * find out; so it is off in the green run too, and only the guard in question makes the difference. ---- */

static struct oracle commit_that_was_none(enum proxy_act act, const char *off)
{
    struct cluster *k = cluster_up(.partitions = 1, .proxy = true);
    struct oracle   o;

    (void)worker_start(k, "a", .guards_off = off);
    events_send(k, 20);
    wait_until(ledger_count(k) == 20);
    proxy_arm(k->proxy, act);
    events_send(k, 10);
    wait_until(proxy_acted(k->proxy) == 1);
    events_send(k, 20);
    wait_until(oracle_all_accounted(k));
    o = oracle_look(k);
    cluster_down(k);
    return o;
}

static void assert_green(struct oracle o)
{
    cr_assert_eq(o.applied, 50);
    cr_assert_eq(o.lost + o.duplicated + o.disordered + o.foreign + o.state_wrong, 0);
}

Test(guards, command_tag_tells_a_rollback_from_a_commit)
{
    assert_green(commit_that_was_none(PROXY_POISON_COMMIT, "compare_and_set"));
}

Test(guards, without_command_tag_a_rolled_back_batch_is_lost)
{
    cr_assert_gt(commit_that_was_none(PROXY_POISON_COMMIT, "compare_and_set,command_tag").lost, 0);
}

Test(guards, in_doubt_asks_the_offset_row_after_a_lost_commit)
{
    assert_green(commit_that_was_none(PROXY_CUT_BEFORE_COMMIT, "compare_and_set"));
}

Test(guards, without_in_doubt_a_batch_that_was_never_committed_is_lost)
{
    cr_assert_gt(commit_that_was_none(PROXY_CUT_BEFORE_COMMIT, "compare_and_set,in_doubt").lost, 0);
}

/* The last line of defence: with compare_and_set on, even those two mistakes end well as soon as the next batch comes. */
Test(guards, compare_and_set_repairs_what_the_others_would_miss)
{
    assert_green(commit_that_was_none(PROXY_POISON_COMMIT, "command_tag"));
    assert_green(commit_that_was_none(PROXY_CUT_BEFORE_COMMIT, "in_doubt"));
}
