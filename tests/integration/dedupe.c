/* Producers that send an event twice. */
#include "oracle.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define BY_HEADER "header: ce_id, window: 1m"

static void assert_once(struct cluster *k, long applied, long copies)
{
    struct oracle o = oracle_look(k);

    cr_assert(oracle_exactly_once_in_order(k));
    cr_assert_eq(o.applied, applied, "%ld were applied", o.applied);
    cr_assert_eq(o.deduplicated, copies, "%ld copies were passed over", o.deduplicated);
}

static int64_t status_number(const struct worker *w, const char *name)
{
    char   *json = worker_status(w);
    int64_t n    = -1;

    for (const char *at = json; (at = strstr(at, name)); at++) /* the last is the sum over the workers */
        n = strtoll(at + strlen(name) + 2, NULL, 10);
    free(json);
    return n;
}

/* Every event, and sooner or later once more. */
static void send_twice(struct cluster *k, int rounds)
{
    for (int i = 0; i < rounds; i++)
        for (int key = 0; key < k->o.keys; key++) {
            event_queue(k, key, "ok", 0);
            event_copy(k, key, -1);
        }
    events_flush(k);
}

Test(dedupe, an_event_that_is_sent_twice_is_applied_once)
{
    struct cluster *k = cluster_up(.partitions = 4, .keys = 16, .batch = 200, .dedupe = BY_HEADER);
    struct worker  *a = worker_start(k, "a", .slots = 2);

    send_twice(k, 100);
    wait_until(oracle_all_accounted(k));
    assert_once(k, 1600, 1600);
    wait_until(status_number(a, "events_duplicate") == 1600);
    cr_assert_eq(status_number(a, "events_ok"), 1600);
    cr_assert_eq(status_number(a, "events_without_id"), 0);
    cr_assert_eq(pawl_run(NULL, "audit", a->topology, NULL), 0, "every offset has one fate, a copy its own");
    cluster_down(k);
}

Test(dedupe, copies_are_recognised_after_a_restart_too)
{
    struct cluster *k = cluster_up(.keys = 6, .dedupe = BY_HEADER);
    struct worker  *a = worker_start(k, "a");

    send_twice(k, 1);
    wait_until(oracle_all_accounted(k));
    cr_assert(worker_stop(a, 15000));
    for (int key = 0; key < 6; key++)
        event_copy(k, key, -1);
    events_flush(k);
    (void)worker_start(k, "a");
    wait_until(oracle_all_accounted(k));
    assert_once(k, 6, 12);
    cluster_down(k);
}

/* One batch holds them all, with waves: each event reads what the one before wrote, and its copy stands far behind it. */
Test(dedupe, copies_in_one_batch_with_waves_are_passed_over)
{
    struct cluster *k = cluster_up(.partitions = 1, .keys = 3, .batch = 1000, .dedupe = BY_HEADER);

    for (int i = 0; i < 20; i++)
        for (int key = 0; key < 3; key++)
            event_queue_id(k, 0, key, "ok", 0, (const char *[]){ "x", "y", "z" }[(i + key) % 3]);
    send_twice(k, 20);
    (void)worker_start(k, "a");
    wait_until(oracle_all_accounted(k));
    cr_assert_eq(ledger_count(k), 3 + 60);
    cr_assert_eq(sql_int(k, "SELECT count(*) FROM test.ledger WHERE body LIKE '1 %%'"), 3, "the first of each id");
    cluster_down(k);
}

Test(dedupe, without_dedupe_every_copy_is_applied)
{
    struct cluster *k = cluster_up(.keys = 6);

    send_twice(k, 5);
    (void)worker_start(k, "a");
    wait_until(oracle_all_accounted(k));
    cr_assert_eq(ledger_count(k), 60);
    cr_assert_eq(sql_int(k, "SELECT count(*) FROM pawl.event_id_slots"), 0);
    cluster_down(k);
}

/* ---- two partitions, two workers ---- */

