/* What a cluster's options mean as a topology. */
#include "cluster.h"
#include "roles.h"
#include "run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *with_next(const struct cluster *k, char *text, int slots)
{
    char *both = NULL;

    if (!k->o.chain)
        return text;
    if (asprintf(&both,
                 "%s  next:\n"
                 "    source: { topics: [%s.out], group: %s-next, start: earliest }\n"
                 "    plugin: { path: emitter.so }\n"
                 "    workers: %d\n"
                 "    batch: { max_messages: %d }\n"
                 "    handler_timeout: %dms\n"
                 "    outputs: { out: %s.out2 }\n"
                 "    dlq: { topic: %s.dlq }\n",
                 text, k->topic, k->group, slots, k->o.batch, k->o.handler_timeout_ms, k->topic, k->topic) < 0)
        abort();
    free(text);
    return both;
}

char *cluster_topology(const struct cluster *k, const char *name, const char *instance, int slots)
{
    char *text = NULL;
    char  own[300], dsn[300], outputs[128] = "", dedupe[128] = "", reload[256] = "", dlq[128] = "", admin[600] = "";
    int   n;

    if (k->o.dedupe)
        (void)snprintf(dedupe, sizeof(dedupe), "    dedupe: { %s }\n", k->o.dedupe);
    if (k->o.reload)
        (void)snprintf(reload, sizeof(reload), "    reload: { %s }\n", k->o.reload);
    if (cluster_emits(k))
        (void)snprintf(outputs, sizeof(outputs), "    outputs: { out: %s.out }\n", k->topic);
    if (!k->o.dlq || strcmp(k->o.dlq, "no") != 0)
        (void)snprintf(dlq, sizeof(dlq), "    dlq: { topic: %s.dlq }\n", k->topic);
    if (k->proxy)
        (void)snprintf(own, sizeof(own), "host=127.0.0.1 port=%d %s", proxy_port(k->proxy), kit_postgres_login(k->pg));
    else
        (void)snprintf(own, sizeof(own), "%s", kit_postgres_dsn(k->pg));
    role_dsn(own, dsn, sizeof(dsn));
    if (k->o.admin_token)
        (void)snprintf(admin, sizeof(admin),
                       "admin: { listen: 127.0.0.1:0, token: \"${file:%s}\", dsn: \"%s options='-c role=pawl_operator'\" }\n",
                       k->o.admin_token, own);
    if (k->o.password)
        (void)snprintf(dsn + strlen(dsn), sizeof(dsn) - strlen(dsn), " password=%s", k->o.password);
    n = asprintf(&text,
                 "version: 1\n"
                 "instance: %s\n"
                 "run_dir: %s/%s\n"
                 "plugin_dir: %s\n"
                 "drain_timeout: 10s\n"
                 "kafka:\n"
                 "  bootstrap.servers: \"%s\"\n"
                 "  session.timeout.ms: %d\n"
                 "  fetch.wait.max.ms: %d\n"
                 "  heartbeat.interval.ms: 500\n"
                 "  reconnect.backoff.max.ms: 500\n"
                 "  topic.metadata.refresh.interval.ms: %d\n"
                 "postgres:\n"
                 "  dsn: \"%s\"\n"
                 "%s%s"
                 "pipelines:\n"
                 "  main:\n"
                 "    source: { topics: [%s], group: %s, start: %s }\n"
                 "    plugin: { path: %s }\n"
                 "    workers: %d\n"
                 "    batch: { max_messages: %d }\n"
                 "    retry: { attempts: %d, backoff: %dms, max_backoff: %dms, mode: %s, park_max_messages: %d }\n"
                 "    handler_timeout: %dms\n"
                 "    crash_limit: %d\n"
                 "    crash_storm: %s\n"
                 "%s%s%s%s%s%s",
                 instance, k->dir, name, kit_plugins(), k->kafka ? kafka_proxy_bootstrap(k->kafka) : kafka_bootstrap(),
                 k->o.session_ms, CLUSTER_FETCH_WAIT_MS, k->o.metadata_ms, dsn,
                 k->o.http ? "http: { listen: 127.0.0.1:0 }\n" : "", admin, k->topic, k->group, k->o.start,
                 k->o.deployed ? plugin_path(k) : plugin_file(k->o.plugin), slots, k->o.batch, k->o.retry_attempts,
                 k->o.backoff_ms ? k->o.backoff_ms : 20, k->o.backoff_ms ? k->o.backoff_ms : 200, k->o.retry_mode,
                 k->o.park_max, k->o.handler_timeout_ms, k->o.crash_limit, k->o.storm,
                 k->o.no_receipts ? "    receipts: false\n" : "", dedupe, outputs, reload, dlq, k->o.more ? k->o.more : "");
    if (n < 0)
        abort();
    return with_next(k, text, slots);
}
