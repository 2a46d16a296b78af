/* What a pipeline does with good, bad and unlucky messages. */
#include "oracle.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static void assert_dead(struct cluster *k, int partition, int64_t offset, const char *code)
{
    char *have = sql_text(k, "SELECT code FROM pawl.dead_letters WHERE partition = %d AND source_offset = %lld", partition,
                          (long long)offset);

    cr_assert(have, "offset %lld of partition %d is not in pawl.dead_letters", (long long)offset, partition);
    cr_assert_str_eq(have, code);
    free(have);
}

Test(flow, every_event_is_applied_once_and_in_order)
{
    struct cluster *k = cluster_up(.partitions = 6, .batch = 200);

    (void)worker_start(k, "a", .slots = 2);
    events_send(k, 5000);
    wait_until(oracle_all_accounted(k));
    cr_assert_eq(ledger_count(k), 5000);
    cr_assert(oracle_exactly_once_in_order(k));
    cluster_down(k);
}

Test(flow, a_clean_stop_and_a_new_start_go_on_where_they_were)
{
    struct cluster *k = cluster_up();
    struct worker  *a = worker_start(k, "a");

    events_send(k, 500);
    wait_until(ledger_count(k) > 0);
    cr_assert(worker_stop(a, 15000));
    cr_assert_eq(a->proc.status, 0);
    events_send(k, 500);
    (void)worker_start(k, "a");
    wait_until(oracle_all_accounted(k));
    cr_assert(oracle_exactly_once_in_order(k));
    cluster_down(k);
}

Test(flow, a_message_sees_what_an_earlier_one_of_its_batch_wrote)
{
    struct cluster *k = cluster_up(.partitions = 1, .keys = 1, .batch = 500);

    events_send(k, 300); /* before the start: one batch holds them all */
    (void)worker_start(k, "a");
    wait_until(ledger_count(k) == 300);
    cr_assert_eq(sql_int(k, "SELECT count FROM test.state WHERE key = 'k00'"), 300);
    cr_assert_eq(sql_int(k, "SELECT count(*) FROM test.ledger WHERE count <> seq"), 0);
    cr_assert_lt(sql_int(k, "SELECT count(DISTINCT xmin::text) FROM test.ledger"), 10,
                 "the events did not share transactions: nothing was shown");
    cr_assert(oracle_exactly_once_in_order(k));
    cluster_down(k);
}

Test(flow, a_rejected_message_becomes_a_dead_letter_and_its_neighbours_are_applied)
{
    struct cluster *k = cluster_up(.partitions = 1);
    int64_t         rejected, malformed, skipped;

    events_send(k, 20);
    rejected = event_send(k, 0, "reject", 0);
    skipped  = event_send(k, 0, "skip", 0);
    kafka_produce(k->producer, k->topic, 0, "k00", "no order at all", 15);
    malformed = skipped + 1;
    events_send(k, 20);
    (void)worker_start(k, "a");
    wait_until(oracle_all_accounted(k));
    cr_assert_eq(ledger_count(k), 40);
    cr_assert_eq(dead_count(k), 2);
    assert_dead(k, 0, rejected, "test.rejected");
    assert_dead(k, 0, malformed, "test.malformed");
    cr_assert(oracle_exactly_once_in_order(k));
    cluster_down(k);
}

static bool status_has(const struct worker *w, const char *text)
{
    char *status = worker_status(w);
    bool  has    = strstr(status, text) != NULL;

    free(status);
    return has;
}

Test(flow, status_says_how_many_outputs_and_dead_letters_wait_and_how_many_are_published)
{
    struct cluster *k = cluster_up(.partitions = 1, .dlq = "there");
    struct worker  *a;

    for (int i = 0; i < 3; i++)
        (void)event_send(k, 0, "reject", 0);
    a = worker_start(k, "a", .failpoint = "publisher_read:1=sleep_ms(3000)");
    wait_until(dead_count(k) == 3); /* it listens by then */
    wait_until(status_has(a, "\"outbox_waiting\":3"));
    cr_assert(status_has(a, "\"published\":0"));
    wait_until(status_has(a, "\"published\":3") && status_has(a, "\"outbox_waiting\":0"));
    cr_assert_eq(dead_count(k), 3);
    cluster_down(k);
}

Test(flow, a_message_that_asks_for_a_retry_is_called_again_and_keeps_its_place)
{
    struct cluster *k = cluster_up(.partitions = 2, .retry_attempts = 5);
    int64_t         exhausted;

    events_send(k, 20);
    event_queue(k, 0, "retry", 3); /* the fourth attempt succeeds */
    event_queue(k, 0, "ok", 0);
    events_flush(k);
    exhausted = event_send(k, 1, "retry", 99);
    events_send(k, 20);
    (void)worker_start(k, "a");
    wait_until(oracle_all_accounted(k));
    cr_assert_eq(ledger_count(k), 42);
    cr_assert_eq(dead_count(k), 1);
    assert_dead(k, 1, exhausted, "retry.exhausted");
    cr_assert_eq(sql_int(k, "SELECT attempt FROM pawl.dead_letters"), 5);
    cr_assert_eq(oracle_look(k).disordered, 0);
    cluster_down(k);
}