Test(dedupe, copies_in_other_partitions_are_applied_once)
{
    struct cluster *k = cluster_up(.partitions = 4, .keys = 4, .batch = 20, .dedupe = BY_HEADER);
    struct oracle   o;

    (void)worker_start(k, "a", .slots = 4);
    for (int i = 0; i < 100; i++)
        for (int key = 0; key < 4; key++) {
            event_queue(k, key, "ok", 0);
            event_copy(k, key, (key + 1) % 4);
            event_copy(k, key, (key + 2) % 4);
        }
    events_flush(k);
    wait_until(oracle_all_accounted(k));
    o = oracle_look(k);
    cr_assert_eq(o.applied, 400);
    cr_assert_eq(o.deduplicated, 800);
    cr_assert_eq(o.lost + o.duplicated + o.foreign, 0);
    cluster_down(k);
}

/* One worker has the id in a transaction that stays open for a while when the other meets it. */
static struct oracle two_at_once(struct cluster *k)
{
    struct oracle o;

    (void)worker_start(k, "a", .slots = 2);
    wait_until(sql_int(k, "SELECT count(*) FROM pawl.offsets WHERE owner_epoch > 0") == 2);
    events_send(k, 4);
    wait_until(oracle_all_accounted(k)); /* both workers run */
    event_queue(k, 0, "slow", 1200);
    event_copy(k, 0, 1);
    events_flush(k);
    wait_until(oracle_all_accounted(k));
    o = oracle_look(k);
    cluster_down(k);
    return o;
}

Test(dedupe, two_workers_that_meet_one_id_at_once_apply_it_once)
{
    struct oracle o = two_at_once(cluster_up(.partitions = 2, .keys = 2, .dedupe = BY_HEADER));

    cr_assert_eq(o.applied, 5);
    cr_assert_eq(o.deduplicated, 1);
    cr_assert_eq(o.lost + o.duplicated, 0);
}

/* The wrong rule: look, then insert. */
Test(dedupe, without_the_unique_index_both_apply_it)
{
    struct cluster *k = cluster_up(.partitions = 2, .keys = 2, .dedupe = BY_HEADER);
    struct oracle   o;

    sql_exec(
        k,
        "ALTER TABLE pawl.event_ids DROP CONSTRAINT event_ids_pkey; DO $$ BEGIN EXECUTE replace(pg_get_functiondef("
        "'pawl.event_ids_take(text, uuid[], bigint[], bigint[], bigint[])'::regprocedure), ' ON CONFLICT (id) DO NOTHING', '');"
        " END $$");
    o = two_at_once(k);
    cr_assert_gt(o.duplicated, 0);
}

/* ---- which messages keep their id ---- */

/* SEQ of the events of key 0 that were applied. */
static char *applied(struct cluster *k)
{
    return sql_text(k, "SELECT string_agg(seq::text, ' ' ORDER BY n) FROM test.ledger");
}

static void assert_applied(struct cluster *k, const char *want)
{
    char *have;

    events_flush(k);
    wait_until(oracle_all_accounted(k));
    have = applied(k);
    cr_assert_str_eq(have ? have : "", want);
    free(have);
}

/* Nothing waits any more, and so many were applied. */
static void assert_applied_in_all(struct cluster *k, int64_t n)
{
    events_flush(k);
    wait_until(oracle_all_accounted(k) && sql_int(k, "SELECT count(*) FROM pawl.parked") == 0);
    cr_assert_eq(ledger_count(k), n);
}

static void queue(struct cluster *k, const char *command, int64_t arg, const char *id)
{
    event_queue_id(k, 0, 0, command, arg, id);
}

static struct cluster *one_key(void)
{
    return cluster_up(.partitions = 1, .keys = 1, .batch = 100, .dedupe = BY_HEADER);
}

/* 1 and 2 have no effect, 3 has, 4 is its copy. */
static void refused_then_good(struct cluster *k)
{
    queue(k, "reject", 0, "a");
    queue(k, "divide", 0, "a");
    queue(k, "ok", 0, "a");
    queue(k, "ok", 0, "a");
}

