/* Messages that are tried again: what waits with them, what a restart remembers, and the bounds of the park. */
#include "oracle.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static int64_t parked(struct cluster *k)
{
    return sql_int(k, "SELECT count(*) FROM pawl.parked");
}

static bool all_done(struct cluster *k)
{
    return oracle_all_accounted(k) && parked(k) == 0;
}

static bool status_has(struct worker *w, const char *text)
{
    char *status = worker_status(w);
    bool  has    = status && strstr(status, text) != NULL;

    free(status);
    return has;
}

/* Of key 0: one that is tried again a few times, and some behind it. */
static void a_failing_key(struct cluster *k, const char *command, int64_t arg, int behind)
{
    event_queue(k, 0, command, arg);
    for (int i = 0; i < behind; i++)
        event_queue(k, 0, "ok", 0);
    events_flush(k);
}

/* ---- only the key waits ---- */

Test(park, a_message_that_is_tried_again_holds_up_its_key_and_no_other)
{
    struct cluster *k = cluster_up(.partitions = 1, .keys = 4, .retry_mode = "park", .backoff_ms = 600);

    events_send(k, 8);
    a_failing_key(k, "retry", 3, 5);
    for (int i = 0; i < 30; i++)
        event_queue(k, 1 + i % 3, "ok", 0);
    events_flush(k);
    (void)worker_start(k, "a");
    wait_until(oracle_all_accounted(k)); /* the position is past all of them */
    cr_assert_eq(parked(k), 6);
    cr_assert_eq(ledger_count(k), 38);
    a_failing_key(k, "ok", 0, 4); /* later ones of the key, in a batch of their own */
    wait_until(oracle_all_accounted(k));
    cr_assert_eq(parked(k), 11, "later messages of the key did not go behind it");
    cr_assert_eq(sql_int(k, "SELECT parked FROM pawl.progress"), 11);
    wait_until(all_done(k));
    cr_assert_eq(ledger_count(k), 49);
    cr_assert_eq(dead_count(k), 0);
    cr_assert(oracle_exactly_once_in_order(k));
    cluster_down(k);
}

Test(park, a_message_that_gives_up_is_a_dead_letter_and_its_key_goes_on)
{
    struct cluster *k = cluster_up(.partitions = 1, .keys = 4, .retry_mode = "park", .retry_attempts = 4);
    char           *code;

    a_failing_key(k, "never", 0, 3);
    a_failing_key(k, "never", 0, 3);
    a_failing_key(k, "reject", 0, 3);
    events_send(k, 40);
    (void)worker_start(k, "a");
    wait_until(all_done(k));
    cr_assert_eq(dead_count(k), 3);
    cr_assert_eq(sql_int(k, "SELECT count(*) FROM pawl.dead_letters WHERE code = 'retry.exhausted' AND attempt = 4"), 2);
    code = sql_text(k, "SELECT code FROM pawl.dead_letters WHERE code <> 'retry.exhausted'");
    cr_assert_str_eq(code, "test.rejected");
    free(code);
    cr_assert(oracle_exactly_once_in_order(k));
    cluster_down(k);
}

Test(park, messages_without_a_key_wait_for_nobody)
{
    struct cluster *k = cluster_up(.partitions = 1, .retry_mode = "park", .retry_attempts = 3, .backoff_ms = 3000);

    kafka_produce(k->producer, k->topic, 0, NULL, "1 never 0", 9);
    kafka_produce(k->producer, k->topic, 0, NULL, "2 skip 0", 8);
    kafka_produce(k->producer, k->topic, 0, NULL, "3 never 0", 9);
    kafka_produce(k->producer, k->topic, 0, NULL, "4 skip 0", 8);
    kafka_flush(k->producer, 10000);
    (void)worker_start(k, "a");
    wait_until(oracle_all_accounted(k));
    cr_assert_eq(parked(k), 2);
    cr_assert_eq(sql_int(k, "SELECT count(*) FROM pawl.parked WHERE attempts = 1 AND key IS NULL AND key_hash = 0"), 2);
    wait_until(all_done(k));
    cr_assert_eq(dead_count(k), 2);
    cluster_down(k);
}

