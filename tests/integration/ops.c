/* What operators do: look, pause, drain, move offsets, accept gaps; and topics that grow. */
#include "expect.h"
#include "oracle.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void pause_main(const struct worker *a, const char *reason)
{
    int before = worker_says_n(a, "pipeline.paused");

    expect(0, "main: paused", "pause", a->topology, "main", "--reason", reason);
    wait_until(worker_says_n(a, "pipeline.paused") > before);
}

static void resume_main(const struct worker *a)
{
    expect(0, "main: running", "resume", a->topology, "main");
}

static void assert_decision(struct cluster *k, const char *action, const char *what)
{
    char *have = sql_text(k,
                          "SELECT coalesce(topic || '[' || partition || '] ', '') || coalesce(from_offset || ' ', '')"
                          " || coalesce(to_offset || ' ', '') || coalesce(reason, '') FROM pawl.decisions"
                          " WHERE action = '%s' AND group_name = '%s' AND \"by\" LIKE '%%_@_%%' ORDER BY id DESC LIMIT 1",
                          action, k->group);

    cr_assert(have, "no decision '%s'", action);
    cr_expect_str_eq(have, what);
    free(have);
}

Test(ops, a_gap_is_accepted_by_an_operator_and_its_partition_comes_back_by_itself)
{
    struct cluster *k = cluster_up(.partitions = 2);
    struct worker  *a = worker_start(k, "a");
    char            what[128];

    events_send(k, 40);
    wait_until(oracle_all_accounted(k));
    cr_assert(worker_stop(a, 15000));
    events_send(k, 40);
    kafka_delete_records(k->topic, 0, 30);
    a = worker_start(k, "a");
    wait_until(worker_says(a, "partition.halted"));
    expect(0, "gap: offsets 20 to 29 are not in the log, which begins at 30", "offsets", "show", a->topology);

    expect(1, "a/main/0, which is connected; nothing was changed", "offsets", "accept-gap", a->topology, "--pipeline", "main",
           "--reason", "x");
    expect(1, "offsets 20 to 29 (10) are missing", "offsets", "accept-gap", a->topology, "--pipeline", "main", "--reason", "x");
    cr_assert_eq(next_offset(k, 0), 20);

    pause_main(a, "a gap");
    expect(0, "dry run: nothing was changed", "offsets", "accept-gap", a->topology, "--pipeline", "main", "--reason", "x",
           "--dry-run");
    cr_assert_eq(next_offset(k, 0), 20);
    cr_assert_eq(sql_int(k, "SELECT count(*) FROM pawl.decisions WHERE topic IS NOT NULL"), 0);
    expect(0, "next offset 20 -> 30", "offsets", "accept-gap", a->topology, "--pipeline", "main", "--reason",
           "retention was too short");
    cr_assert_eq(next_offset(k, 0), 30);
    (void)snprintf(what, sizeof(what), "%s[0] 20 30 retention was too short", k->topic);
    assert_decision(k, "offsets.accept-gap", what);
    assert_decision(k, "pause", "a gap");

    wait_until(worker_says(a, "partition.decided"));
    events_send(k, 20);
    cr_assert_not(holds_within_ms(1300, next_offset(k, 0) != 30), "it is paused");
    resume_main(a);
    wait_until(next_offset(k, 0) == 50 && next_offset(k, 1) == 50);
    cr_assert_eq(ledger_count(k), 90);
    cr_assert_eq(sql_int(k, "SELECT count(DISTINCT (partition, source_offset)) FROM test.ledger"), 90);
    expect(1, "none of the 2 partitions has a gap", "offsets", "accept-gap", a->topology, "--pipeline", "main", "--reason",
           "x");
    cluster_down(k);
}

Test(ops, an_earlier_offset_applies_again_exactly_what_is_above_it)
{
    struct cluster *k = cluster_up(.partitions = 1);
    struct worker  *a = worker_start(k, "a");

    events_send(k, 30);
    wait_until(oracle_all_accounted(k));
    pause_main(a, "again");
    expect(0, "from 10 to 29 (20) will be applied again", "offsets", "set", a->topology, "--pipeline", "main", "--topic",
           k->topic, "--partition", "0", "--to", "10", "--reason", "the tariff was wrong");
    cr_assert_eq(sql_int(k, "SELECT count(*) FROM pawl.offsets WHERE bookmark_offset IS NULL AND bookmark_hash IS NULL"), 1);
    wait_until(worker_says(a, "partition.decided"));
    resume_main(a);
    wait_until(ledger_count(k) == 50 && next_offset(k, 0) == 30);
    cr_assert_eq(sql_int(k, "SELECT count(*) FROM (SELECT source_offset FROM test.ledger GROUP BY source_offset"
                            " HAVING count(*) = CASE WHEN source_offset < 10 THEN 1 ELSE 2 END) x"),
                 30);
    events_send(k, 10);
    wait_until(next_offset(k, 0) == 40);
    cr_assert_eq(ledger_count(k), 60);
    cr_assert_not(worker_says(a, "partition.fenced"), "the new claim waited for no fence");
    cluster_down(k);
}

