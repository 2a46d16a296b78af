/* Plugins that crash, hang or break their contract. */
#include "oracle.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct bad {
    char command[24], says[80]; /* says: what the log must name */
};

struct crash {
    char command[24], code[40];
    char signal[16]; /* in the dead letter; "": none */
    bool speaks;     /* and a backtrace that leads into the plugin */
};

/* ---- it takes its process down: the message is set aside, its neighbours are not ---- */

ParameterizedTestParameters(hostile, a_crash_is_a_dead_letter_and_not_an_outage)
{
    static struct crash crashes[] = {
        { "segv", "crash.SIGSEGV", "SIGSEGV", true },
        { "abort", "crash.SIGABRT", "SIGABRT", true },
        { "exit0", "crash.exit_0", "", false },
        { "_exit0", "crash.exit_0", "", false },
        { "sigkill", "crash.SIGKILL", "SIGKILL", false },
        { "stack", "crash.SIGSEGV", "SIGSEGV", true },
        { "jump", "crash.SIGSEGV", "SIGSEGV", true },
        { "loop", "crash.handler_timeout", "SIGABRT", true },
        { "deaf_loop", "crash.handler_timeout", "SIGKILL", false },
        { "own_handler", "crash.exit_7", "", false },
        { "own_handler_segv", "crash.SIGSEGV", "SIGSEGV", false },
        { "thread_segv", "crash.SIGSEGV", "SIGSEGV", true },
        { "smash", "crash.SIGSEGV", "SIGSEGV", true },
        { "scribble", "crash.SIGSEGV", "SIGSEGV", true },
        { "plan_segv", "crash.SIGSEGV", "SIGSEGV", true },
    };

    return cr_make_param_array(struct crash, crashes, sizeof(crashes) / sizeof(crashes[0]));
}

static void expect_end(struct cluster *k, const struct crash *bad)
{
    char *sig = sql_text(k, "SELECT signal FROM pawl.dead_letters"), *trace;

    trace = sql_text(k, "SELECT backtrace FROM pawl.dead_letters");
    if (bad->signal[0])
        cr_assert(sig && strcmp(sig, bad->signal) == 0, "signal %s instead of %s", sig ? sig : "(none)", bad->signal);
    else
        cr_assert_null(sig);
    if (bad->speaks)
        cr_assert(trace && strstr(trace, "hostile-") && strstr(trace, ".so+0x") && strstr(trace, "has build id") &&
                      strlen(trace) < 2048,
                  "%s", trace ? trace : "(no backtrace)");
    else
        cr_assert_null(trace);
    free(sig);
    free(trace);
}

ParameterizedTest(struct crash *bad, hostile, a_crash_is_a_dead_letter_and_not_an_outage)
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
    cr_assert_str_eq(code, bad->code);
    free(code);
    expect_end(k, bad);
    cr_assert(oracle_exactly_once_in_order(k));
    cluster_down(k);
}

Test(hostile, a_plugin_starts_nothing_reaches_nobody_and_sees_nothing)
{
    static const char *const tries[] = { "exec",        "fork",           "kill_parent", "listen",
                                         "read_secret", "read_neighbour", "write_file",  "connect" };
    struct cluster          *k       = cluster_up(.partitions = 1, .plugin = "hostile");
    struct worker           *a;
    size_t                   n = 8;
    char                    *status;

    a = worker_start(k, "a");
    events_send(k, 10);
    wait_until(oracle_all_accounted(k));
    status = worker_status(a);
    cr_assert(strstr(status, "\"sandbox\":true"), "%s", status);
    if (worker_says(a, "\"event\":\"worker.sandbox\"")) {
        cr_assert(strstr(status, "\"landlock\":0"), "%s", status);
        (void)fprintf(stderr, "SKIPPED: this kernel has no Landlock; files and connections are not held\n");
        n = 4;
    } else if (!strstr(status, "\"landlock\":0")) {
        n = atoi(strstr(status, "\"landlock\":") + strlen("\"landlock\":")) < 4 ? 7 : 8; /* ports are held from 4 on */
    }
    free(status);
    for (size_t i = 0; i < n; i++)
        (void)event_send(k, 0, tries[i], 0);
    wait_until(oracle_all_accounted(k));
    cr_assert_eq(ledger_count(k), 10);
    cr_assert_eq(dead_count(k), (int64_t)n);
    cr_assert_eq(sql_int(k, "SELECT count(*) FROM pawl.dead_letters WHERE code = 'sandbox.held'"), (int64_t)n);
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

Test(hostile, crashes_of_all_kinds_in_one_topic_leave_all_their_neighbours_applied)
{
    static const char *const kinds[] = { "segv", "stack", "abort", "exit0", "loop", "sigkill" };
    struct cluster          *k = cluster_up(.partitions = 2, .plugin = "hostile", .crash_limit = 2, .handler_timeout_ms = 400);

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        for (int n = 0; n < 5; n++)
            event_queue(k, n % 2, "ok", 0);
        event_queue(k, (int)i % 2, kinds[i], 0);
    }
    events_flush(k);
    (void)worker_start(k, "a", .slots = 2);
    wait_until(oracle_all_accounted(k));
    cr_assert_eq(ledger_count(k), 30);
    cr_assert_eq(dead_count(k), 6);
    cr_assert_eq(sql_int(k, "SELECT count(*) FROM pawl.dead_letters WHERE attempt = 2 AND code LIKE 'crash.%%'"), 6);
    cr_assert_eq(sql_int(k, "SELECT count(*) FROM pawl.strikes"), 0, "they are done with");
    cr_assert(oracle_exactly_once_in_order(k));
    cluster_down(k);
}