/* What comes out of the park is the record as it was. */
Test(park, a_parked_message_keeps_its_key_value_headers_and_time)
{
    struct cluster *k = cluster_up(.partitions = 1, .retry_mode = "park", .retry_attempts = 2);

    kafka_produce(k->producer, k->topic, 0, "", "1 never 0", 9);
    kafka_produce(k->producer, k->topic, 0, "\xff\xfe", "2 never 0", 9); /* not text */
    kafka_produce(k->producer, k->topic, 0, NULL, "3 never 0", 9);
    kafka_flush(k->producer, 10000);
    (void)worker_start(k, "a");
    wait_until(all_done(k) && dead_count(k) == 3);
    cr_assert_eq(sql_int(k, "SELECT count(*) FROM pawl.dead_letters WHERE key = ''"), 1);
    cr_assert_eq(sql_int(k, "SELECT count(*) FROM pawl.dead_letters WHERE key = '\\xfffe'"), 1);
    cr_assert_eq(sql_int(k, "SELECT count(*) FROM pawl.dead_letters WHERE key IS NULL"), 1);
    cr_assert_eq(sql_int(k, "SELECT count(*) FROM pawl.dead_letters WHERE convert_from(value, 'UTF8') LIKE '_ never 0'"), 3);
    cluster_down(k);
}

Test(park, bad_sql_behind_a_parked_message_is_bisected_to_its_message)
{
    struct cluster *k = cluster_up(.partitions = 1, .keys = 6, .batch = 100, .retry_mode = "park", .backoff_ms = 100);

    for (int key = 0; key < 5; key++) {
        event_queue(k, key, "retry", 1);
        for (int i = 0; i < 4; i++)
            event_queue(k, key, "ok", 0);
        event_queue(k, key, key % 2 ? "divide" : "check", 0);
        event_queue(k, key, "ok", 0);
    }
    events_flush(k);
    (void)worker_start(k, "a");
    wait_until(all_done(k));
    cr_assert_eq(dead_count(k), 5);
    cr_assert_eq(ledger_count(k), 30);
    cr_assert(oracle_exactly_once_in_order(k));
    cluster_down(k);
}

Test(park, a_parked_message_that_crashes_is_a_dead_letter_and_its_key_goes_on)
{
    struct cluster *k = cluster_up(.partitions = 1, .keys = 4, .plugin = "hostile", .crash_limit = 2, .retry_mode = "park",
                                   .handler_timeout_ms = 600);

    event_queue(k, 0, "retry", 1);
    event_queue(k, 0, "segv", 0);
    event_queue(k, 0, "ok", 0);
    event_queue(k, 0, "loop", 0);
    event_queue(k, 0, "ok", 0);
    events_send(k, 40);
    (void)worker_start(k, "a");
    wait_until(all_done(k));
    cr_assert_eq(dead_count(k), 2);
    cr_assert_eq(sql_int(k, "SELECT count(*) FROM pawl.dead_letters WHERE code IN ('crash.SIGSEGV', 'crash.handler_timeout')"),
                 2);
    cr_assert_eq(ledger_count(k), 43);
    cr_assert(oracle_exactly_once_in_order(k));
    cluster_down(k);
}

/* Nobody takes it, so it stays; it holds up its key only. */
Test(park, without_a_dead_letter_topic_a_rejected_message_stays_parked)
{
    struct cluster *k = cluster_up(.partitions = 1, .keys = 4, .retry_mode = "park", .dlq = "no");

    event_queue(k, 0, "retry", 1);
    event_queue(k, 0, "reject", 0);
    event_queue(k, 0, "ok", 0);
    events_send(k, 40);
    (void)worker_start(k, "a");
    wait_until(oracle_all_accounted(k));
    wait_until(sql_int(k, "SELECT count(*) FROM pawl.parked WHERE code = 'test.rejected' AND attempts >= 2") == 1);
    wait_until(ledger_count(k) == 31); /* all of the other keys, and the one before it */
    cr_assert_eq(parked(k), 12);
    cr_assert_eq(sql_int(k, "SELECT count(*) FROM pawl.outbox"), 0);
    cluster_down(k);
}

