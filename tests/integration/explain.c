/* pawl explain: one event of every fate is told as what it is. */
#include "expect.h"
#include "oracle.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPLAIN(offset, says) expect(0, says, "explain", a->topology, k->topic, "0", #offset)

static char *explain(const struct worker *a, const char *topic, const char *offset, const char *option)
{
    char *out = NULL;
    int   rc  = pawl_run(&out, "explain", a->topology, topic, "0", offset, option, NULL);

    cr_assert_eq(rc, 0, "exit code %d: %s", rc, out);
    return out;
}

static void assert_has(const char *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void assert_has(const char *out, const char *fmt, ...)
{
    char    text[300];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    cr_assert(strstr(out, text), "no '%s' in: %s", text, out);
}

static void queue(struct cluster *k, int key, const char *command, int64_t arg, const char *id)
{
    event_queue_id(k, 0, key, command, arg, id);
}

static void each_as_it_went(struct cluster *k, const struct worker *a)
{
    char *out;

    EXPLAIN(0, "main: never consumed: it is before the pipeline's start, 1\n");
    out = explain(a, k->topic, "1", NULL);
    assert_has(out, "main: applied\n");
    assert_has(out, "header    ce_id: id-1\n");
    assert_has(out, "a/main/0, org.pawl.test.emitter/1.0.0, build emitter-");
    assert_has(out, "id-1, remembered for this record\n");
    assert_has(out, "output    outbox row 1, for %s.out, published as %s.out[0]@0\n", k->topic, k->topic);
    assert_has(out, "nothing records that");
    cr_assert(!strstr(out, "payload"), "%s", out);
    free(out);
    EXPLAIN(2, "main: skipped");
    out = explain(a, k->topic, "3", "--json");
    assert_has(out, "\"verdict\":\"rejected\",\"code\":\"test.rejected\"");
    assert_has(out, "\"published\":true,\"published_as\":{\"topic\":\"%s\",\"partition\":0,\"offset\":0},\"state\":\"open\"",
               k->dlq);
    free(out);
    out = explain(a, k->topic, "4", "--payload");
    assert_has(out, "main: passed over as a copy");
    assert_has(out, "id-1, remembered for %s[0]@1\n", k->topic);
    assert_has(out, "payload   3 ok");
    free(out);
    out = explain(a, k->topic, "5", NULL);
    assert_has(out, "main: parked");
    assert_has(out, "tried 1 times, not again before 20");
    assert_has(out, "test.later: attempt 1 of 1");
    free(out);
    EXPLAIN(6, "not tried yet: an earlier message of its key waits");
    EXPLAIN(7, "main: rejected, test.broken");
    EXPLAIN(8, "main: no record had this offset");
    EXPLAIN(9, "none: the log has no record at this offset");
    EXPLAIN(10, "main: no such record yet");
    EXPLAIN(10, "none: the log ends at 10");
}

/* Sent again, and applied then. */
static void one_sent_again(struct cluster *k, const struct worker *a)
{
    char *out;

    expect(0, "1 of 1", "dlq", "redrive", a->topology, "main", "--code", "test.broken", "--wait", "30", "--reason", "mended");
    wait_until(next_offset(k, 0) >= 11 && oracle_all_published(k));
    out = explain(a, k->topic, "7", NULL);
    assert_has(out, "decided   redriven by ");
    assert_has(out, ": mended\n");
    assert_has(out, "again     as outbox row 4, %s[0]@10\n", k->topic);
    assert_has(out, "      main: applied\n");
    free(out);
}

/* Not yet, and never. */
static void one_that_waits(struct cluster *k, const struct worker *a)
{
    char *out, *id;

    expect(0, "main: paused", "pause", a->topology, "main", "--reason", "a look at it");
    wait_until(worker_says(a, "pipeline.paused"));
    expect(1, "\n  ! worker main/0 is paused", "status", a->topology);
    id = sql_text(k, "SELECT next_offset FROM pawl.offsets");
    queue(k, 5, "ok", 0, "late");
    events_flush(k);
    out = explain(a, k->topic, "12", NULL);
    assert_has(out, "main: not consumed yet: the position is %s, ", id);
    assert_has(out, "pipeline  paused by ");
    assert_has(out, ": a look at it\n");
    free(out);
    free(id);
    expect(0, "done", "offsets", "set", a->topology, "--pipeline", "main", "--topic", k->topic, "--partition", "0", "--to",
           "13", "--reason", "withdrawn");
    out = explain(a, k->topic, "12", NULL);
    assert_has(out, "main: never consumed: an operator went past it");
    assert_has(out, "offsets.set by ");
    assert_has(out, ": withdrawn\n");
    free(out);
}

Test(explain, one_event_of_every_fate)
{
    struct cluster *k = cluster_up(.partitions = 1, .keys = 8, .plugin = "emitter", .dlq = "there", .start = "latest",
                                   .retry_mode = "park", .backoff_ms = 600000, .dedupe = "header: ce_id, window: 1h");
    struct worker  *a;
    char           *out;

    queue(k, 0, "ok", 0, "before");
    events_flush(k);
    a = worker_start(k, "a");
    wait_until(sql_int(k, "SELECT count(*) FROM pawl.offsets") == 1);
    queue(k, 0, "ok", 0, "id-1");     /* 1 */
    queue(k, 1, "skip", 0, "id-2");   /* 2 */
    queue(k, 2, "reject", 0, "id-3"); /* 3 */
    queue(k, 0, "ok", 0, "id-1");     /* 4 */
    queue(k, 3, "retry", 1, "id-5");  /* 5 */
    queue(k, 3, "ok", 0, "id-6");     /* 6 */
    queue(k, 4, "mend", 1, "id-7");   /* 7 */
    events_flush(k);
    kafka_produce_transaction(k->topic, 0, "x", "1 ok", 1, false); /* 8 and 9 */
    wait_until(next_offset(k, 0) == 10 && oracle_all_published(k));

    each_as_it_went(k, a);
    one_sent_again(k, a);
    one_that_waits(k, a);

    /* what retention has removed is told from PostgreSQL */
    kafka_delete_records(k->topic, 0, 5);
    out = explain(a, k->topic, "1", NULL);
    assert_has(out, "removed by retention: the log begins at 5; what follows is from PostgreSQL\n");
    assert_has(out, "main: applied\n");
    assert_has(out, "published as %s.out[0]@0\n", k->topic);
    free(out);
    cluster_down(k);
}

Test(explain, an_event_is_found_by_its_id)
{
    struct cluster *k = cluster_up(.partitions = 2, .keys = 2, .dedupe = "header: ce_id, window: 1h");
    struct worker  *a = worker_start(k, "a");
    char            place[100], copy[100];

    event_queue_id(k, 1, 1, "ok", 0, "one");
    event_queue_id(k, 0, 0, "reject", 0, "refused");
    events_flush(k);
    wait_until(oracle_all_accounted(k));
    event_queue_id(k, 0, 0, "ok", 0, "one"); /* a copy in another partition */
    events_flush(k);
    wait_until(oracle_all_accounted(k));
    (void)snprintf(place, sizeof(place), "%s[1]@0\n", k->topic);
    (void)snprintf(copy, sizeof(copy), "\n%s[0]@1\n", k->topic);
#define BY_ID(code, says, ...) expect(code, says, "explain", a->topology, "--id", __VA_ARGS__)
    BY_ID(0, place, "one");
    BY_ID(0, copy, "one", "--since", "1h");
    BY_ID(1, "no pipeline remembers that id", "refused");
    BY_ID(0, "main: rejected, test.rejected", "refused", "--since", "1h");
    BY_ID(1, "no record from that time on has the id 'two'", "two", "--since", "1h");
    BY_ID(64, "which event?", "one", k->topic, "0", "0");
    place[strlen(place) - 1] = 0;
    expect(0, "main: applied", "explain", a->topology, place);
    expect(64, "reads 'nothing'", "explain", a->topology, "nothing", "0", "0");
    cluster_down(k);
}

/* All of the topic is applied, and published what came of it. */
static bool at_the_end(const char *group, const char *topic)
{
    int64_t low, high;

    kafka_watermarks(topic, 0, &low, &high);
    return kafka_group_offset(group, topic, 0) == high;
}

Test(explain, an_event_is_followed_into_the_next_pipeline)
{
    struct cluster *k = cluster_up(.partitions = 1, .keys = 1, .plugin = "emitter", .chain = true, .backoff_ms = 600000);
    struct worker  *a;
    char           *out, between[80], group[80];

    (void)snprintf(between, sizeof(between), "%s.out", k->topic);
    (void)snprintf(group, sizeof(group), "%s-next", k->group);
    a = worker_start(k, "a");
    for (int i = 0; i < 3; i++)
        (void)event_send(k, 0, "chain", 0);
    wait_until(ledger_count(k) == 6 && at_the_end(group, between));
    expect(0, ", ready\n", "status", a->topology);
    expect(0, "\nmain       running", "top", "--once", "--interval", "0.1", a->topology);
    expect(0, "\nnext/0   running", "top", "--once", "--interval", "0.1", "--run-dir", a->run_dir);
    out = explain(a, k->topic, "1", "--follow");
    assert_has(out, "published as %s[0]@", between);
    assert_has(out, "comes from %s %s[0]@1 2\n", k->group, k->topic);
    assert_has(out, "      next: applied\n");
    assert_has(out, "published as %s.out2[0]@", k->topic);
    assert_has(out, "no pipeline of this topology reads it");
    free(out);
    out = explain(a, k->topic, "1", NULL);
    cr_assert(!strstr(out, "next: applied"), "%s", out);
    free(out);
    (void)event_send(k, 0, "retry", 1);
    wait_until(sql_int(k, "SELECT count(*) FROM pawl.attempts") == 1);
    out = explain(a, k->topic, "3", NULL);
    assert_has(out, "main: being tried again; its partition waits for it\n");
    assert_has(out, "tried 1 times, not again before ");
    free(out);
    cluster_down(k);
}
