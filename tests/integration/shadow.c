/* A candidate beside the plugin: what differs is told, and nothing that it does reaches anybody. */
#include "expect.h"
#include "oracle.h"
#include "run.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REPORT       "plugin", "shadow", "report", a->topology, "main"
#define RECORD(file) REPORT, "--record", file

static const char *candidate(const char *plugin, const char *more)
{
    static char text[400];

    (void)snprintf(text, sizeof(text), "    shadow: { path: %s%s%s }\n", plugin_file(plugin), *more ? ", " : "", more);
    return text;
}

/* A number of "shadow" in the status, or of the first worker. */
static int64_t count(const struct worker *w, const char *name)
{
    char       *status = worker_status(w), key[32];
    const char *at     = strstr(status, "\"shadow\":{");
    int64_t     n      = -1;

    (void)snprintf(key, sizeof(key), "\"%s\":", name);
    at = at ? strstr(at, key) : NULL;
    if (at)
        n = strtoll(at + strlen(key), NULL, 10);
    free(status);
    return n;
}

/* All messages have one key: the rows that the candidate is given are those of waves, in which earlier messages have been applied. */
Test(shadow, what_a_candidate_does_otherwise_is_told_with_coordinates)
{
    struct cluster *k =
        cluster_up(.partitions = 1, .keys = 1, .plugin = "ledger", .more = candidate("ledger_rejects", "sample: 100%"));
    struct worker *a = worker_start(k, "a");
    char           place[128], file[300];

    events_send(k, 25);
    wait_until(count(a, "same") + count(a, "differs") == 25);
    cr_expect_eq(count(a, "differs"), 1);
    cr_expect_eq(count(a, "not_comparable") + count(a, "dropped") + count(a, "crashed"), 0);
    (void)snprintf(place, sizeof(place), "\n%s[0]@18, ", k->topic);
    expect(0, place, REPORT);
    expect(0, "  shadow: org.pawl.test.ledger/2.3.0, 100%: 24 same, 1 differ, 0 not comparable, 0 crashed, 0 dropped\n",
           REPORT);
    expect(0, "    - verdict: ok\n", REPORT);
    expect(0, "    - writes:\n    -   - save_state: { key: k00, seq: 19, count: 19 }\n", REPORT);
    expect(0, "    + verdict: reject\n    + code: test.flaw\n", REPORT);
    cr_expect(worker_says(a, "shadow.differs"));

    /* with the rows that the plugin saw, on the desk */
    (void)snprintf(file, sizeof(file), "%s/differences.yaml", k->dir);
    expect(0, place, RECORD(file));
    expect(1, "1 replayed, 1 not as recorded", "plugin", "replay", file);
    expect(0, "1 replayed, 0 not as recorded", "plugin", "replay", file, "--plugin", plugin_file("ledger"));

    /* nothing of it is done */
    cr_assert_eq(dead_count(k), 0);
    cr_assert(oracle_exactly_once_in_order(k));
    cluster_down(k);
}

Test(shadow, a_candidate_that_dies_of_every_message_hurts_nobody)
{
    struct cluster *k = cluster_up(.partitions = 2, .more = candidate("ledger_dies", "sample: 100%"));
    struct worker  *a = worker_start(k, "a", .slots = 2);

    events_send(k, 200);
    wait_until(count(a, "crashed") >= 2);
    wait_until(ledger_count(k) == 200);
    cr_assert(oracle_exactly_once_in_order(k));
    cr_assert_eq(dead_count(k), 0);
    cr_expect_eq(count(a, "same") + count(a, "differs"), 0);
    expect(0, "    last crash: SIGSEGV on ", REPORT);
    cr_expect_eq(worker_says_n(a, "worker.crashed"), 0);
    cr_expect_not(worker_says(a, "event.rejected"));
    cr_assert(worker_stop(a, 15000));
    cluster_down(k);
}

Test(shadow, a_candidate_that_hangs_is_ended)
{
    struct cluster *k =
        cluster_up(.partitions = 1, .keys = 1, .handler_timeout_ms = 500, .more = candidate("ledger_hangs", "sample: 100%"));
    struct worker *a = worker_start(k, "a");

    events_send(k, 25);
    wait_until(count(a, "same") == 24); /* those after it, too: by the next process */
    cr_expect_eq(count(a, "crashed"), 1);
    expect(0, "    last crash: handler timeout on ", REPORT);
    cr_assert(oracle_exactly_once_in_order(k));
    cluster_down(k);
}

Test(shadow, a_candidate_that_leaks_is_ended)
{
    struct cluster *k = cluster_up(.partitions = 1, .more = candidate("ledger_leaks", "sample: 100%, max_memory: 128MiB"));
    struct worker  *a = worker_start(k, "a");

    events_send(k, 20);
    wait_until(worker_says(a, "more than max_memory"));
    wait_until(ledger_count(k) == 20);
    cr_assert(oracle_exactly_once_in_order(k));
    cluster_down(k);
}

/* Its file is not there: the plugin runs. When it has come, a reload takes it, and only a sample of keys is given to it. */
Test(shadow, a_candidate_that_is_not_there_can_come_later)
{
    char            text[600], path[300];
    struct cluster *k;
    struct worker  *a;

    (void)snprintf(path, sizeof(path), "%s/candidate-%d.so", kit_dir(), (int)getpid());
    (void)snprintf(text, sizeof(text), "    shadow: { path: %s, sample: 50%% }\n", path);
    k = cluster_up(.partitions = 1, .keys = 40, .more = text, .reload = "probation_messages: 0");
    a = worker_start(k, "a");
    events_send(k, 80);
    wait_until(ledger_count(k) == 80);
    expect(0, "shadow: not running: ", "status", a->topology);
    expect(0, "shadow: not running: ", REPORT);
    (void)snprintf(text, sizeof(text), "cp '%s' '%s'", plugin_file("ledger_next"), path);
    cr_assert_eq(system(text), 0);
    expect(0, "reloaded", "reload", a->topology);
    events_send(k, 80);
    wait_until(ledger_count(k) == 160);
    wait_until(count(a, "same") == count(a, "shadow_samples"));
    cr_expect(count(a, "same") > 0 && count(a, "same") < 80 && count(a, "same") % 2 == 0, "each key was sent twice: %lld",
              (long long)count(a, "same"));
    cr_assert(oracle_exactly_once_in_order(k));
    cluster_down(k);
    (void)unlink(path);
}
