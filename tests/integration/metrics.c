/* What Prometheus sees of a running pawl; the questions are in tests/prometheus/live.py. */
#include "load.h"
#include "oracle.h"
#include "run.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIVE_MS 300000

/* Where it serves metrics; malloc'ed. */
static char *http_address(const struct worker *w)
{
    char *status, *at, *address;

    wait_until(worker_says(w, "http.listening"));
    status = worker_status(w);
    at     = strstr(status, "\"http\":\"");
    cr_assert_not_null(at, "%s", status);
    at += strlen("\"http\":\"");
    address = strndup(at, strcspn(at, "\""));
    free(status);
    return address;
}

/* Connections to brokers since the beginning, of all that ever worked there. */
static int connects(const struct worker *w)
{
    char *status = worker_status(w), *at = strstr(status, "\"kafka_connects\":");
    int   n;

    cr_assert_not_null(at, "%s", status);
    n = atoi(at + strlen("\"kafka_connects\":"));
    free(status);
    return n;
}

/* Something of everything that there is a metric for. */
static void let_things_happen(struct cluster *k, const struct worker *a)
{
    int64_t session;
    int     before;
    char   *out = NULL;

    events_send(k, 30);
    event_copy(k, 0, -1);
    (void)event_send(k, 1, "reject", 0);
    (void)event_send(k, 2, "retry", 100000);
    wait_until(oracle_all_accounted(k));
    session = sql_int(k, "SELECT pid FROM pg_stat_activity WHERE application_name = 'pawl main/0'");
    sql_exec(k, "SELECT pg_terminate_backend(%lld)", (long long)session);
    wait_until(sql_int(k, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pawl main/0' AND pid <> %lld",
                       (long long)session) == 1);
    before = connects(a);
    plugin_deploy(k, "emitter_next");
    cr_assert_eq(pawl_run(&out, "reload", a->topology, NULL), 0, "%s", out);
    free(out);
    cr_assert_gt(connects(a), before, "those of the successor count from its start, not from the hand-over");
}

Test(metrics, every_query_of_dashboard_and_rules_has_data_in_a_real_prometheus)
{
    struct cluster *k = cluster_up(.partitions = 3, .plugin = "emitter", .dlq = "there", .retry_mode = "park",
                                   .backoff_ms = 1000, .retry_attempts = 1000, .dedupe = "header: ce_id, window: 1h",
                                   .deployed = true, .reload = "probation_messages: 20, probation_time: 1s", .http = true);
    struct worker  *a = worker_start(k, "a");
    struct load    *l;
    char           *address = http_address(a), *out = NULL;
    char *argv[] = { PROMETHEUS_RUN, "live.py", (char *)kit_pawl(), a->topology, address, (char *)kit_postgres_dsn(k->pg),
                     SOURCE_DIR,     NULL };
    int   rc;

    let_things_happen(k, a);
    l  = load_start(k, 100);
    rc = proc_run(argv, LIVE_MS, &out);
    (void)load_stop(l);
    cr_assert_eq(rc, 0, "%s", out);
    free(out);
    free(address);
    cluster_down(k);
}
