#include "base/listen.h"
#include "kafka/props.h"
#include "topology/bind.h"
#include "topology/trace.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Where the value of outer.inner stands; where the pipeline's name stands if it is not in the file. */
static struct pw_span place(const struct pw_item *pipeline, const char *outer, const char *inner)
{
    const struct pw_item *item = pw_yaml_get(pipeline->value, outer);

    item = item ? pw_yaml_get(item->value, inner) : NULL;
    return item ? item->at : pipeline->key_at;
}

static bool is_source(const struct pw_pipeline *pl, const char *topic)
{
    for (size_t i = 0; i < pl->topics_n; i++)
        if (strcmp(pl->topics[i], topic) == 0)
            return true;
    return false;
}

/* And not something that was refused. */
static bool is_false(const struct pw_node *node)
{
    return node->kind == PW_NODE_SCALAR && (node->scalar == PW_SCALAR_BOOL || strstr(node->text, "${"));
}

/* One of the two ways to find an event's id, if copies are to be recognised at all. */
static void check_dedupe(struct pw_report *rp, const struct pw_item *item, const struct pw_pipeline *pl)
{
    const struct pw_item *dedupe = pw_yaml_get(item->value, "dedupe"), *header, *key;

    if (!dedupe || dedupe->value->kind != PW_NODE_MAP)
        return;
    header = pw_yaml_get(dedupe->value, "header");
    key    = pw_yaml_get(dedupe->value, "key");
    if (header && pl->dedupe_key)
        pw_report_add(rp, place(item, "dedupe", "key"),
                      "'dedupe' has both 'header' and 'key'; an event has one id: remove one of them");
    else if (!header && !pl->dedupe_key && (!key || is_false(key->value)))
        pw_report_add(rp, dedupe->key_at, "'dedupe' needs 'header: NAME' or 'key: true': where is the event's id?");
}

static void check_pipeline(struct pw_report *rp, const struct pw_item *item, const struct pw_pipeline *pl)
{
    for (size_t i = 0; i < pl->outputs_n; i++)
        if (is_source(pl, pl->outputs[i].value))
            pw_report_add(rp, place(item, "outputs", pl->outputs[i].key),
                          "output '%.64s' writes to '%.64s', which this pipeline reads: its messages would go round for ever",
                          pl->outputs[i].key, pl->outputs[i].value);
    if (pl->dlq_topic && is_source(pl, pl->dlq_topic))
        pw_report_add(rp, place(item, "dlq", "topic"),
                      "dead letters go to '%.64s', which this pipeline reads: its messages would go round for ever",
                      pl->dlq_topic);
    if (pl->retry_max_backoff_ms < pl->retry_backoff_ms) {
        const struct pw_item *retry = pw_yaml_get(item->value, "retry");
        bool                  max   = retry && pw_yaml_get(retry->value, "max_backoff");

        pw_report_add(rp, place(item, "retry", max ? "max_backoff" : "backoff"),
                      "'retry.max_backoff' (%" PRIu32 "ms) is below 'retry.backoff' (%" PRIu32 "ms)", pl->retry_max_backoff_ms,
                      pl->retry_backoff_ms);
    }
    check_dedupe(rp, item, pl);
}

static void check_groups(struct pw_report *rp, const struct pw_item *items, const struct pw_topology *tp)
{
    const struct pw_item *item = items;

    for (size_t i = 0; i < tp->pipelines_n; i++, item = item->next) {
        const struct pw_pipeline *pl = &tp->pipelines[i];

        for (size_t j = 0; j < i && pl->group; j++) {
            const struct pw_pipeline *other = &tp->pipelines[j];

            if (!other->group || strcmp(other->group, pl->group) != 0)
                continue;
            pw_report_add(rp, place(item, "source", "group"),
                          "group '%.64s' is also that of pipeline '%.64s' (line %d); each pipeline needs its own", pl->group,
                          other->name, other->line);
            break;
        }
    }
}

/* ---- librdkafka properties that must fit each other ---- */

