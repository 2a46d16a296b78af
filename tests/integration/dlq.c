/* Dead letters: looked at, sent again, given up. */
#include "expect.h"
#include "oracle.h"
#include "redriven.h"
#include "run.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIST(...)    "dlq", "list", a->topology, "main", __VA_ARGS__
#define REDRIVE(...) "dlq", "redrive", a->topology, "main", __VA_ARGS__
#define DROP(...)    "dlq", "drop", a->topology, "main", __VA_ARGS__

static bool counts(struct cluster *k, int open, int redriven, int dropped)
{
    return sql_int(k, "SELECT count(*) FROM pawl.dead_letters WHERE state = 'open'") == open &&
           sql_int(k, "SELECT count(*) FROM pawl.dead_letters WHERE state = 'redriven'") == redriven &&
           sql_int(k, "SELECT count(*) FROM pawl.dead_letters WHERE state = 'dropped'") == dropped;
}

static size_t records(const char *topic, int partitions)
{
    size_t n;

    free(kafka_read_all(topic, partitions, &n));
    return n;
}

Test(dlq, a_mended_message_is_sent_again_once_and_applied)
{
    struct cluster *k = cluster_up(.partitions = 2, .dlq = "there");
    struct worker  *a = worker_start(k, "a");
    char            place[128];

    events_send(k, 20);
    for (int key = 0; key < 3; key++)
        (void)event_send(k, key, "mend", 1);
    wait_until(dead_count(k) == 3 && oracle_all_published(k)); /* it is idle now */
    expect(0, "3  open", LIST("--code", "test.*"));
    (void)snprintf(place, sizeof(place), "%s[1]@10 ", k->topic);
    expect(0, place, LIST("--topic", k->topic));
    expect(0, "\"code\":\"test.broken\",\"plugin\":\"org.pawl.test.ledger/1.0.0\",\"count\":3", LIST("--json"));
    expect(0, "no open dead letter that the filter finds", LIST("--code", "sql.*"));

    expect(0, "dry run: 3 of 3 dead letters would be sent again", REDRIVE("--dry-run"));
    cr_assert(counts(k, 3, 0, 0));
    expect(0, "3 of 3 dead letters are on their way", REDRIVE("--wait", "30", "--reason", "mended in 1.0.1"));
    cr_assert(counts(k, 0, 3, 0));
    wait_until(ledger_count(k) == 23);
    expect(0, "nothing to send again", REDRIVE("--wait", "30"));
    expect(0, "3  redriven", LIST("--state", "all"));
    cr_assert_eq(sql_int(k, "SELECT count(*) FROM pawl.decisions WHERE action = 'dlq.redrive' AND \"by\" LIKE '%%_@_%%'"
                            " AND reason LIKE '%% dead letter%%: mended in 1.0.1' AND from_offset <= to_offset"),
                 2, "one for each partition");
    cr_assert(redriven_once_in_order(k));
    cr_assert(worker_stop(a, 15000));
    cr_assert_eq(sql_int(k, "SELECT count(*) FROM pawl.outbox WHERE kind <> 2"), 0, "what is published is deleted");
    expect(0, "problems=0", "audit", a->topology, "main"); /* the receipts explain the rows of the redrive */
    cluster_down(k);
}