static void one_bad_row(const char *command, int64_t arg, const char *code)
{
    struct cluster *k = cluster_up(.partitions = 2, .batch = 500, .keys = 40);
    int64_t         bad;

    events_send(k, 200);
    bad = event_send(k, 0, command, arg);
    events_send(k, 200);
    (void)worker_start(k, "a");
    wait_until(oracle_all_accounted(k));
    cr_assert_eq(ledger_count(k), 400);
    cr_assert_eq(dead_count(k), 1);
    cr_assert_eq(sql_int(k, "SELECT source_offset FROM pawl.dead_letters WHERE partition = 0"), bad);
    cr_assert_eq(sql_int(k, "SELECT count(*) FROM pawl.dead_letters WHERE code LIKE '%s'", code), 1);
    cr_assert(oracle_exactly_once_in_order(k));
    cluster_down(k);
}

Test(flow, a_division_by_zero_is_bisected_to_its_message)
{
    one_bad_row("divide", 0, "%22012%");
}

Test(flow, a_violated_check_is_bisected_to_its_message)
{
    one_bad_row("check", 0, "%23514%");
}

Test(flow, a_function_that_raises_is_bisected_to_its_message)
{
    one_bad_row("raise", 7, "%P0001%");
}

Test(flow, a_write_that_misses_its_row_rejects_only_its_message)
{
    one_bad_row("mustexist", 0, "%");
}

Test(flow, a_plan_that_decides_on_rows_sees_what_earlier_messages_of_its_batch_wrote)
{
    struct cluster *k = cluster_up(.partitions = 1, .batch = 500, .keys = 40);

    for (int i = 0; i < 40; i++) {
        event_queue(k, i, "ok", 0);
        event_queue(k, i, "known", 0);
    }
    events_flush(k);
    (void)worker_start(k, "a");
    wait_until(oracle_all_accounted(k));
    cr_assert_eq(dead_count(k), 0);
    cr_assert_eq(ledger_count(k), 80);
    cr_assert(oracle_exactly_once_in_order(k));
    cluster_down(k);
}

Test(flow, many_bad_messages_in_one_batch_leave_all_the_others_applied)
{
    struct cluster *k = cluster_up(.partitions = 2, .batch = 500, .keys = 40);

    for (int i = 0; i < 300; i++)
        event_queue(k, i % 40, i % 29 == 3 ? "divide" : i % 31 == 5 ? "reject" : "ok", 0);
    events_flush(k);
    (void)worker_start(k, "a");
    wait_until(oracle_all_accounted(k));
    cr_assert_gt(dead_count(k), 15);
    cr_assert(oracle_exactly_once_in_order(k));
    cluster_down(k);
}

Test(flow, a_serialization_failure_is_waited_out_and_costs_no_attempt)
{
    struct cluster *k = cluster_up(.partitions = 1, .retry_attempts = 2);
    struct worker  *a;

    sql_exec(k, "INSERT INTO test.switch VALUES ('outage')");
    events_send(k, 10);
    (void)event_send(k, 0, "outage", 0);
    events_send(k, 10);
    a = worker_start(k, "a");
    wait_until(worker_says_n(a, "40001") + worker_says_n(a, "provoked outage") >= 6);
    cr_assert_eq(dead_count(k), 0);
    sql_exec(k, "DELETE FROM test.switch");
    wait_until(oracle_all_accounted(k));
    cr_assert_eq(ledger_count(k), 21);
    cr_assert(oracle_exactly_once_in_order(k));
    cluster_down(k);
}

Test(flow, a_fatal_verdict_stops_the_worker_before_that_message)
{
    struct cluster *k = cluster_up(.partitions = 1);
    struct worker  *a;
    int64_t         fatal;

    events_send(k, 10);
    fatal = event_send(k, 0, "fatal", 0);
    events_send(k, 10);
    a = worker_start(k, "a");
    wait_until(worker_says(a, "test.fatal"));
    wait_until(next_offset(k, 0) == fatal);
    cr_assert_eq(ledger_count(k), 10);
    cr_assert_eq(dead_count(k), 0);
    cluster_down(k);
}