/* Decided and resumed before the worker looks: then the fence says it. */
Test(ops, a_running_worker_whose_offset_was_moved_is_fenced)
{
    struct cluster *k = cluster_up(.partitions = 1);
    struct worker  *a = worker_start(k, "a");

    events_send(k, 30);
    wait_until(oracle_all_accounted(k));
    sql_exec(k, "INSERT INTO pawl.pipelines (group_name, state, \"by\") VALUES ('%s', 'paused', 'test@test')", k->group);
    expect(0, "30 -> 20", "offsets", "set", a->topology, "--pipeline", "main", "--topic", k->topic, "--partition", "0", "--to",
           "20", "--reason", "x");
    sql_exec(k, "DELETE FROM pawl.pipelines");
    events_send(k, 10);
    wait_until(next_offset(k, 0) == 40);
    cr_assert_eq(ledger_count(k), 50);
    cr_assert(worker_says(a, "partition.fenced") || worker_says(a, "partition.decided"));
    cluster_down(k);
}

Test(ops, without_a_worker_offsets_are_set_at_once_and_only_inside_the_log)
{
    struct cluster *k = cluster_up(.partitions = 2);
    struct worker  *a = worker_start(k, "a");

    events_send(k, 20);
    wait_until(oracle_all_accounted(k));
    cr_assert(worker_stop(a, 15000));
    events_send(k, 20);
#define SET(...) "offsets", "set", a->topology, "--pipeline", "main", "--topic", k->topic, "--reason", "x", __VA_ARGS__
    expect(1, "21 is outside the log", SET("--partition", "0", "--to", "21"));
    expect(1, "Kafka has no", SET("--partition", "2", "--to", "0"));
    expect(64, "it must be an offset, earliest or latest", SET("--partition", "0", "--to", "-1"));
    expect(64, "it must be a number from 0", SET("--partition", "x", "--to", "1"));
    expect(64, "--to is missing", SET("--partition", "0"));
    expect(64, "does not read 'other'", "offsets", "set", a->topology, "--pipeline", "main", "--topic", "other", "--partition",
           "0", "--to", "0", "--reason", "x");
    expect(64, "has no pipeline 'mian'; it has: main", "pause", a->topology, "mian");
    expect(64, "--reason is empty", "offsets", "accept-gap", a->topology, "--pipeline", "main", "--reason", " ");
    expect(1, "has no gap", "offsets", "accept-gap", a->topology, "--pipeline", "main", "--reason", "x", "--topic", k->topic,
           "--partition", "1");
    cr_assert_eq(sql_int(k, "SELECT count(*) FROM pawl.decisions"), 0, "what is refused is no decision");
    expect(0, "10 to 19 (10) will never be applied", SET("--partition", "0", "--to", "latest"));
    expect(0, "from 0 to 9 (10) will be applied again", SET("--partition", "1", "--to", "earliest"));
    a = worker_start(k, "a");
    wait_until(next_offset(k, 0) == 20 && next_offset(k, 1) == 20);
    cr_assert_eq(sql_int(k, "SELECT count(*) FROM test.ledger WHERE partition = 0"), 10);
    cr_assert_eq(sql_int(k, "SELECT count(*) FROM test.ledger WHERE partition = 1"), 30);
    cluster_down(k);
}

Test(ops, a_group_that_has_not_begun_can_be_told_where)
{
    struct cluster *k = cluster_up(.partitions = 2);
    struct worker  *a;

    events_send(k, 20);
    a = worker_start(k, "a");
    worker_freeze(a);
    expect(0, "it will begin at 7", SET("--partition", "0", "--to", "7"));
    worker_thaw(a);
    wait_until(next_offset(k, 0) == 10 && next_offset(k, 1) == 10);
    cr_assert_eq(ledger_count(k), 13);
    cluster_down(k);
}

