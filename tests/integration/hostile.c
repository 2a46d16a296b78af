/* Plugins that crash, hang or break their contract. */
#include "oracle.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct bad {
    char command[24], says[80]; /* says: dead letter's code, or what the log must name */
};

/* ---- it takes its process down: the message is set aside, its neighbours are not ---- */

ParameterizedTestParameters(hostile, a_crash_is_a_dead_letter_and_not_an_outage)
{
    static struct bad crashes[] = {
        { "segv", "crash.SIGSEGV" },         { "abort", "crash.SIGABRT" },     { "exit0", "crash.exit_0" },
        { "_exit0", "crash.exit_0" },        { "sigkill", "crash.SIGKILL" },   { "stack", "crash.SIGSEGV" },
        { "loop", "crash.handler_timeout" }, { "plan_segv", "crash.SIGSEGV" },
    };

    return cr_make_param_array(struct bad, crashes, sizeof(crashes) / sizeof(crashes[0]));
}

ParameterizedTest(struct bad *bad, hostile, a_crash_is_a_dead_letter_and_not_an_outage)
{
    struct cluster *k = cluster_up(.partitions = 2, .plugin = "hostile", .crash_limit = 2, .handler_timeout_ms = 400);
    int64_t         at;
    char           *code;

    events_send(k, 30);
    at = event_send(k, 0, bad->command, 0);
    events_send(k, 30);
    (void)worker_start(k, "a");
    wait_until(oracle_all_accounted(k));
    cr_assert_eq(ledger_count(k), 60);
    cr_assert_eq(dead_count(k), 1);
    cr_assert_eq(sql_int(k, "SELECT source_offset FROM pawl.dead_letters"), at);
    cr_assert_eq(sql_int(k, "SELECT attempt FROM pawl.dead_letters"), 2, "it was not given its second chance, or a third");
    code = sql_text(k, "SELECT code FROM pawl.dead_letters");
    cr_assert_str_eq(code, bad->says);
    free(code);
    cr_assert(oracle_exactly_once_in_order(k));
    cluster_down(k);
}

Test(hostile, two_crashing_messages_side_by_side_are_both_found)
{
    struct cluster *k = cluster_up(.partitions = 1, .plugin = "hostile", .crash_limit = 2);

    events_send(k, 10);
    event_queue(k, 0, "segv", 0);
    event_queue(k, 0, "abort", 0);
    event_queue(k, 0, "ok", 0);
    event_queue(k, 0, "segv", 0);
    events_flush(k);
    (void)worker_start(k, "a");
    wait_until(oracle_all_accounted(k));
    cr_assert_eq(dead_count(k), 3);
    cr_assert(oracle_exactly_once_in_order(k));
    cluster_down(k);
}

/* ---- it breaks the contract: nothing of the message is believed, an operator must look ---- */

ParameterizedTestParameters(hostile, a_broken_contract_stops_the_worker_and_commits_nothing_of_it)
{
    static struct bad breaches[] = {
        { "plan_writes", "write: called in plan()" },
        { "plan_emits", "emit: called in plan()" },
        { "plan_asks_cells", "cell: called in plan()" },
        { "plan_more_forever", "plan: PAWL_MORE without a read" },
        { "bad_slot", "read: slot 16" },
        { "slot_twice", "read: slot 0 is taken" },
        { "read_of_a_write", "read: 1 is not the index of a read" },
        { "handle_reads", "read: called in handle()" },
        { "bad_stmt", "write: 4711 is not the index" },
        { "write_of_a_read", "write: 0 is not the index" },
        { "few_args", "2 arguments were given" },
        { "many_args", "4 arguments were given" },
        { "wrong_type", "has type 5, the argument has type 2" },
        { "unknown_type", "the argument has type 77" },
        { "huge_length", "write: " },
        { "bad_cell_slot", "cell: slot 16" },
        { "bad_cell_row", "cell: slot 0 has no row 1000000" },
        { "bad_cell_col", "cell: slot 0 has no column 99" },
        { "bad_output", "emit: 9 is not the index" },
        { "bad_code", "handle: answered 1234" },
        { "handle_more", "handle: answered 5" },
    };

    return cr_make_param_array(struct bad, breaches, sizeof(breaches) / sizeof(breaches[0]));
}

ParameterizedTest(struct bad *bad, hostile, a_broken_contract_stops_the_worker_and_commits_nothing_of_it)
{
    struct cluster *k = cluster_up(.partitions = 1, .keys = 1, .plugin = "hostile");
    struct worker  *a;
    int64_t         at;

    events_send(k, 5);
    at = event_send(k, 0, bad->command, 0);
    events_send(k, 5);
    a = worker_start(k, "a");
    wait_until(worker_says(a, "plugin.misuse"));
    cr_assert(worker_says(a, bad->says), "%s: the log does not say '%s'", bad->command, bad->says);
    wait_until(next_offset(k, 0) == at);
    cr_assert_eq(ledger_count(k), 5);
    cr_assert_eq(sql_int(k, "SELECT count FROM test.state"), 5);
    cr_assert_eq(dead_count(k), 0);
    cluster_down(k);
}
