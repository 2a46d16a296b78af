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

/* ---- owner_epoch: a zombie holds records of a topic that has been replaced since; the position fits by accident.
 * The bookmark, which would find out afterwards, is off in both runs. ---- */

static struct oracle zombie_with_old_records(const char *off)
{
    struct cluster *k = cluster_up(.partitions = 1, .batch = 50);
    struct worker  *a, *b;
    struct oracle   o;

    events_send(k, 40);
    a = worker_start(k, "a", .failpoint = "before_begin=stop", .token = "once", .guards_off = off);
    wait_until(cluster_token_taken(k));
    worker_freeze(a);
    b = worker_start(k, "b", .guards_off = "bookmark");
    wait_until(oracle_all_accounted(k));
    cr_assert(worker_stop(b, 15000));
    kafka_topic_delete(k->topic);
    kafka_topic_create(k->topic, 1, k->o.replicas);
    kafka_producer_free(k->producer);
    k->producer = kafka_producer_new();
    events_send(k, 70);
    sql_exec(k, "BEGIN; TRUNCATE test.ledger, test.state; "
                "UPDATE pawl.offsets SET next_offset = 0, bookmark_offset = NULL, bookmark_hash = NULL; COMMIT");
    worker_thaw(a);
    wait_until(ledger_count(k) > 0 || worker_says(a, "fenced"));
    (void)worker_start(k, "b", .guards_off = "bookmark");
    wait_until(oracle_all_accounted(k));
    o = oracle_look(k);
    cluster_down(k);
    return o;
}

Test(guards, owner_epoch_stops_a_zombie_whose_position_fits)
{
    struct oracle o = zombie_with_old_records("bookmark");

    cr_assert_eq(o.applied, 70);
    cr_assert_eq(o.lost + o.duplicated + o.disordered + o.foreign, 0);
}

Test(guards, without_owner_epoch_the_zombies_records_stand_for_others)
{
    cr_assert_eq(zombie_with_old_records("owner_epoch,bookmark").foreign, 40);
}

/* ---- both off: the plain zombie ---- */

Test(guards, without_any_fence_a_zombie_doubles_its_batch)
{
    struct cluster *k = cluster_up(.partitions = 1, .batch = 50);
    struct worker  *a;

    events_send(k, 40);
    a = worker_start(k, "a", .failpoint = "before_begin=stop", .token = "once", .guards_off = "compare_and_set,owner_epoch");
    wait_until(cluster_token_taken(k));
    worker_freeze(a);
    (void)worker_start(k, "b");
    wait_until(oracle_all_accounted(k));
    cr_assert(oracle_exactly_once_in_order(k));
    worker_thaw(a);
    wait_until(ledger_count(k) > 40);
    cr_assert_eq(oracle_look(k).duplicated, 40);
    cluster_down(k);
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