/* ---- the bounds ---- */

Test(park, at_its_bound_the_partition_waits_and_goes_on_when_there_is_room)
{
    struct cluster *k = cluster_up(.partitions = 1, .keys = 4, .retry_mode = "park", .park_max = 5, .backoff_ms = 1000);
    struct worker  *a;

    a_failing_key(k, "retry", 2, 4); /* exactly as many as fit */
    events_send(k, 4);               /* one of key 0 among them: one too many */
    a = worker_start(k, "a");
    (void)worker_wait_pid(a, 0, 0);
    wait_until(status_has(a, "no room"));
    cr_assert_eq(parked(k), 5);
    cr_assert_eq(next_offset(k, 0), 5);
    cr_assert(status_has(a, "\"state\":\"retrying\""));
    wait_until(all_done(k));
    cr_assert_eq(ledger_count(k), 9);
    cr_assert(oracle_exactly_once_in_order(k));
    cluster_down(k);
}

Test(park, below_its_bound_the_partition_does_not_wait)
{
    struct cluster *k = cluster_up(.partitions = 1, .keys = 4, .retry_mode = "park", .park_max = 5, .backoff_ms = 1000);
    struct worker  *a;

    a_failing_key(k, "retry", 2, 4);
    for (int i = 0; i < 30; i++)
        event_queue(k, 1 + i % 3, "ok", 0);
    events_flush(k);
    a = worker_start(k, "a");
    wait_until(oracle_all_accounted(k));
    cr_assert_eq(parked(k), 5);
    cr_assert_not(worker_says(a, "no room"));
    wait_until(all_done(k));
    cr_assert(oracle_exactly_once_in_order(k));
    cluster_down(k);
}

/* A message of another key that fails while there is no room is tried again in place, as if the mode were block. */
Test(park, a_failing_message_that_finds_no_room_holds_up_its_partition)
{
    struct cluster *k = cluster_up(.partitions = 1, .keys = 4, .retry_mode = "park", .park_max = 1, .backoff_ms = 400);

    event_queue(k, 0, "retry", 4);
    event_queue(k, 1, "retry", 2);
    event_queue(k, 2, "ok", 0);
    events_flush(k);
    (void)worker_start(k, "a");
    wait_until(sql_int(k, "SELECT count(*) FROM pawl.attempts WHERE source_offset = 1") == 1);
    wait_until(all_done(k));
    cr_assert_eq(sql_int(k, "SELECT count(*) FROM pawl.attempts"), 0, "a batch that moves past it takes its attempts along");
    cr_assert(oracle_exactly_once_in_order(k));
    cluster_down(k);
}

/* ---- what a restart remembers ---- */

static void attempts_survive_kills(const char *mode)
{
    struct cluster *k     = cluster_up(.partitions = 1, .keys = 4, .retry_mode = mode, .retry_attempts = 6, .backoff_ms = 500);
    bool            parks = strcmp(mode, "park") == 0;
    struct worker  *a;

    a_failing_key(k, "never", 0, 3);
    events_send(k, 8);
    a = worker_start(k, "a");
    for (int n = 1; n <= 4; n++) {
        wait_until(sql_int(k, "SELECT coalesce(max(attempts), 0) FROM pawl.%s", parks ? "parked" : "attempts") == n);
        worker_kill(a, 0);
    }
    wait_until(all_done(k));
    cr_assert_eq(sql_int(k, "SELECT attempt FROM pawl.dead_letters"), 6);
    /* at most: a kill can come between the COMMIT and the line that tells of it */
    cr_assert_leq(worker_says_n(a, parks ? "event.parked" : "event.retry"), 5,
                  "it was tried more often than the dead letter says");
    cr_assert_eq(sql_int(k, "SELECT count(*) FROM pawl.attempts"), 0);
    cr_assert(oracle_exactly_once_in_order(k));
    cluster_down(k);
}

