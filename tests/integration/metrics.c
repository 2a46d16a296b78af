/* What Prometheus sees of a running pawl; the questions are in tests/prometheus/live.py. */
#include "load.h"
#include "oracle.h"
#include "run.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

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

/* What /metrics says of the only series of that name; -1: there is none. */
static double metric(const char *address, const char *name)
{
    struct sockaddr_in at   = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    const char        *port = strrchr(address, ':');
    static char        page[1 << 18];
    char               ask[] = "GET /metrics HTTP/1.0\r\n\r\n", want[128];
    size_t             n     = 0;
    ssize_t            got;
    const char        *line;
    int                fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    at.sin_port = htons((uint16_t)atoi(port + 1));
    cr_assert_eq(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0, "%s", address);
    cr_assert_eq(send(fd, ask, sizeof(ask) - 1, MSG_NOSIGNAL), (ssize_t)sizeof(ask) - 1);
    while ((got = recv(fd, page + n, sizeof(page) - 1 - n, 0)) > 0)
        n += (size_t)got;
    page[n] = 0;
    close(fd);
    (void)snprintf(want, sizeof(want), "\n%s{", name);
    line = strstr(page, want);
    return line ? strtod(strchr(line, '}') + 1, NULL) : -1;
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
                                   .deployed = true, .reload = "probation_messages: 20, probation_time: 1s", .http = true,
                                   .more = "    shadow: { path: emitter_next.so }\n");
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

Test(metrics, the_three_lags_are_told_while_they_last)
{
    struct cluster *k       = cluster_up(.partitions = 1, .plugin = "emitter", .no_out = true, .http = true);
    struct worker  *a       = worker_start(k, "a");
    char           *address = http_address(a);

    events_send(k, 20);
    wait_until(oracle_all_accounted(k));
    wait_until(metric(address, "pawl_partition_unpublished") == 20);
    wait_until(metric(address, "pawl_partition_lag") == 0 && metric(address, "pawl_partition_oldest_age_seconds") == 0);
    cr_assert_eq(pawl_run(NULL, "pause", a->topology, "main", "--reason", "to see a lag", NULL), 0);
    wait_until(worker_says(a, "pipeline.paused"));
    events_send(k, 3);
    wait_until(metric(address, "pawl_partition_lag") == 3);
    wait_until(metric(address, "pawl_partition_oldest_age_seconds") > 1);
    cr_assert_eq(metric(address, "pawl_partition_unpublished"), 20, "nothing new is committed");
    cr_assert_eq(pawl_run(NULL, "resume", a->topology, "main", NULL), 0);
    wait_until(metric(address, "pawl_partition_lag") == 0 && metric(address, "pawl_partition_oldest_age_seconds") == 0);
    wait_until(metric(address, "pawl_partition_unpublished") == 23);
    free(address);
    cluster_down(k);
}
