/* Receipts: after whatever happened each offset has exactly one fate, and who changes the record of it is found. */
#include "expect.h"
#include "oracle.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AUDIT(...) "audit", a->topology, __VA_ARGS__

/* " name=" in the last line. */
static int64_t number_in(const char *text, const char *name)
{
    char        what[64];
    const char *at;

    (void)snprintf(what, sizeof(what), " %s=", name);
    at = strstr(text, what);
    cr_assert(at, "no '%s' in: %s", what, text);
    return strtoll(at + strlen(what), NULL, 10);
}

static char *clean_audit(const struct worker *a)
{
    char *out = NULL;
    int   rc  = pawl_run(&out, "audit", a->topology, "--log", NULL);

    cr_assert_eq(rc, 0, "exit code %d: %s", rc, out);
    cr_assert_eq(number_in(out, "problems"), 0, "%s", out);
    return out;
}

static int64_t count_of(const struct worker *a, const char *name)
{
    char   *out = clean_audit(a);
    int64_t n   = number_in(out, name);

    free(out);
    return n;
}

static void assert_adds_up(struct cluster *k, const struct worker *a)
{
    char *out = clean_audit(a);

    cr_assert_eq(number_in(out, "offsets"), sql_int(k, "SELECT sum(next_offset - start_offset) FROM pawl.offsets"), "%s", out);
    cr_assert_eq(number_in(out, "offsets") + number_in(out, "again"),
                 number_in(out, "applied") + number_in(out, "skipped") + number_in(out, "rejected") +
                     number_in(out, "duplicate") + number_in(out, "parked") + number_in(out, "holes") +
                     number_in(out, "passed") + number_in(out, "unrecorded"),
                 "%s", out);
    cr_assert_eq(number_in(out, "applied"), ledger_count(k), "%s", out);
    cr_assert_eq(number_in(out, "rejected"), dead_count(k), "%s", out);
    free(out);
}

/* ---- what happens by itself ---- */

Test(audit, every_offset_has_one_fate_whatever_became_of_its_message)
{
    struct cluster *k = cluster_up(.partitions = 2, .batch = 40);
    struct worker  *a;

    for (int i = 0; i < 200; i++) /* one of each in most batches, and halves of them */
        event_queue(k, i % 4, i % 50 == 7 ? "reject" : i % 50 == 13 ? "skip" : i % 50 == 23 ? "divide" : "ok", 0);
    events_flush(k);
    a = worker_start(k, "a");
    wait_until(oracle_all_accounted(k));
    assert_adds_up(k, a);
    cr_assert_eq(count_of(a, "rejected"), 8);
    cr_assert_eq(count_of(a, "skipped"), 4);
    cr_assert_eq(count_of(a, "applied"), 188);
    cr_assert_eq(count_of(a, "log_records"), 200);
    expect(0, "\"offsets\":100,", AUDIT("main", "--topic", k->topic, "--partition", "1", "--json"));
    cluster_down(k);
}

Test(audit, kills_around_a_commit_leave_a_whole_chain)
{
    static const char *const points[] = { "after_fence=kill", "before_commit:2=kill", "commit_sent:2=kill",
                                          "after_commit:2=kill", "after_advance:2=kill" };
    struct cluster          *k        = cluster_up(.partitions = 3, .batch = 20);
    struct worker           *a        = NULL;

    for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
        events_send(k, 150);
        cluster_token_make(k);
        a = worker_start(k, "a", .failpoint = points[i], .token = "once");
        wait_until(cluster_token_taken(k));
        wait_until(oracle_all_accounted(k));
        cr_assert(worker_stop(a, 15000));
    }
    cr_assert(oracle_exactly_once_in_order(k));
    assert_adds_up(k, a);
    cluster_down(k);
}