Test(dlq, an_earlier_letter_of_the_same_key_comes_first)
{
    struct cluster *k = cluster_up(.partitions = 1, .keys = 2);
    struct worker  *a = worker_start(k, "a");
    char            says[128];
    int64_t         first = event_send(k, 0, "reject", 0);

    (void)event_send(k, 0, "mend", 1);
    (void)event_send(k, 1, "mend", 1);
    (void)event_send(k, 0, "mend", 1);
    wait_until(dead_count(k) == 4);
    (void)snprintf(says, sizeof(says), "its key 'k00' has an open dead letter before it, at offset %lld, which is not chosen",
                   (long long)first);
    expect(1, says, REDRIVE("--code", "test.broken", "--dry-run"));
    expect(1, "1 of 1 dead letters are on their way", REDRIVE("--code", "test.broken"));
    cr_assert_eq(sql_int(k, "SELECT count(*) FROM pawl.dead_letters WHERE key = 'k01' AND state = 'redriven'"), 1);
    cr_assert(counts(k, 3, 1, 0));

    expect(0, "1 of 1 dead letters are on their way", REDRIVE("--limit", "1")); /* the first of the log */
    cr_assert_eq(sql_int(k, "SELECT count(*) FROM pawl.dead_letters WHERE source_offset = 0 AND state = 'redriven'"), 1);
    expect(0, "1 of 1 dead letters are on their way", REDRIVE("--code", "test.broken", "--limit", "1"));
    expect(0, "1 of 1 dead letters are on their way", REDRIVE("--offset", "3"));
    cluster_down(k);
}

Test(dlq, out_of_order_sends_a_letter_before_an_earlier_one_of_its_key)
{
    struct cluster *k = cluster_up(.partitions = 1, .keys = 1, .dlq = "there");
    struct worker  *a = worker_start(k, "a");

    (void)event_send(k, 0, "reject", 0);
    (void)event_send(k, 0, "mend", 1);
    wait_until(dead_count(k) == 2);
    expect(1, "nothing to send again", REDRIVE("--code", "test.broken"));
    expect(0, "1 of 1", REDRIVE("--code", "test.broken", "--out-of-order"));
    wait_until(ledger_count(k) == 1);
    cr_assert(counts(k, 1, 1, 0));
    cluster_down(k);
}

Test(dlq, a_message_that_fails_again_says_how_often_it_came_back)
{
    struct cluster      *k = cluster_up(.partitions = 1, .keys = 1, .dlq = "there");
    struct worker       *a = worker_start(k, "a");
    size_t               n;
    struct kafka_record *dlq;
    char                 offset[24], from[128];

    (void)event_send(k, 0, "mend", 2);
    wait_until(dead_count(k) == 1);
    expect(0, "1 of 1", REDRIVE("--reason", "the first try"));
    wait_until(dead_count(k) == 2);
    expect(0, "\"redriven\":1,", LIST("--json"));
    (void)snprintf(offset, sizeof(offset), "%lld",
                   (long long)sql_int(k, "SELECT source_offset FROM pawl.dead_letters WHERE state = 'open'"));
    (void)snprintf(from, sizeof(from), "sent again from %s[0]@0", k->topic);
#define SHOW(...) "dlq", "show", a->topology, "main", "--partition", "0", "--offset", __VA_ARGS__
    expect(0, from, SHOW(offset));
    expect(0, ": the first try", SHOW(offset));
    expect(0, "sent again before: 1 times", SHOW(offset));
    expect(0, "1 mend 2", SHOW(offset));
    expect(0, "state: redriven", SHOW("0"));
    expect(1, "has no dead letter of partition 0, offset 7", SHOW("7"));
    expect(0, "1 of 1", REDRIVE("--wait", "30"));
    wait_until(ledger_count(k) == 1);
    cr_assert(redriven_once_in_order(k));
    wait_until(records(k->dlq, 1) == 2);
    dlq = kafka_read_all(k->dlq, 1, &n);
    cr_assert(record_header_is(&dlq[1], "pawl-redriven", "1"), "%s", dlq[1].headers);
    free(dlq);
    cluster_down(k);
}