Test(park, attempts_of_a_message_that_blocks_survive_kills)
{
    attempts_survive_kills("block");
}

Test(park, attempts_of_a_parked_message_survive_kills)
{
    attempts_survive_kills("park");
}

Test(park, a_restart_waits_no_less_than_what_was_left)
{
    struct cluster *k = cluster_up(.partitions = 1, .keys = 1, .retry_attempts = 2, .backoff_ms = 4000);
    struct worker  *a;
    char           *at;

    (void)event_send(k, 0, "never", 0);
    a = worker_start(k, "a");
    wait_until((at = sql_text(k, "SELECT retry_at::text FROM pawl.attempts")) != NULL);
    worker_kill(a, 0);
    wait_until(dead_count(k) == 1);
    cr_assert_eq(sql_int(k, "SELECT (created_at >= '%s'::timestamptz - interval '5 ms')::int FROM pawl.outbox", at), 1);
    free(at);
    cluster_down(k);
}

Test(park, a_new_owner_goes_on_with_the_park_of_the_old_one)
{
    struct cluster *k = cluster_up(.partitions = 4, .keys = 12, .retry_mode = "park", .backoff_ms = 1500, .retry_attempts = 9);
    struct worker  *a;

    for (int key = 0; key < 4; key++) {
        event_queue(k, key, "retry", 2);
        event_queue(k, key, "ok", 0);
    }
    events_send(k, 60);
    a = worker_start(k, "a");
    wait_until(oracle_all_accounted(k));
    cr_assert_gt(parked(k), 0);
    cr_assert(worker_stop(a, 15000));
    events_send(k, 60); /* of parked keys, too; nobody is there */
    (void)worker_start(k, "b", .slots = 2);
    wait_until(all_done(k));
    cr_assert_eq(dead_count(k), 0);
    cr_assert(oracle_exactly_once_in_order(k));
    cluster_down(k);
}

/* What is parked is tried again whatever the mode is now; new messages of its keys still go behind it. */
Test(park, a_park_is_worked_off_when_the_mode_is_block_again)
{
    struct cluster *k = cluster_up(.partitions = 1, .keys = 4, .retry_mode = "park", .backoff_ms = 1500);
    struct worker  *a;

    a_failing_key(k, "retry", 2, 3);
    events_send(k, 8);
    a = worker_start(k, "a");
    wait_until(oracle_all_accounted(k));
    cr_assert_eq(parked(k), 6);
    cr_assert(worker_stop(a, 15000));
    k->o.retry_mode = "block";
    (void)worker_start(k, "a");
    events_send(k, 8);
    wait_until(all_done(k));
    k->o.retry_mode = "park"; /* for the oracle: its transactions are not in the order of offsets */
    cr_assert(oracle_exactly_once_in_order(k));
    cluster_down(k);
}

/* ---- PostgreSQL goes away ---- */

static void some_fail(struct cluster *k, int n)
{
    for (int i = 0; i < n; i++) {
        event_queue(k, k->next_key, i % 7 == 3 ? "retry" : "ok", 1 + i % 3);
        k->next_key = (k->next_key + 1) % k->o.keys;
    }
    events_flush(k);
}

