/* Middleware around a plugin, with a real broker: order, refusals, headers, crashes and who is to blame. */
#include "oracle.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AROUND "    middleware: [log, { path: around_outer.so }, { path: around_inner.so }]\n"

static void send_value(struct cluster *k, const char *value)
{
    kafka_produce_id(k->producer, k->topic, 0, "k00", value, strlen(value), NULL);
    events_flush(k);
}

static int64_t dead(struct cluster *k, const char *code, const char *plugin)
{
    return sql_int(k, "SELECT count(*) FROM pawl.dead_letters WHERE code = '%s' AND plugin = '%s'", code, plugin);
}

Test(middleware, the_chain_refuses_before_the_plugin_and_adds_headers_after_it)
{
    struct cluster      *k = cluster_up(.partitions = 1, .plugin = "emitter", .more = AROUND);
    struct worker       *a = worker_start(k, "a");
    struct kafka_record *out;
    char                 name[80], *status;
    size_t               n;

    send_value(k, "1 ok 0");
    send_value(k, "all-refuse, and for the plugin it would be no order");
    send_value(k, "inner-refuses");
    send_value(k, "not an order either");
    send_value(k, "2 ok 0");
    wait_until(next_offset(k, 0) == 5);
    cr_assert_eq(dead(k, "outer.refused", "org.pawl.test.outer/1.0.0"), 1, "the outermost is asked first");
    cr_assert_eq(dead(k, "inner.refused", "org.pawl.test.inner/1.0.0"), 1);
    cr_assert_eq(dead(k, "test.malformed", "org.pawl.test.emitter/1.0.0"), 1, "what is the plugin's stays its own");
    (void)snprintf(name, sizeof(name), "%s.out", k->topic);
    wait_until((out = kafka_read_all(name, 1, &n), n == 2 || (free(out), false)));
    for (size_t i = 0; i < n; i++)
        cr_assert(strstr(out[i].headers, "by-outer=2\n") && strstr(out[i].headers, "by-inner=2\n") &&
                      strstr(out[i].headers, "last=outer\n") && strstr(out[i].headers, "seq="),
                  "%s", out[i].headers);
    free(out);
    wait_until(worker_says(a, "inner saw 4: verdict 0, flags 0, 2 writes, no key, timed"));
    cr_assert(worker_says(a, "outer saw 1: verdict 3, flags 8, 0 writes"));
    cr_assert(worker_says(a, "outer.refused; dead-lettered, by middleware org.pawl.test.outer/1.0.0\""));
    status = worker_status(a);
    cr_assert(strstr(status, "\"middleware\":[{\"id\":\"log\",\"version\":null") &&
                  strstr(status, "\"id\":\"org.pawl.test.inner\""),
              "%s", status);
    free(status);
    cluster_down(k);
}

Test(middleware, a_crash_in_one_is_its_own)
{
    struct cluster *k = cluster_up(.partitions = 1, .crash_limit = 2, .more = AROUND);
    struct worker  *a = worker_start(k, "a");
    char           *reason;

    send_value(k, "1 ok 0");
    send_value(k, "2 inner-segv 0");
    send_value(k, "3 ok 0");
    wait_until(next_offset(k, 0) == 3);
    cr_assert_eq(ledger_count(k), 2, "its neighbours are applied");
    cr_assert_eq(dead(k, "crash.SIGSEGV", "org.pawl.test.inner/1.0.0"), 1);
    reason = sql_text(k, "SELECT reason FROM pawl.dead_letters");
    cr_assert_str_eq(reason, "middleware org.pawl.test.inner/1.0.0 died 2 times with this message in hand, last by SIGSEGV");
    free(reason);
    cr_assert(
        worker_says(a, "in middleware org.pawl.test.inner/1.0.0 around plugin org.pawl.test.ledger/1.0.0, with this message"));
    cluster_down(k);
}