Test(hostile, strikes_survive_a_kill_of_the_whole_runtime)
{
    struct cluster *k = cluster_up(.partitions = 1, .plugin = "hostile", .crash_limit = 3);
    struct worker  *a;

    events_send(k, 5);
    event_send(k, 0, "loop", 0);
    events_send(k, 5);
    a = worker_start(k, "a");
    wait_until(sql_int(k, "SELECT strikes FROM pawl.strikes") == 1);
    proc_signal(&a->proc, SIGKILL);
    proc_end(&a->proc);
    a = worker_start(k, "b");
    wait_until(oracle_all_accounted(k));
    cr_assert_eq(worker_says_n(a, "\"event\":\"worker.hung\""), 2, "the strike of the other one counts");
    cr_assert_eq(sql_int(k, "SELECT attempt FROM pawl.dead_letters"), 3);
    cr_assert_eq(sql_int(k, "SELECT count(*) FROM pawl.strikes"), 0);
    cr_assert(oracle_exactly_once_in_order(k));
    cluster_down(k);
}

Test(hostile, strikes_of_another_build_do_not_count)
{
    struct cluster *k = cluster_up(.partitions = 1, .plugin = "hostile", .crash_limit = 3);

    events_send(k, 10);
    sql_exec(k,
             "INSERT INTO pawl.strikes (group_name, topic, partition, source_offset, build, strikes, how)"
             " VALUES ('%s', '%s', 0, 4, 'hostile-0000000000000000.so', 3, 'SIGSEGV')",
             k->group, k->topic);
    (void)worker_start(k, "a");
    wait_until(oracle_all_accounted(k));
    cr_assert_eq(ledger_count(k), 10);
    cr_assert_eq(dead_count(k), 0);
    cluster_down(k);
}

/* The promise about a bad build: however many messages there are, fewer dead letters than the limit, each time it is let go on. */
Test(hostile, a_build_that_crashes_on_everything_makes_fewer_dead_letters_than_the_limit)
{
    struct cluster *k =
        cluster_up(.partitions = 2, .plugin = "hostile", .crash_limit = 2, .storm = "{ messages: 3, window: 10m }");
    struct worker *a;

    events_send(k, 4);
    for (int i = 0; i < 40; i++)
        event_queue(k, i % 2, "segv", 0);
    events_flush(k);
    a = worker_start(k, "a", .slots = 2);
    wait_until(worker_says(a, "\"event\":\"pipeline.tripped\""));
    wait_until(worker_pid(a, 0) == 0 && worker_pid(a, 1) == 0);
    cr_assert_eq(ledger_count(k), 4);
    cr_assert_leq(dead_count(k), 2);
    cr_assert_eq(pawl_run(NULL, "resume", a->topology, "main", NULL), 0);
    wait_until(worker_says_n(a, "\"event\":\"pipeline.tripped\"") == 2);
    wait_until(worker_pid(a, 0) == 0 && worker_pid(a, 1) == 0);
    cr_assert_leq(dead_count(k), 4);
    cr_assert_geq(dead_count(k), 1);
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