/* The answer to a COMMIT is lost: whatever it was, the next receipt continues the last one that is there. */
static void commit_in_doubt(enum proxy_act act)
{
    struct cluster *k = cluster_up(.partitions = 2, .batch = 20, .proxy = true);
    struct worker  *a = worker_start(k, "a");

    events_send(k, 100);
    wait_until(oracle_all_accounted(k));
    proxy_arm(k->proxy, act);
    events_send(k, 100);
    wait_until(worker_says(a, "batch.in_doubt"));
    wait_until(oracle_all_accounted(k));
    events_send(k, 100);
    wait_until(oracle_all_accounted(k));
    assert_adds_up(k, a);
    cluster_down(k);
}

Test(audit, a_commit_that_was_lost_on_its_way_leaves_no_receipt)
{
    commit_in_doubt(PROXY_CUT_BEFORE_COMMIT);
}

Test(audit, a_commit_whose_answer_was_lost_has_its_receipt)
{
    commit_in_doubt(PROXY_CUT_AFTER_COMMIT);
}

Test(audit, holes_of_transactions_are_holes_and_nothing_else_is)
{
    struct cluster *k = cluster_up(.partitions = 1, .batch = 7);
    struct worker  *a = worker_start(k, "a");

    events_send(k, 30);
    kafka_produce_transaction(k->topic, 0, "x", "1 ok", 5, false); /* 5 aborted, and the marker: offsets 30 to 35 */
    wait_until(next_offset(k, 0) == 36);
    events_send(k, 30);
    wait_until(next_offset(k, 0) == 66);
    cr_assert_eq(count_of(a, "holes"), 6);
    cr_assert_eq(count_of(a, "log_holes"), 6);
    cr_assert_eq(count_of(a, "log_records"), 60);
    cr_assert_eq(count_of(a, "log_gone"), 0);
    kafka_delete_records(k->topic, 0, 20);
    cr_assert_eq(count_of(a, "log_below"), 20);
    assert_adds_up(k, a);
    cluster_down(k);
}

/* Set aside is a fate, and what became of it later a second fact, in a receipt that moves no position. */
Test(audit, parked_messages_are_resolved_by_later_receipts)
{
    struct cluster *k = cluster_up(.partitions = 1, .keys = 3, .retry_mode = "park", .backoff_ms = 300, .retry_attempts = 3);
    struct worker  *a;

    event_queue(k, 0, "retry", 2); /* comes through */
    event_queue(k, 0, "ok", 0);
    event_queue(k, 1, "retry", 99); /* is given up */
    event_queue(k, 1, "ok", 0);
    events_flush(k);
    events_send(k, 20);
    a = worker_start(k, "a");
    wait_until(sql_int(k, "SELECT coalesce(sum(parked), 0) FROM pawl.receipts") > 0);
    wait_until(oracle_all_accounted(k) && sql_int(k, "SELECT count(*) FROM pawl.parked") == 0);
    assert_adds_up(k, a);
    cr_assert_eq(count_of(a, "rejected"), 1);
    cr_assert_eq(count_of(a, "parked"), 0);
    cr_assert_gt(sql_int(k, "SELECT count(*) FROM pawl.receipts WHERE lo = hi AND resolved <> ''"), 0);
    cluster_down(k);
}

/* ---- what people decide ---- */

#define SET(to) \
    "offsets", "set", a->topology, "--pipeline", "main", "--topic", k->topic, "--partition", "0", "--to", (to), "--reason", "x"