Test(dlq, show_writes_the_value_byte_by_byte_to_a_file_of_its_owner)
{
    struct cluster *k = cluster_up(.partitions = 1);
    struct worker  *a = worker_start(k, "a");
    char            file[300];
    unsigned char   value[300];
    char           *back;
    size_t          n;
    struct stat     st;

    for (size_t i = 0; i < sizeof(value); i++)
        value[i] = (unsigned char)(i * 7);
    kafka_produce(k->producer, k->topic, 0, "bytes", value, sizeof(value));
    kafka_flush(k->producer, 10000);
    wait_until(dead_count(k) == 1);
    (void)snprintf(file, sizeof(file), "%s/raw", k->dir);
    expect(0, "00000000  00 07 0e 15", SHOW("0"));
    expect(0, "300 bytes of value are in", SHOW("0", "--raw", file));
    back = kit_read_file(file, &n);
    cr_assert(back && n == sizeof(value) && memcmp(back, value, n) == 0);
    cr_assert_eq(stat(file, &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0600);
    expect(1, "File exists", SHOW("0", "--raw", file));
    free(back);
    cluster_down(k);
}

Test(dlq, a_letter_that_is_dropped_keeps_its_record_and_holds_nobody_up)
{
    struct cluster *k = cluster_up(.partitions = 1, .keys = 1, .dlq = "there");
    struct worker  *a = worker_start(k, "a");

    (void)event_send(k, 0, "reject", 0);
    (void)event_send(k, 0, "mend", 1);
    wait_until(dead_count(k) == 2 && oracle_all_published(k));
    expect(64, "which ones?", DROP("--reason", "x"));
    expect(64, "--reason is empty", DROP("--reason", " ", "--all"));
    expect(0, "dry run", DROP("--reason", "x", "--code", "test.rejected", "--dry-run"));
    cr_assert(counts(k, 2, 0, 0));
    expect(0, "1 dead letters are dropped", DROP("--reason", "sent twice by billing", "--code", "test.rejected"));
    cr_assert(counts(k, 1, 0, 1));
    cr_assert_eq(
        sql_int(k, "SELECT count(*) FROM pawl.outbox WHERE resolution = 'dropped' AND value IS NULL AND headers IS NULL"
                   " AND key = 'k00' AND code = 'test.rejected' AND reason <> '' AND resolved_note = 'sent twice by billing'"),
        1);
    cr_assert_eq(sql_int(k,
                         "SELECT count(*) FROM pawl.decisions WHERE action = 'dlq.drop' AND from_offset = 0 AND to_offset = 0"
                         " AND reason = '1 dead letter: sent twice by billing'"),
                 1);
    expect(0, "value and headers: dropped", SHOW("0"));
    expect(0, "1 of 1", REDRIVE("--wait", "30")); /* and not the one that was dropped */
    wait_until(ledger_count(k) == 1);
    expect(0, "nothing to drop", DROP("--reason", "x", "--all"));
    cluster_down(k);
}

Test(dlq, a_letter_is_not_dropped_before_its_topic_has_it)
{
    struct cluster *k = cluster_up(.partitions = 1); /* the topic is not there */
    struct worker  *a = worker_start(k, "a");

    (void)event_send(k, 0, "reject", 0);
    wait_until(dead_count(k) == 1);
    expect(75, "1 are not in their topic yet", DROP("--reason", "x", "--all"));
    cr_assert(counts(k, 1, 0, 0));
    kafka_topic_create(k->dlq, 1, 1);
    wait_until(oracle_all_published(k)); /* PostgreSQL hears of it with a later batch only */
    expect(0, "1 dead letters are dropped", DROP("--reason", "x", "--all"));
    cluster_down(k);
}

Test(dlq, other_groups_pass_over_what_was_sent_again_for_one)
{
    struct cluster *k = cluster_up(.partitions = 2, .dlq = "there");
    struct worker  *a = worker_start(k, "a"), *b = worker_start(k, "b", .group = "another");
    char           *status;

    events_send(k, 20);
    (void)event_send(k, 0, "mend", 1);
    (void)event_send(k, 1, "mend", 1);
    wait_until(dead_count(k) == 4 && ledger_count(k) == 40);
    expect(0, "2 of 2", REDRIVE("--wait", "30"));
    events_send(k, 10);
    wait_until(sql_int(k, "SELECT sum(next_offset) FROM pawl.offsets WHERE group_name = 'another'") >= 34 &&
               ledger_count(k) == 62);
    cr_assert_eq(sql_int(k, "SELECT count(*) FROM test.ledger WHERE body LIKE '%% mend %%'"), 2, "by the one group only");
    cr_assert_eq(sql_int(k, "SELECT count(*) FROM pawl.dead_letters WHERE state = 'open' AND group_name = 'another'"), 2);
    status = worker_status(b);
    cr_assert(strstr(status, "\"events_foreign\":2"), "%s", status);
    free(status);
    status = worker_status(a);
    cr_assert(strstr(status, "\"events_foreign\":0"), "%s", status);
    free(status);
    cluster_down(k);
}

Test(dlq, while_a_pipeline_is_paused_letters_are_published_and_applied_when_it_goes_on)
{
    struct cluster *k = cluster_up(.partitions = 1, .dlq = "there");
    struct worker  *a = worker_start(k, "a");

    (void)event_send(k, 0, "mend", 1);
    wait_until(dead_count(k) == 1 && oracle_all_published(k));
    expect(0, "main: paused", "pause", a->topology, "main");
    wait_until(worker_says(a, "pipeline.paused"));
    expect(0, "applied after pawl resume", REDRIVE("--wait", "30"));
    wait_until(redriven_look(k).again == 1);
    cr_assert_eq(ledger_count(k), 0);
    expect(0, "main: running", "resume", a->topology, "main");
    wait_until(ledger_count(k) == 1);
    cluster_down(k);
}

Test(dlq, without_a_worker_letters_wait_in_the_outbox_for_the_next_one)
{
    struct cluster *k = cluster_up(.partitions = 1, .dlq = "there");
    struct worker  *a = worker_start(k, "a");

    (void)event_send(k, 0, "mend", 1);
    wait_until(dead_count(k) == 1 && oracle_all_published(k));
    cr_assert(worker_stop(a, 15000));
    sql_exec(k, "UPDATE pawl.offsets SET decided_seq = outbox_seq + 1");
    expect(75, "try again when it has caught up", REDRIVE("--reason", "x"));
    sql_exec(k, "UPDATE pawl.offsets SET decided_seq = NULL");
    expect(0, "no worker of main is connected", REDRIVE("--reason", "x"));
    cr_assert_eq(sql_int(k, "SELECT count(*) FROM pawl.decisions WHERE action = 'dlq.redrive' AND from_seq = 2 AND to_seq = 2"),
                 1);
    (void)worker_start(k, "a");
    wait_until(ledger_count(k) == 1);
    cr_assert(redriven_once_in_order(k));
    cluster_down(k);
}

Test(dlq, a_letter_without_a_key_goes_to_the_partition_it_came_from)
{
    struct cluster      *k = cluster_up(.partitions = 3, .dlq = "there");
    struct worker       *a = worker_start(k, "a");
    struct kafka_record *all;
    size_t               n;

    for (int i = 0; i < 4; i++)
        kafka_produce(k->producer, k->topic, 2, NULL, "no order", 8);
    kafka_flush(k->producer, 10000);
    wait_until(dead_count(k) == 4 && oracle_all_published(k));
    expect(0, "1 of 1", REDRIVE("--offset", "3")); /* no key, no order */
    expect(0, "3 of 3", REDRIVE("--until", "2999-01-01", "--since", "1d", "--partition", "2", "--limit", "3", "--wait", "30"));
    wait_until(dead_count(k) == 8);
    all = kafka_read_all(k->topic, 3, &n);
    cr_assert_eq(n, 8);
    for (size_t i = 0; i < n; i++)
        cr_assert_eq(all[i].partition, 2);
    free(all);
    cluster_down(k);
}

/* What is behind a signal is open and can be sent by the next command. */
Test(dlq, a_slow_redrive_can_be_stopped_and_gone_on_with)
{
    struct cluster *k    = cluster_up(.partitions = 2, .keys = 4, .dlq = "there");
    struct worker  *a    = worker_start(k, "a");
    struct proc     slow = { 0 };
    char            log[300];
    char           *argv[] = { (char *)kit_pawl(), "dlq", "redrive", a->topology, "main", "--rate", "4/s", NULL };
    int64_t         begun;

    for (int i = 0; i < 40; i++)
        event_queue(k, i % 4, "mend", 1);
    events_flush(k);
    wait_until(dead_count(k) == 40 && oracle_all_published(k));
    (void)snprintf(log, sizeof(log), "%s/slow.log", k->dir);
    begun = kit_now_ms();
    proc_start(&slow, log, argv, NULL);
    wait_until(sql_int(k, "SELECT count(*) FROM pawl.dead_letters WHERE state = 'redriven'") >= 5);
    cr_assert_geq(kit_now_ms() - begun, 900, "4 a second");
    proc_signal(&slow, SIGINT);
    cr_assert(proc_wait(&slow, 10000));
    cr_assert(proc_says(&slow, "stopped; the same command goes on"));
    cr_assert_gt(sql_int(k, "SELECT count(*) FROM pawl.dead_letters WHERE state = 'open'"), 0);
    expect(0, "dead letters are on their way", REDRIVE("--wait", "30"));
    wait_until(ledger_count(k) == 40);
    cr_assert(redriven_once_in_order(k));
    cluster_down(k);
}

/* With its new headers it is above what a producer takes. */
Test(dlq, a_letter_that_is_too_large_to_be_sent_again_stays_a_dead_letter)
{
    struct cluster *k     = cluster_up(.partitions = 1, .dlq = "there");
    struct worker  *a     = worker_start(k, "a");
    size_t          n     = 999900;
    char           *value = malloc(n);

    cr_assert_not_null(value);
    memset(value, ' ', n);
    memcpy(value, "1 mend 1", 8);
    kafka_produce(k->producer, k->topic, 0, "k00", value, n);
    kafka_flush(k->producer, 10000);
    free(value);
    wait_until(dead_count(k) == 1 && oracle_all_published(k));
    expect(0, "1 of 1", REDRIVE("--wait", "60"));
    cr_assert_eq(sql_int(k, "SELECT count(*) FROM pawl.dead_letters WHERE state = 'open' AND code = 'redrive.too_large'"
                            " AND octet_length(value) = 999900 AND source_offset = 0"),
                 1);
    expect(0, "redrive.too_large", LIST("--key", "k00"));
    event_queue(k, 0, "ok", 0);
    events_flush(k);
    wait_until(ledger_count(k) == 1 && oracle_all_published(k)); /* nobody waits for it */
    cr_assert(worker_stop(a, 15000));
    cr_assert_eq(sql_int(k, "SELECT count(*) FROM pawl.dead_letters WHERE state = 'open'"), 1, "it survives the sweep");
    expect(0, "problems=0", "audit", a->topology, "main");
    cluster_down(k);
}

Test(dlq, an_output_that_was_too_large_goes_to_its_topic_when_that_takes_it)
{
    struct cluster      *k = cluster_up(.partitions = 1, .plugin = "emitter", .out_max_bytes = 4000);
    struct worker       *a = worker_start(k, "a");
    struct kafka_record *all;
    size_t               n;
    char                 out[80], source[200];

    (void)snprintf(out, sizeof(out), "%s.out", k->topic);
    (void)event_send(k, 0, "big", 20000);
    wait_until(dead_count(k) == 1 && oracle_all_published(k));
    cr_assert_eq(ledger_count(k), 1, "the message itself is applied");
    kafka_topic_delete(out);
    kafka_topic_create(out, 1, 1);
    expect(0, "1 of 1", REDRIVE("--code", "output.too_large", "--wait", "60"));
    wait_until(records(out, 1) == 1); /* the markers of a transaction come after its answer */
    all = kafka_read_all(out, 1, &n);
    (void)snprintf(source, sizeof(source), "seq=1\npawl-source=%s %s[0]@0 2\n", k->group, k->topic);
    cr_assert_str_eq(all[0].headers, source, "as any output");
    free(all);
    cr_assert_eq(redriven_look(k).again, 0);
    cr_assert_eq(ledger_count(k), 1);
    cluster_down(k);
}
