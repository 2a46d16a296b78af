/* pawl plugin replay: messages of a real topic, with the rows of a real database, and nothing is written. */
#include "expect.h"
#include "oracle.h"
#include "run.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPLAY(...) "plugin", "replay", a->topology, "main", "--partition", "0", __VA_ARGS__

/* Commands read the plugin's tables only with the rights of a worker. */
static void as(const char *role)
{
    (void)setenv("PAWL_ROLE", role, 1);
}

static const char *place(const struct cluster *k, int offset)
{
    static char text[128];

    (void)snprintf(text, sizeof(text), "%s[0]@%d\n", k->topic, offset);
    return text;
}

Test(replay, a_dead_letter_is_run_again_wherever_it_is)
{
    struct cluster *k = cluster_up(.partitions = 1, .keys = 1, .dlq = "there");
    struct worker  *a = worker_start(k, "a");
    int64_t         rows;

    events_send(k, 3);
    (void)event_send(k, 0, "reject", 0);
    wait_until(dead_count(k) == 1 && oracle_all_published(k));
    rows = sql_int(
        k,
        "SELECT (SELECT count(*) FROM pawl.outbox) + (SELECT count(*) FROM pawl.receipts) + (SELECT count(*) FROM test.ledger)");
    expect(1, "permission denied for schema test", REPLAY("--offset", "3"));
    as("pawl_worker");
    expect(0, place(k, 3), REPLAY("--offset", "3"));
    expect(0,
           "  verdict: reject\n  code: test.rejected\n  detail: seq 4 asked for it\n  reads:\n    - find_state: { key: k00 }\n",
           REPLAY("--offset", "3"));
    expect(0, place(k, 3), REPLAY("--offset", "0", "--topic", k->dlq));
    expect(1, "neither the log nor pawl.outbox has", REPLAY("--offset", "4"));
    expect(1, "has no record at 1", REPLAY("--offset", "1", "--topic", k->dlq));
    expect(64, "is no topic of pipeline main", REPLAY("--offset", "0", "--topic", "elsewhere"));
    /* another version, and what it would write with the rows that are there now */
    expect(0, "  verdict: ok\n", REPLAY("--offset", "0", "--plugin", plugin_file("ledger_next")));
    expect(0, "    - save_state: { key: k00, seq: 1, count: 4 }\n", REPLAY("--offset", "0"));

    kafka_delete_records(k->topic, 0, 4); /* the log forgets it: its row does not */
    expect(0, "the log does not have it any more: it is replayed without its timestamp", REPLAY("--offset", "3"));
    expect(0, place(k, 3), REPLAY("--offset", "0", "--topic", k->dlq));
    as("pawl_operator");
    expect(0, "1 dead letters are dropped", "dlq", "drop", a->topology, "main", "--all", "--reason", "x");
    as("pawl_worker");
    expect(1, "neither the log nor pawl.outbox has", REPLAY("--offset", "3"));
    expect(0, place(k, 3), REPLAY("--offset", "0", "--topic", k->dlq)); /* the topic has its own copy */
    cr_assert_eq(sql_int(k, "SELECT (SELECT count(*) FROM pawl.outbox) + (SELECT count(*) FROM pawl.receipts)"
                            " + (SELECT count(*) FROM test.ledger)"),
                 rows);
    cluster_down(k);
}

Test(replay, what_is_recorded_comes_to_the_same_without_servers)
{
    struct cluster *k = cluster_up(.partitions = 1, .keys = 2, .plugin = "emitter");
    struct worker  *a = worker_start(k, "a");
    char            file[300];

    events_send(k, 3);
    (void)event_send(k, 0, "reject", 0);
    (void)event_send(k, 1, "skip", 0);
    wait_until(next_offset(k, 0) == 5);
    as("pawl_worker");
    (void)snprintf(file, sizeof(file), "%s/cases.yaml", k->dir);
    expect(0, "5 recorded in", REPLAY("--offset", "0", "--count", "9", "--record", file));
    expect(1, "File exists", REPLAY("--offset", "0", "--record", file));
    cr_assert(worker_stop(a, 15000));
    postgres_stop(k, "fast");
    expect(0, "5 replayed, 0 not as recorded\n", "plugin", "replay", file);
    expect(0, "5 cases: 5 as expected, 0 failed", "plugin", "test", file);
    expect(0, "5 replayed, 0 differ, 0 cannot be compared", "plugin", "replay", file, "--diff", plugin_file("emitter_next"));
    cluster_down(k);
}

/* A read that writes: a view over a function, which the plugin knows nothing of. */
Test(replay, nothing_can_be_written_by_a_read)
{
    struct cluster *k = cluster_up(.partitions = 1);
    struct worker  *a = worker_start(k, "a");

    events_send(k, 1);
    wait_until(ledger_count(k) == 1);
    as("pawl_worker");
    expect(0, "verdict: ok", REPLAY("--offset", "0"));
    sql_exec(k, "CREATE FUNCTION test.touch() RETURNS bigint LANGUAGE sql VOLATILE AS"
                " $$ INSERT INTO test.by_key VALUES ('touched', 1) RETURNING hits $$;"
                "ALTER TABLE test.state RENAME TO state_rows;"
                "CREATE VIEW test.state AS SELECT key, seq, count FROM test.state_rows WHERE test.touch() > 0;"
                "GRANT ALL ON ALL TABLES IN SCHEMA test TO pawl_worker; GRANT EXECUTE ON FUNCTION test.touch TO pawl_worker");
    expect(75, "cannot execute INSERT in a read-only transaction", REPLAY("--offset", "0"));
    cr_assert_eq(sql_int(k, "SELECT count(*) FROM test.by_key"), 0);
    cluster_down(k);
}