Test(audit, decisions_explain_every_jump)
{
    struct cluster *k = cluster_up(.partitions = 1, .batch = 10);
    struct worker  *a = worker_start(k, "a");

    events_send(k, 60);
    wait_until(oracle_all_accounted(k));
    cr_assert(worker_stop(a, 15000));
    expect(0, "applied again", SET("40"));
    expect(0, "problems=0", AUDIT("main"));
    a = worker_start(k, "a");
    wait_until(next_offset(k, 0) == 60);
    cr_assert(worker_stop(a, 15000));
    events_send(k, 40);
    expect(0, "never be applied", SET("70"));
    kafka_delete_records(k->topic, 0, 80);
    expect(0, "offsets 70 to 79 (10) are missing", "offsets", "accept-gap", a->topology, "--pipeline", "main", "--reason", "x");
    a = worker_start(k, "a");
    wait_until(next_offset(k, 0) == 100);
    cr_assert_eq(count_of(a, "again"), 20);
    cr_assert_eq(count_of(a, "passed"), 20);
    assert_adds_up(k, a);
    sql_exec(k, "UPDATE pawl.decisions SET to_offset = 41 WHERE to_offset = 40");
    expect(1, "moves the position from 60 to 40, but pawl.decisions has no row", AUDIT("main"));
    cluster_down(k);
}

Test(audit, times_without_receipts_are_marked)
{
    struct cluster *k = cluster_up(.partitions = 1, .no_receipts = true);
    struct worker  *a = worker_start(k, "a");

    events_send(k, 20);
    wait_until(oracle_all_accounted(k));
    cr_assert(worker_stop(a, 15000));
    cr_assert_eq(sql_int(k, "SELECT count(*) FROM pawl.receipts"), 0);
    cr_assert_eq(count_of(a, "unrecorded"), 20);
    for (int i = 0; i < 3; i++) { /* on, off, on */
        k->o.no_receipts = i == 1;
        events_send(k, 20);
        a = worker_start(k, "a");
        wait_until(next_offset(k, 0) == 40 + 20 * i);
        cr_assert(worker_stop(a, 15000));
        cr_assert_eq(count_of(a, "unrecorded"), i == 0 ? 20 : 40);
        cr_assert_eq(count_of(a, "applied"), i == 2 ? 40 : 20);
    }
    cr_assert_eq(sql_int(k, "SELECT count(*) FROM pawl.receipts WHERE kind = 'unrecorded'"), 2);
    cluster_down(k);
}

/* ---- what nobody may do ---- */

/* Docs say how anybody can make the hash of a row; this is that text. */
static const char hash_sql[] =
    "CREATE FUNCTION test.receipt_hash(r pawl.receipts) RETURNS bytea LANGUAGE sql AS $$ SELECT sha256(convert_to(concat_ws(E'\\n',"
    " 'pawl receipt 1', r.group_name, r.topic, r.\"partition\", r.n, r.kind, r.stands_for, r.lo, r.hi, r.epoch, r.applied, r.skipped,"
    " r.rejected, r.duplicate, r.parked, r.holes, r.passed, r.fates, r.resolved, r.outbox_from, r.outbox_to, r.decision,"
    " (extract(epoch FROM r.at) * 1000000)::bigint, encode(r.prev_hash, 'hex')) || E'\\n', 'UTF8')) $$";

/* 60 offsets in one partition, in receipts of at most ten; offset 25 is a dead letter. No worker runs any more. */
static struct cluster *a_chain(struct worker **ret_a)
{
    struct cluster *k = cluster_up(.partitions = 1, .batch = 10, .keys = 1);

    events_send(k, 25);
    (void)event_send(k, 0, "reject", 0);
    events_send(k, 34);
    *ret_a = worker_start(k, "a");
    wait_until(oracle_all_accounted(k));
    cr_assert(worker_stop(*ret_a, 15000));
    sql_exec(k, "%s", hash_sql);
    sql_exec(
        k,
        "CREATE TABLE test.r AS TABLE pawl.receipts; CREATE TABLE test.b AS TABLE pawl.outbox; CREATE TABLE test.o AS TABLE pawl.offsets");
    cr_assert_geq(sql_int(k, "SELECT count(*) FROM pawl.receipts"), 6);
    return k;
}

static void restore(struct cluster *k)
{
    sql_exec(
        k,
        "DELETE FROM pawl.receipts; INSERT INTO pawl.receipts SELECT * FROM test.r; DELETE FROM pawl.outbox;"
        " INSERT INTO pawl.outbox SELECT * FROM test.b; DELETE FROM pawl.offsets; INSERT INTO pawl.offsets SELECT * FROM test.o;"
        " DELETE FROM pawl.decisions");
}