Test(flow, without_a_dead_letter_topic_a_rejection_halts_its_partition_and_no_other)
{
    struct cluster *k = cluster_up(.partitions = 2, .dlq = "no");
    struct worker  *a;
    int64_t         rejected;

    events_send(k, 20);
    rejected = event_send(k, 0, "reject", 0);
    events_send(k, 20);
    a = worker_start(k, "a");
    wait_until(worker_says(a, "partition.halted"));
    wait_until(next_offset(k, 0) == rejected && next_offset(k, 1) == 20);
    cr_assert_eq(ledger_count(k), rejected + 20);
    cluster_down(k);
}

Test(flow, null_keys_tombstones_and_empty_values_do_no_harm)
{
    struct cluster *k = cluster_up(.partitions = 1);

    events_send(k, 5);
    kafka_produce(k->producer, k->topic, 0, NULL, NULL, 0);
    kafka_produce(k->producer, k->topic, 0, "k00", NULL, 0);
    kafka_produce(k->producer, k->topic, 0, "", "", 0);
    kafka_produce(k->producer, k->topic, 0, "\xff\xfe", "9 ok 0", 6); /* not UTF-8: PostgreSQL refuses it as text */
    kafka_flush(k->producer, 10000);
    events_send(k, 5);
    (void)worker_start(k, "a");
    wait_until(oracle_all_accounted(k));
    cr_assert_eq(ledger_count(k), 10);
    cr_assert_eq(sql_int(k, "SELECT count(DISTINCT source_offset) FROM pawl.dead_letters"), 4);
    cr_assert_eq(sql_int(k, "SELECT count(*) FROM pawl.dead_letters WHERE value IS NULL"), 2);
    cr_assert_eq(sql_int(k, "SELECT count(*) FROM pawl.dead_letters WHERE key IS NULL"), 1);
    cluster_down(k);
}

Test(flow, a_killed_worker_is_back_at_once_under_the_same_name)
{
    struct cluster *k = cluster_up(.partitions = 4);
    struct worker  *a = worker_start(k, "a", .slots = 2);
    int64_t         began;

    events_send(k, 400);
    wait_until(oracle_all_accounted(k));
    for (int i = 0; i < 3; i++) {
        pid_t pid = worker_wait_pid(a, i % 2, 0);

        worker_kill(a, i % 2);
        began = kit_now_ms();
        events_send(k, 100);
        wait_until(oracle_all_accounted(k));
        cr_assert_lt(kit_now_ms() - began, 5000, "it took as long as a session timeout: not a static member");
        cr_assert_neq(worker_wait_pid(a, i % 2, pid), pid);
    }
    cr_assert(oracle_exactly_once_in_order(k));
    cluster_down(k);
}

Test(flow, workers_end_when_their_supervisor_is_killed)
{
    struct cluster *k = cluster_up();
    struct worker  *a = worker_start(k, "a", .slots = 2);
    pid_t           pids[2];

    events_send(k, 100);
    wait_until(oracle_all_accounted(k));
    pids[0] = worker_wait_pid(a, 0, 0);
    pids[1] = worker_wait_pid(a, 1, 0);
    proc_end(&a->proc);
    wait_until((proc_state(pids[0]) == 0 || proc_state(pids[0]) == 'Z') &&
               (proc_state(pids[1]) == 0 || proc_state(pids[1]) == 'Z'));
    (void)worker_start(k, "a");
    events_send(k, 100);
    wait_until(oracle_all_accounted(k));
    cr_assert(oracle_exactly_once_in_order(k));
    cluster_down(k);
}

/* ---- the judge itself ---- */

Test(oracle, sees_a_duplicate_a_loss_a_swap_and_a_stranger)
{
    struct cluster *k = cluster_up(.partitions = 1);
    struct oracle   o;

    events_send(k, 50);
    (void)event_send(k, 0, "reject", 0);
    (void)worker_start(k, "a");
    wait_until(oracle_all_accounted(k));
    cr_assert(oracle_exactly_once_in_order(k));

    sql_exec(k, "INSERT INTO test.ledger (topic, partition, source_offset, key, seq, count, body) "
                "SELECT topic, partition, source_offset, key, seq, count, body FROM test.ledger WHERE source_offset = 7");
    sql_exec(k, "DELETE FROM test.ledger WHERE source_offset = 10");
    sql_exec(k, "UPDATE test.ledger SET body = 'other' WHERE source_offset = 11");
    sql_exec(k, "DELETE FROM pawl.outbox");
    o = oracle_look(k);
    cr_assert_eq(o.duplicated, 1);
    cr_assert_eq(o.lost, 2); /* the row and the dead letter */
    cr_assert_eq(o.foreign, 1);
    cr_assert_gt(o.disordered, 0); /* the duplicate came after higher offsets */
    cr_assert_gt(o.state_wrong, 0);
    cr_assert_not(oracle_exactly_once_in_order(k));
    cluster_down(k);
}