Test(dedupe, the_id_of_a_rejected_message_is_free_again)
{
    struct cluster *k = one_key();

    refused_then_good(k);
    events_flush(k);
    (void)worker_start(k, "a");
    assert_applied(k, "3");
    cr_assert_eq(dead_count(k), 2);
    queue(k, "reject", 0, "b"); /* and over several batches */
    assert_applied(k, "3");
    queue(k, "ok", 0, "b");
    assert_applied(k, "3 6");
    queue(k, "ok", 0, "a");
    queue(k, "ok", 0, "b");
    assert_applied(k, "3 6");
    cr_assert_eq(dead_count(k), 3);
    cluster_down(k);
}

Test(dedupe, if_a_rejected_message_kept_its_id_the_good_one_would_be_lost)
{
    struct cluster *k = one_key();

    (void)worker_start(k, "a", .guards_off = "free_id");
    queue(k, "reject", 0, "a");
    assert_applied(k, "");
    queue(k, "ok", 0, "a");
    assert_applied(k, "");
    cluster_down(k);
}

/* The id is stored with the record that had the effect, not with the first that had it. */
Test(dedupe, when_the_first_of_a_batch_is_rejected_the_second_keeps_the_id)
{
    struct cluster *k = one_key();

    queue(k, "reject", 0, "a");
    queue(k, "ok", 0, "a");
    queue(k, "ok", 0, "a");
    events_flush(k);
    (void)worker_start(k, "a");
    assert_applied(k, "2");
    cr_assert_eq(sql_int(k, "SELECT source_offset FROM pawl.event_ids_1"), 1);
    cluster_down(k);
}

Test(dedupe, a_skipped_message_keeps_its_id_and_one_that_is_tried_again_has_it_when_it_is_done)
{
    struct cluster *k = one_key();

    (void)worker_start(k, "a");
    queue(k, "skip", 0, "a");
    queue(k, "ok", 0, "a");
    queue(k, "retry", 2, "b");
    queue(k, "ok", 0, "b");
    assert_applied(k, "3");
    cluster_down(k);
}

Test(dedupe, a_batch_that_is_halved_recognises_copies_in_its_parts)
{
    struct cluster *k = one_key();

    for (int i = 0; i < 10; i++) {
        char id[8];

        (void)snprintf(id, sizeof(id), "%d", i);
        queue(k, "ok", 0, id);
        queue(k, i % 3 ? "ok" : "divide", 0, i % 3 ? id : NULL); /* every third of these breaks its batch */
    }
    events_flush(k);
    (void)worker_start(k, "a");
    assert_applied(k, "1 3 5 7 9 11 13 15 17 19");
    cr_assert_eq(dead_count(k), 4);
    cluster_down(k);
}

/* It has its id when it is done, not while it waits; and its copy waits behind it. */
Test(dedupe, a_parked_message_and_its_copy_behind_it_are_applied_once)
{
    struct cluster *k = cluster_up(.partitions = 1, .keys = 2, .retry_mode = "park", .dedupe = BY_HEADER);
    struct worker  *a = worker_start(k, "a");
    char           *out;

    queue(k, "retry", 2, "a");
    queue(k, "ok", 0, "a");
    event_queue_id(k, 0, 1, "ok", 0, "b"); /* another key: it does not wait */
    queue(k, "ok", 0, "b");
    assert_applied_in_all(k, 2);
    cr_assert_eq(sql_int(k, "SELECT count(*) FROM test.ledger WHERE key = 'k00' AND body LIKE '1 retry%%'"), 1);
    cr_assert_eq(sql_int(k, "SELECT count(*) FROM test.ledger WHERE key = 'k01'"), 1);
    wait_until(status_number(a, "events_duplicate") == 2);
    cr_assert_eq(pawl_run(&out, "audit", a->topology, NULL), 0, "%s", out);
    free(out);
    cluster_down(k);
}

/* ---- what an id is ---- */