Test(audit, the_documented_hash_is_the_one_that_is_written)
{
    struct worker  *a;
    struct cluster *k = a_chain(&a);

    cr_assert_eq(sql_int(k, "SELECT count(*) FROM pawl.receipts AS r WHERE hash <> test.receipt_hash(r)"), 0);
    cr_assert_eq(sql_int(k,
                         "SELECT count(*) FROM (SELECT prev_hash, coalesce(lag(hash) OVER (ORDER BY n), '\\x%064d') AS before"
                         " FROM pawl.receipts) x WHERE prev_hash <> before",
                         0),
                 0);
    cluster_down(k);
}

Test(audit, who_changes_a_row_is_found_and_where)
{
    static const struct {
        const char *sql, *says, *where;
    } harm[] = {
        { "UPDATE pawl.receipts SET applied = applied - 1, skipped = skipped + 1 WHERE n = 2", "receipt 2 was changed", "@" },
        { "UPDATE pawl.receipts SET fates = replace(fates, '1R', '1S'), rejected = 0, skipped = 1 WHERE rejected > 0",
          "there is a dead letter, seq 1, but receipt", "[0]@25:" },
        { "UPDATE pawl.receipts SET fates = fates || ' 5S' WHERE n = 3", "its range is", "problem" },
        { "UPDATE pawl.receipts SET fates = '01A' WHERE n = 3", "its fates cannot be read", "problem" },
        { "UPDATE pawl.receipts SET at = at + interval '1 microsecond' WHERE n = 4", "receipt 4 was changed", "@" },
        { "UPDATE pawl.receipts SET at = at + interval '1 second' WHERE n = 4; UPDATE pawl.receipts AS r SET hash = test.receipt_hash(r)"
          " WHERE n = 4",
          "receipt 5 does not continue receipt 4", "@" },
        { "DELETE FROM pawl.receipts WHERE n = 3", "receipt 3 is missing", "@" },
        { "DELETE FROM pawl.receipts WHERE n IN (3, 4)", "receipts 3 to 4 are missing", "@" },
        { "DELETE FROM pawl.receipts WHERE n = 1", "receipt 1 is missing", "@" },
        { "DELETE FROM pawl.receipts WHERE n = (SELECT max(n) FROM pawl.receipts)", "is missing", "@" },
        { "DELETE FROM pawl.receipts", "receipts 1 to ", "@0:" },
        { "INSERT INTO pawl.receipts SELECT group_name, topic, partition, n + 1, kind, stands_for, hi, hi, epoch, 0, 0, 0, 0, 0, 0, 0, '', '',"
          " outbox_to, outbox_to, 0, at, hash, hash, NULL FROM pawl.receipts ORDER BY n DESC LIMIT 1; UPDATE pawl.receipts AS r SET hash ="
          " test.receipt_hash(r) WHERE n = (SELECT max(n) FROM pawl.receipts)",
          "but the partition has written", "@60:" },
        { "UPDATE pawl.offsets SET next_offset = 50", "next_offset is 50: it was changed without a decision", "@60:" },
        { "UPDATE pawl.offsets SET next_offset = 65", "next_offset is 65: it was changed without a decision", "@60:" },
        { "UPDATE pawl.offsets SET outbox_seq = 3", "outbox rows 2 to 3 are in no receipt", "@60:" },
        { "DELETE FROM pawl.outbox", "its dead letter is gone", "[0]@25:" },
        { "INSERT INTO pawl.outbox (group_name, topic, partition, seq, kind, source_offset, target) SELECT group_name, topic, partition, 2, 2, 7,"
          " target FROM pawl.outbox",
          "the dead letter with seq 2 is in no receipt", "[0]@7:" },
        { "UPDATE pawl.offsets SET unrecorded_from = 30", "the receipts end at 60", "@60:" },
    };
    struct worker  *a;
    struct cluster *k = a_chain(&a);

    for (size_t i = 0; i < sizeof(harm) / sizeof(harm[0]); i++) {
        char *out = NULL;
        int   rc;

        expect(0, "applied=59 skipped=0 rejected=1", AUDIT("main"));
        sql_exec(k, "%s", harm[i].sql);
        rc = pawl_run(&out, "audit", a->topology, NULL);
        cr_expect_eq(rc, 1, "%s: exit code %d: %s", harm[i].sql, rc, out);
        cr_expect(strstr(out, harm[i].says) && strstr(out, harm[i].where), "%s: no '%s' '%s' in: %s", harm[i].sql, harm[i].says,
                  harm[i].where, out);
        free(out);
        restore(k);
    }
    cluster_down(k);
}