static bool somebody_waits_for_a_lock(struct cluster *k)
{
    return sql_int(k, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") > 0;
}

static void cut(enum proxy_act act)
{
    struct cluster *k = cluster_up(.partitions = 2, .keys = 10, .batch = 10, .proxy = true, .retry_mode = "park");
    int             n = 0;

    (void)worker_start(k, "a");
    for (int i = 0; i < 12; i++) {
        proxy_arm(k->proxy, act);
        some_fail(k, 40);
        n += 40;
        wait_until(proxy_acted(k->proxy) == i + 1);
        if (act == PROXY_HOLD_COMMIT) { /* the look at the offset row waits behind the old transaction */
            wait_until(somebody_waits_for_a_lock(k));
            proxy_release(k->proxy);
            wait_until(!somebody_waits_for_a_lock(k)); /* the next one is not armed before this one is through */
        }
    }
    wait_until(all_done(k));
    cr_assert_eq(ledger_count(k), n);
    cr_assert_eq(dead_count(k), 0);
    cr_assert(oracle_exactly_once_in_order(k));
    cluster_down(k);
}

Test(park, a_line_cut_before_the_commit_of_parked_messages_is_not_taken_for_a_commit)
{
    cut(PROXY_CUT_BEFORE_COMMIT);
}

Test(park, a_line_cut_after_the_commit_of_parked_messages_is_not_taken_for_a_failure)
{
    cut(PROXY_CUT_AFTER_COMMIT);
}

Test(park, a_late_commit_of_parked_messages_is_waited_for)
{
    cut(PROXY_HOLD_COMMIT);
}

static void outage_during_retries(const char *mode)
{
    struct cluster *k = cluster_up(.partitions = 2, .keys = 6, .retry_mode = mode, .retry_attempts = 4, .backoff_ms = 300);

    some_fail(k, 60);
    (void)worker_start(k, "a");
    for (int i = 0; i < 3; i++) {
        wait_until(sql_int(k, "SELECT (SELECT count(*) FROM pawl.attempts) + (SELECT count(*) FROM pawl.parked)") > 0 ||
                   all_done(k));
        postgres_stop(k, i % 2 ? "immediate" : "fast");
        some_fail(k, 60);
        kit_nap(1500); /* longer than all the backoffs of a message together */
        postgres_start(k);
    }
    wait_until(all_done(k));
    cr_assert_eq(dead_count(k), 0, "an outage cost attempts");
    cr_assert(oracle_exactly_once_in_order(k));
    cluster_down(k);
}

Test(park, an_outage_of_postgres_costs_a_parked_message_no_attempt)
{
    outage_during_retries("park");
}

Test(park, an_outage_of_postgres_costs_a_message_that_blocks_no_attempt)
{
    outage_during_retries("block");
}

/* ---- the breaker ---- */

Test(park, an_outage_of_postgres_is_one_event_and_status_says_since_when)
{
    struct cluster *k = cluster_up(.partitions = 2);
    struct worker  *a = worker_start(k, "a");

    events_send(k, 20);
    wait_until(oracle_all_accounted(k));
    postgres_stop(k, "fast");
    events_send(k, 20);
    wait_until(status_has(a, "\"state\":\"paused\"") && status_has(a, "PostgreSQL since 2"));
    wait_until(status_has(a, "\"ready\":false"));
    kit_nap(2000); /* many questions are asked meanwhile */
    postgres_start(k);
    wait_until(oracle_all_accounted(k) && status_has(a, "\"ready\":true"));
    cr_assert_eq(worker_says_n(a, "breaker.opened"), 1);
    cr_assert_eq(worker_says_n(a, "breaker.closed"), 1);
    cr_assert(oracle_exactly_once_in_order(k));
    cluster_down(k);
}

/* The server is there and refuses every transaction, as it does when its disk is full: asked with one message at a time. */
Test(park, a_server_that_refuses_every_transaction_is_an_outage_and_no_fault_of_the_messages)
{
    struct cluster *k = cluster_up(.partitions = 2, .retry_attempts = 2, .batch = 50);
    struct worker  *a;

    events_send(k, 20);
    a = worker_start(k, "a");
    wait_until(oracle_all_accounted(k));
    sql_exec(k, "CREATE FUNCTION test.full() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no space left' "
                "USING ERRCODE = '53100'; END $$; "
                "CREATE TRIGGER full_disk BEFORE INSERT ON test.ledger FOR EACH STATEMENT EXECUTE FUNCTION test.full()");
    events_send(k, 100);
    wait_until(status_has(a, "no space left") && status_has(a, "\"ready\":false"));
    kit_nap(1000);
    sql_exec(k, "DROP TRIGGER full_disk ON test.ledger");
    wait_until(oracle_all_accounted(k) && status_has(a, "\"ready\":true"));
    cr_assert_eq(dead_count(k), 0);
    cr_assert_eq(worker_says_n(a, "breaker.opened"), 1);
    cr_assert(oracle_exactly_once_in_order(k));
    cluster_down(k);
}

static void transient_alone(const char *mode)
{
    struct cluster *k =
        cluster_up(.partitions = 2, .keys = 4, .retry_attempts = 2, .batch = 20, .retry_mode = mode, .backoff_ms = 50);
    bool           parks = strcmp(mode, "park") == 0;
    struct worker *a;

    sql_exec(k, "INSERT INTO test.switch VALUES ('outage')");
    (void)event_send(k, 0, "outage", 0);
    events_send(k, 40);
    a = worker_start(k, "a");
    wait_until(worker_says(a, "not counted") || parks);
    if (parks)
        wait_until(ledger_count(k) == 30); /* all but those of its key */
    else
        wait_until(ledger_count(k) >= 20); /* all of the other partition */
    cr_assert_not(worker_says(a, "breaker.opened"));
    kit_nap(1500); /* more tries than retry.attempts */
    cr_assert_eq(dead_count(k), 0);
    sql_exec(k, "DELETE FROM test.switch");
    wait_until(all_done(k));
    cr_assert_eq(ledger_count(k), 41);
    cr_assert_eq(dead_count(k), 0);
    cr_assert(oracle_exactly_once_in_order(k));
    cluster_down(k);
}

Test(park, one_message_that_fails_for_nobodys_fault_holds_up_its_partition_and_no_other)
{
    transient_alone("block");
}

Test(park, one_message_that_fails_for_nobodys_fault_holds_up_its_key_if_that_can_be_parked)
{
    transient_alone("park");
}

/* ---- operators ---- */

Test(park, an_earlier_offset_takes_what_is_parked_above_it_along)
{
    struct cluster *k = cluster_up(.partitions = 1, .keys = 4, .retry_mode = "park", .backoff_ms = 60000);
    struct worker  *a;
    char           *out = NULL;

    event_queue(k, 0, "retry", 1);
    event_queue(k, 1, "ok", 0);
    event_queue(k, 2, "retry", 1);
    event_queue(k, 0, "ok", 0);
    events_flush(k);
    a = worker_start(k, "a");
    wait_until(oracle_all_accounted(k));
    cr_assert_eq(parked(k), 3);
    cr_assert(worker_stop(a, 15000));
    cr_assert_eq(pawl_run(&out, "offsets", "set", a->topology, "--pipeline", "main", "--topic", k->topic, "--partition", "0",
                          "--to", "2", "--reason", "test", NULL),
                 0, "%s", out);
    cr_assert_eq(parked(k), 1, "what is read again must not be there twice");
    cr_assert_eq(sql_int(k, "SELECT source_offset FROM pawl.parked"), 0);
    cr_assert(strstr(out, "parked"), "%s", out);
    free(out);
    (void)worker_start(k, "a");
    wait_until(oracle_all_accounted(k) && parked(k) == 3);
    cluster_down(k);
}

/* ---- red control ---- */

static long disorder_with(const char *off)
{
    struct cluster *k = cluster_up(.partitions = 1, .keys = 4, .retry_mode = "park", .backoff_ms = 300);
    long            found;

    a_failing_key(k, "retry", 2, 4);
    events_send(k, 20);
    (void)worker_start(k, "a", .guards_off = off);
    wait_until(all_done(k));
    found = oracle_look(k).disordered;
    cluster_down(k);
    return found;
}

Test(park, a_key_keeps_its_order)
{
    cr_assert_eq(disorder_with(NULL), 0);
}

Test(park, without_the_queue_behind_a_parked_message_its_key_is_disordered)
{
    cr_assert_gt(disorder_with("park_queue"), 0);
}