Test(dedupe, ids_of_1024_bytes_are_recognised_and_longer_or_missing_ones_are_counted)
{
    struct cluster *k = one_key();
    struct worker  *a = worker_start(k, "a");
    char            id[1026];

    memset(id, 'x', sizeof(id));
    id[1025] = 0;
    queue(k, "ok", 0, id);
    queue(k, "ok", 0, id);
    id[1024] = 0;
    queue(k, "ok", 0, id);
    queue(k, "ok", 0, id);
    queue(k, "ok", 0, NULL);
    queue(k, "ok", 0, "");
    assert_applied(k, "1 2 3 5 6");
    wait_until(status_number(a, "events_duplicate") == 1);
    cr_assert_eq(status_number(a, "events_without_id"), 4);
    cluster_down(k);
}

Test(dedupe, the_key_can_be_the_id)
{
    struct cluster *k = cluster_up(.keys = 6, .dedupe = "key: true, window: 90d");

    send_twice(k, 1);
    (void)worker_start(k, "a");
    wait_until(oracle_all_accounted(k));
    assert_once(k, 6, 6);
    events_send(k, 6); /* another event, but the same key */
    wait_until(oracle_all_accounted(k));
    cr_assert_eq(ledger_count(k), 6);
    cluster_down(k);
}

/* ---- time, and operators ---- */

/* As if so much time had gone by, for all that was stored. */
static void half_a_minute_goes_by(struct cluster *k)
{
    int64_t slots = sql_int(k, "SELECT max(slot) FROM pawl.event_id_slots");

    sql_exec(k,
             "UPDATE pawl.event_id_slots SET opened_at = opened_at - interval '30 s', closed_at = closed_at - interval '30 s'");
    wait_until(sql_int(k, "SELECT max(slot) FROM pawl.event_id_slots") > slots);
}

Test(dedupe, an_id_is_free_again_after_its_window)
{
    struct cluster *k = one_key();
    struct worker  *a = worker_start(k, "a");

    queue(k, "ok", 0, "a");
    assert_applied(k, "1");
    half_a_minute_goes_by(k);
    half_a_minute_goes_by(k);
    queue(k, "ok", 0, "a");
    assert_applied(k, "1");
    half_a_minute_goes_by(k);
    wait_until(sql_int(k, "SELECT count(*) FROM pg_class WHERE relname = 'event_ids_1'") == 0);
    queue(k, "ok", 0, "a");
    assert_applied(k, "1 3");
    cr_assert_not(worker_says(a, "batch.failed"));
    cluster_down(k);
}

Test(dedupe, a_group_that_is_made_to_forget_goes_on_without_a_restart)
{
    struct cluster *k = one_key();
    struct worker  *a = worker_start(k, "a");
    pid_t           pid;

    queue(k, "ok", 0, "a");
    assert_applied(k, "1");
    pid = worker_pid(a, 0);
    sql_exec(k, "SELECT pawl.event_ids_forget('%s')", k->group);
    queue(k, "ok", 0, "a");
    assert_applied(k, "1 2");
    cr_assert_eq(worker_pid(a, 0), pid);
    cluster_down(k);
}

Test(dedupe, a_record_that_is_applied_again_by_an_operator_is_no_copy_of_itself)
{
    struct cluster *k = one_key();
    struct worker  *a = worker_start(k, "a");

    queue(k, "ok", 0, "a");
    queue(k, "ok", 0, "b");
    queue(k, "ok", 0, "a");
    assert_applied(k, "1 2");
    cr_assert_eq(pawl_run(NULL, "pause", a->topology, "main", "--reason", "test", NULL), 0);
    cr_assert_eq(pawl_run(NULL, "offsets", "set", a->topology, "--pipeline", "main", "--topic", k->topic, "--partition", "0",
                          "--to", "0", "--reason", "test", NULL),
                 0);
    wait_until(worker_says(a, "partition.decided"));
    cr_assert_eq(pawl_run(NULL, "resume", a->topology, "main", NULL), 0);
    wait_until(ledger_count(k) >= 4);
    assert_applied(k, "1 2 1 2");
    cluster_down(k);
}