static int64_t number(const struct pw_topology *tp, const char *name, int64_t dflt)
{
    for (size_t i = 0; i < tp->kafka_n; i++)
        if (strcmp(tp->kafka[i].key, name) == 0)
            return strtoll(tp->kafka[i].value, NULL, 10); /* the allow-list has checked it */
    return dflt;
}

static void check_kafka(struct pw_report *rp, const struct pw_node *kafka, const struct pw_topology *tp)
{
    /* big >= times * small + more; otherwise librdkafka or the broker refuses, or a healthy member is thrown out */
    static const struct {
        const char *big, *small;
        int64_t     big_default, small_default, times, more;
        const char *must;
    } rules[] = {
        { "session.timeout.ms", "heartbeat.interval.ms", PW_KAFKA_SESSION_TIMEOUT_MS, PW_KAFKA_HEARTBEAT_INTERVAL_MS, 3, 1,
          "more than three times" },
        { "receive.message.max.bytes", "fetch.max.bytes", 100000000, 52428800, 1, 512, "at least 512 more than" },
        { "socket.timeout.ms", "fetch.wait.max.ms", 60000, PW_KAFKA_FETCH_WAIT_MAX_MS, 1, 1000, "at least 1000 more than" },
        { "reconnect.backoff.max.ms", "reconnect.backoff.ms", PW_KAFKA_RECONNECT_BACKOFF_MAX_MS, 100, 1, 0, "at least" },
    };

    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        const struct pw_item *big_at = pw_yaml_get(kafka, rules[i].big), *small_at = pw_yaml_get(kafka, rules[i].small);
        int64_t               big   = number(tp, rules[i].big, rules[i].big_default);
        int64_t               small = number(tp, rules[i].small, rules[i].small_default);

        if (big < rules[i].times * small + rules[i].more && (big_at || small_at))
            pw_report_add(rp, small_at ? small_at->at : big_at->at, "'%s' (%" PRId64 ") must be %s '%s' (%" PRId64 ")",
                          rules[i].big, big, rules[i].must, rules[i].small, small);
    }
}

/* ---- the admin port ---- */

static void check_admin(struct pw_report *rp, const struct pw_item *admin, const struct pw_topology *tp)
{
    const struct pw_item *listen;

    if (!admin || admin->value->kind != PW_NODE_MAP || !tp->admin_listen)
        return;
    listen = pw_yaml_get(admin->value, "listen");
    if (!tp->admin_certificate != !tp->admin_key)
        pw_report_add(rp, admin->key_at, "'admin' has 'certificate' or 'key' and not both");
    if (pw_listen_is_loopback(tp->admin_listen))
        return;
    if (!tp->admin_token && !pw_yaml_get(admin->value, "token"))
        pw_report_add(rp, listen->at, "'admin.listen' is not on loopback, so 'admin' needs a 'token'");
    if (!tp->admin_certificate && !tp->admin_plain && !pw_yaml_get(admin->value, "certificate"))
        pw_report_add(
            rp, listen->at,
            "'admin.listen' is not on loopback, so 'admin' needs 'certificate' and 'key'; 'plain: true' sends the token "
            "over the network for all to read");
}

void pw_check_topology(struct pw_report *rp, const struct pw_node *root, const struct pw_topology *tp)
{
    const struct pw_item *kafka = pw_yaml_get(root, "kafka"), *pipelines = pw_yaml_get(root, "pipelines");
    const struct pw_item *item;

    if (kafka)
        check_kafka(rp, kafka->value, tp);
    check_admin(rp, pw_yaml_get(root, "admin"), tp);
    pw_trace_check(rp, root, &tp->trace);
    if (!pipelines || tp->pipelines_n == 0)
        return;
    check_groups(rp, pipelines->value->items, tp);
    item = pipelines->value->items; /* in the same order as the pipelines */
    for (size_t i = 0; i < tp->pipelines_n; i++, item = item->next)
        check_pipeline(rp, item, &tp->pipelines[i]);
}
