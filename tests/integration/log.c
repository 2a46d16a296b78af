/* What a real run logs: how much of it, and what must never be in it. */
#include "oracle.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BODY     "BODY-of-nobodys-business"
#define KEY      "KEY-of-nobodys-business"
#define PASSWORD "swordfish-of-nobodys-business"
#define NUMBER   INT64_C(771177117711) /* a test plugin's function raises it in an error's text */

Test(log, the_level_changes_at_run_time_and_stays_over_restarts_of_the_worker)
{
    struct cluster *k = cluster_up(.partitions = 1, .more = "    log_level: warn\n");
    struct worker  *a = worker_start(k, "a");
    pid_t           pid;
    char           *out = NULL;

    events_send(k, 5);
    wait_until(ledger_count(k) == 5);
    cr_assert_not(worker_says(a, "group.assigned"), "info, and the pipeline wants warn");
    cr_assert_eq(pawl_run(&out, "log-level", a->topology, "debug", "--pipeline", "main", "--for", "1h", NULL), 0);
    cr_assert_str_eq(out, "main: debug for 1h, then warn\n");
    free(out);
    pid = worker_pid(a, 0);
    worker_kill(a, 0);
    (void)worker_wait_pid(a, 0, pid);
    wait_until(worker_says(a, "group.assigned") && worker_says(a, "\"level\":\"debug\""));
    out = worker_status(a);
    cr_assert(strstr(out, "\"log\":{\"level\":\"debug\",\"configured\":\"warn\",\"for_ms\":3"), "%s", out);
    free(out);
    cr_assert_eq(pawl_run(&out, "log-level", a->topology, "default", NULL), 0);
    cr_assert_str_eq(out, "supervisor: info, as configured\nmain: warn, as configured\n");
    free(out);
    cluster_down(k);
}

static void send_raw(struct cluster *k, const char *value)
{
    kafka_produce_id(k->producer, k->topic, 0, KEY, value, strlen(value), NULL);
}

/* One of each fate that a message can have. */
static void let_all_happen(struct cluster *k)
{
    char raise[64];

    (void)snprintf(raise, sizeof(raise), "4 raise %lld", (long long)NUMBER);
    send_raw(k, "1 ok 0 " BODY);
    send_raw(k, BODY " is no order");
    send_raw(k, "2 skip 0 " BODY);
    send_raw(k, "3 reject 0 " BODY);
    send_raw(k, raise);
    send_raw(k, "5 retry 1 " BODY);
    send_raw(k, "6 segv 0 " BODY);
    send_raw(k, "7 ok 0 " BODY);
    events_flush(k);
}

Test(log, no_line_has_a_payload_a_key_or_a_secret)
{
    struct cluster *k = cluster_up(.partitions = 1, .plugin = "hostile", .crash_limit = 2, .password = PASSWORD,
                                   .more = "    log_level: debug\n");
    struct worker  *a = worker_start(k, "a");
    char            number[32];

    (void)snprintf(number, sizeof(number), "%lld", (long long)NUMBER);
    let_all_happen(k);
    wait_until(next_offset(k, 0) == 8);
    cr_assert_eq(dead_count(k), 4);
    cr_assert_eq(sql_int(k, "SELECT count(*) FROM pawl.dead_letters WHERE reason LIKE '%%%s%%'", number), 1,
                 "the dead letter has what the log has not");
    cr_assert(worker_stop(a, 10000));
    cr_assert(worker_says(a, "event.rejected") && worker_says(a, "event.isolated") && worker_says(a, "event.retry") &&
              worker_says(a, "worker.crashed") && worker_says(a, "SQLSTATE P0001"));
    cr_assert_not(worker_says(a, BODY) || worker_says(a, KEY) || worker_says(a, PASSWORD) || worker_says(a, number));
    cluster_down(k);
}