Test(audit, a_dead_letter_that_a_decision_deleted_is_explained)
{
    struct worker  *a;
    struct cluster *k = a_chain(&a);

    sql_exec(
        k,
        "WITH d AS (DELETE FROM pawl.outbox RETURNING *) INSERT INTO pawl.decisions (\"by\", action, group_name, topic, \"partition\","
        " from_offset, to_offset, reason) SELECT 'test', 'dlq.delete', group_name, topic, \"partition\", min(source_offset),"
        " max(source_offset), 'older than 90 days' FROM d GROUP BY 3, 4, 5");
    expect(0, "letters_deleted=1", AUDIT("main"));
    cluster_down(k);
}

/* Who writes the whole chain anew, and has the right to, is found by nothing in the database: that is what tips are for. */
Test(audit, only_a_kept_tip_finds_a_chain_that_was_written_anew)
{
    struct worker  *a;
    struct cluster *k   = a_chain(&a);
    char           *tip = NULL, path[300];

    cr_assert_eq(pawl_run(&tip, "audit", a->topology, "--tip", NULL), 0);
    cr_assert(strstr(tip, k->topic));
    (void)snprintf(path, sizeof(path), "%s/tip", k->dir);
    kit_write_file(path, tip);
    expect(0, "problems=0", AUDIT("main", "--since-tip", path));
    sql_exec(k, "UPDATE pawl.receipts SET at = at - interval '1 hour' WHERE n = (SELECT max(n) FROM pawl.receipts);"
                " UPDATE pawl.receipts AS r SET hash = test.receipt_hash(r)");
    expect(0, "problems=0", AUDIT("main"));
    expect(1, "is not the one that was kept", AUDIT("main", "--since-tip", path));
    sql_exec(k, "DELETE FROM pawl.receipts WHERE n = (SELECT max(n) FROM pawl.receipts);"
                " UPDATE pawl.offsets SET receipt_n = receipt_n - 1, next_offset = (SELECT max(hi) FROM pawl.receipts)");
    expect(0, "problems=0", AUDIT("main"));
    expect(1, "was kept, but the chain ends at", AUDIT("main", "--since-tip", path));
    kit_write_file(path, "not a tip\n");
    expect(64, "tip:1: not a line of", AUDIT("main", "--since-tip", path));
    free(tip);
    cluster_down(k);
}

Test(audit, the_log_finds_a_record_that_was_called_a_hole)
{
    struct worker  *a;
    struct cluster *k = a_chain(&a);

    sql_exec(k, "UPDATE pawl.receipts SET fates = (applied - 1) || 'A 1H', applied = applied - 1, holes = 1 WHERE n ="
                " (SELECT max(n) FROM pawl.receipts); UPDATE pawl.receipts AS r SET hash = test.receipt_hash(r)");
    expect(0, "problems=0", AUDIT("main"));
    expect(1, "@59: its receipt says that there is no record, but the log has one", AUDIT("main", "--log"));
    cluster_down(k);
}