Test(ops, a_pause_survives_a_restart_and_says_who_and_why)
{
    struct cluster *k = cluster_up(.partitions = 2);
    struct worker  *a = worker_start(k, "a");
    char           *status;

    events_send(k, 20);
    wait_until(oracle_all_accounted(k));
    pause_main(a, "the night of the tariff");
    cr_assert(worker_stop(a, 15000));
    events_send(k, 20);
    a = worker_start(k, "a");
    wait_until(worker_says_n(a, "pipeline.paused") >= 2);
    wait_until(sql_int(k, "SELECT count(*) FROM pawl.offsets WHERE owner_epoch = 2") == 2); /* claims go on */
    cr_assert_not(holds_within_ms(1300, ledger_count(k) != 20));
    status = worker_status(a);
    cr_assert(strstr(status, "\"state\":\"paused\""), "%s", status);
    cr_assert(strstr(status, "paused by operator: the night of the tariff ("), "%s", status);
    free(status);
    expect(0, "\"reason\":\"the night of the tariff\"", "offsets", "show", a->topology, "--json");
    expect(0, "already paused", "pause", a->topology, "main");
    resume_main(a);
    wait_until(oracle_all_accounted(k));
    cr_assert(oracle_exactly_once_in_order(k));
    cluster_down(k);
}

static bool in_hand(const struct worker *a)
{
    char *status = worker_status(a);
    bool  yes    = strstr(status, "\"phase\":\"handle\"") != NULL;

    free(status);
    return yes;
}

Test(ops, a_drain_waits_for_the_batch_in_hand_and_nothing_moves_after_it)
{
    struct cluster *k = cluster_up(.partitions = 2, .handler_timeout_ms = 8000);
    struct worker  *a = worker_start(k, "a", .slots = 2);
    int64_t         slow, count;

    events_send(k, 40);
    wait_until(oracle_all_accounted(k));
    slow = event_send(k, 0, "slow", 2500);
    wait_until(in_hand(a));
    expect(75, "have not finished within 0 s", "drain", a->topology, "main", "--wait", "0");
    expect(0, "main: drained, 2 workers are idle", "drain", a->topology, "main", "--reason", "upgrade");
    cr_assert_eq(next_offset(k, 0), slow + 1, "it returned while a batch was in hand");
    count = ledger_count(k);
    events_send(k, 40);
    worker_kill(a, 1); /* who comes back stands still, too */
    cr_assert_not(holds_within_ms(1500, ledger_count(k) != count));
    assert_decision(k, "drain", "upgrade");
    resume_main(a);
    wait_until(oracle_all_accounted(k));
    cr_assert(oracle_exactly_once_in_order(k));
    cluster_down(k);
}

static void grow(struct cluster *k, int partitions)
{
    kafka_partitions_add(k->topic, partitions);
    k->o.partitions = partitions;
    kafka_producer_free(k->producer); /* it would not know them for a while */
    k->producer = kafka_producer_new();
}

Test(ops, partitions_that_are_added_are_read_from_their_first_record)
{
    struct cluster *k = cluster_up(.partitions = 1, .keys = 6, .start = "latest", .metadata_ms = 1000);
    struct worker  *a;

    events_send(k, 10); /* before the group began: not for us */
    a = worker_start(k, "a");
    wait_until(sql_int(k, "SELECT count(*) FROM pawl.offsets WHERE start_offset = 10 AND claimed_at IS NOT NULL") == 1);
    events_send(k, 10);
    wait_until(ledger_count(k) == 10);
    cr_assert(worker_stop(a, 15000));

    grow(k, 2);
    events_send(k, 12); /* six of them there, before anybody noticed */
    a = worker_start(k, "a");
    wait_until(ledger_count(k) == 22);
    cr_assert(worker_says(a, "partition.added"));
    cr_assert_eq(sql_int(k, "SELECT start_offset FROM pawl.offsets WHERE partition = 1"), 0);

    grow(k, 3); /* under a running worker */
    events_send(k, 12);
    wait_until(ledger_count(k) == 34);
    cr_assert_eq(sql_int(k, "SELECT start_offset FROM pawl.offsets WHERE partition = 2"), 0);
    cr_assert_eq(worker_says_n(a, "partition.added"), 2);
    cluster_down(k);
}

Test(ops, two_workers_that_begin_with_the_latest_both_begin_at_the_end)
{
    struct cluster *k = cluster_up(.partitions = 4, .start = "latest");
    struct worker  *a;

    events_send(k, 40);
    a = worker_start(k, "a", .slots = 2);
    wait_until(sql_int(k, "SELECT count(*) FROM pawl.offsets WHERE claimed_at IS NOT NULL") == 4);
    events_send(k, 20);
    wait_until(ledger_count(k) == 20);
    cr_assert_eq(sql_int(k, "SELECT count(*) FROM pawl.offsets WHERE start_offset = 10"), 4);
    cr_assert_not(worker_says(a, "partition.added"));
    cr_assert_eq(sql_int(k, "SELECT partitions FROM pawl.topics"), 4);
    cluster_down(k);
}