Test(audit, a_position_that_was_changed_by_hand_stays_in_the_record)
{
    struct worker  *a;
    struct cluster *k = a_chain(&a);

    sql_exec(k, "UPDATE pawl.offsets SET next_offset = 50, bookmark_offset = NULL, bookmark_hash = NULL");
    a = worker_start(k, "a");
    wait_until(next_offset(k, 0) == 60);
    events_send(k, 10);
    wait_until(next_offset(k, 0) == 70);
    expect(1, "is a break: the position was at 50 when the receipts ended at 60", AUDIT("main"));
    expect(1, "again=10", AUDIT("main"));
    cluster_down(k);
}

/* Somebody adds a receipt under a running worker: its next batch does not fork the chain, and nothing is rejected for it. */
Test(audit, a_foreign_receipt_costs_a_claim_and_no_message)
{
    struct cluster *k = cluster_up(.partitions = 1);
    struct worker  *a = worker_start(k, "a");

    events_send(k, 20);
    wait_until(oracle_all_accounted(k));
    sql_exec(
        k,
        "INSERT INTO pawl.receipts SELECT group_name, topic, partition, n + 1, kind, stands_for, hi, hi, epoch, 0, 0, 0, 0, 0, 0, 0, '',"
        " '', outbox_to, outbox_to, 0, at, hash, hash, NULL FROM pawl.receipts ORDER BY n DESC LIMIT 1");
    events_send(k, 20);
    wait_until(oracle_all_accounted(k));
    cr_assert(worker_says(a, "partition.fenced"));
    cr_assert_eq(dead_count(k), 0);
    cr_assert(oracle_exactly_once_in_order(k));
    expect(1, "is a break", AUDIT("main"));
    cluster_down(k);
}

/* ---- old receipts ---- */

Test(audit, folded_receipts_say_the_same_and_carry_the_chain_on)
{
    struct worker  *a;
    struct cluster *k    = a_chain(&a);
    int64_t         last = sql_int(k, "SELECT max(n) FROM pawl.receipts");

    expect(64, "--compact and --before go together", AUDIT("main", "--compact"));
    expect(64, "it must be a time", AUDIT("main", "--compact", "--before", "soon"));
    expect(0, "would fold", AUDIT("main", "--compact", "--before", "2999-01-01", "--dry-run"));
    cr_assert_eq(sql_int(k, "SELECT count(*) FROM pawl.receipts"), last);
    sql_exec(k, "UPDATE pawl.receipts SET applied = 3 WHERE n = 2");
    expect(1, "receipt 2 was changed", AUDIT("main", "--compact", "--before", "2999-01-01"));
    cr_assert_eq(sql_int(k, "SELECT count(*) FROM pawl.receipts"), last, "what has a problem is not folded");
    restore(k);
    expect(0, "into=1", AUDIT("main", "--compact", "--before", "2999-01-01"));
    cr_assert_eq(sql_int(k, "SELECT count(*) FROM pawl.receipts"), 2, "the last one stays as it is");
    cr_assert_eq(
        sql_int(k, "SELECT count(*) FROM pawl.receipts WHERE fates LIKE '25A 1R %%' AND stands_for = %ld", (long)last - 1), 1);
    expect(0, "applied=59 skipped=0 rejected=1", AUDIT("main", "--log"));
    a = worker_start(k, "a");
    events_send(k, 30);
    wait_until(next_offset(k, 0) == 90);
    expect(0, "applied=89 skipped=0 rejected=1", AUDIT("main"));
    expect(0, "into=1", AUDIT("main", "--compact", "--before", "2999-01-01")); /* beside the worker */
    events_send(k, 30);
    wait_until(next_offset(k, 0) == 120);
    assert_adds_up(k, a);
    sql_exec(k, "UPDATE pawl.receipts SET fates = replace(fates, '25A 1R', '24A 1R 1A') WHERE stands_for > 1");
    expect(1, "was changed: its seal is not that of its fields", AUDIT("main"));
    cluster_down(k);
}
