#include "topology/keys.h"

#include "topology/topology.h"
#include "topology/trace.h"
#include "topology/value.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define IN_TOPOLOGY(f) \
    .home = PW_KEY_IN_TOPOLOGY, .offset = offsetof(struct pw_topology, f), .width = sizeof(((struct pw_topology *)0)->f)
#define IN_PIPELINE(f) \
    .home = PW_KEY_IN_PIPELINE, .offset = offsetof(struct pw_pipeline, f), .width = sizeof(((struct pw_pipeline *)0)->f)
#define IN_LAYER(f) \
    .home = PW_KEY_IN_LAYER, .offset = offsetof(struct pw_layer_conf, f), .width = sizeof(((struct pw_layer_conf *)0)->f)
#define KIB       INT64_C(1024)
#define MIB       (INT64_C(1024) * KIB)
#define SECOND    INT64_C(1000)
#define MINUTE    (60 * SECOND)
#define HOUR      (3600 * SECOND)
#define DAY       (24 * HOUR)
#define LATENCIES "50ms|100ms|250ms|500ms|1s|2500ms|5s|10s|30s|1m" /* limits of pawl_event_latency_seconds */

static const struct pw_key table[] = {
    { "version", PW_KEY_INT, .required = true, .min = 1, .max = 1, .doc = "Version of this format." },
    { "instance", PW_KEY_NAME, IN_TOPOLOGY(instance), .dflt_text = "the host name", .restart = true,
      .doc =
          "Name of this runtime; it begins the group.instance.id of its workers, so no two that share a group may have the same." },
    { "run_dir", PW_KEY_FOLDER, .min = 1, .max = 80, IN_TOPOLOGY(run_dir), .dflt = "/run/pawl", .restart = true,
      .doc = "Folder for the control socket, staged plugins and the lock." },
    { "plugin_dir", PW_KEY_FOLDER, .min = 1, .max = 4000, IN_TOPOLOGY(plugin_dir),
      .dflt_text = "the environment variable PAWL_PLUGIN_DIR, else the folder of the installation",
      .doc       = "Folder that relative plugin paths count from." },
    { "drain_timeout", PW_KEY_DURATION, .min = 1 * SECOND, .max = HOUR, IN_TOPOLOGY(drain_timeout_ms), .dflt = "10s",
      .doc = "How long workers may finish what they have begun when the runtime stops." },

    { "kafka", PW_KEY_KAFKA, .required = true, .restart = true,
      .doc = "librdkafka properties, by their own names; values are text, whole numbers, true or false." },

    { "postgres", PW_KEY_MAP, .required = true, .secret = true, .doc = "Where positions, writes and outputs go." },
    { "postgres.dsn", PW_KEY_TEXT, .required = true, .secret = true, .min = 1, .max = PW_KEYS_MAX_TEXT,
      IN_TOPOLOGY(postgres_dsn), .restart = true,
      .doc = "Connection string of libpq. Never shown; keep it in a file: ${file:/run/secrets/dsn}." },

    { "http", PW_KEY_MAP, .doc = "Metrics and health; without it nothing listens." },
    { "http.listen", PW_KEY_LISTEN, .required = true, .min = 1, .max = 260, IN_TOPOLOGY(http_listen), .restart = true,
      .doc = "Address and port, such as 127.0.0.1:9464 or [::1]:9464; port 0 takes a free one." },

    { "admin", PW_KEY_MAP, .doc = "The web page and its API; without it nothing listens. See admin.md." },
    { "admin.listen", PW_KEY_LISTEN, .required = true, .min = 1, .max = 260, IN_TOPOLOGY(admin_listen), .restart = true,
      .doc =
          "Address and port, such as 127.0.0.1:9465. Any but 127.0.0.0/8, [::1] and localhost needs a token, and a certificate or plain." },
    { "admin.token", PW_KEY_TEXT, .secret = true, .min = 20, .max = 512, IN_TOPOLOGY(admin_token), .dflt_text = "none",
      .doc =
          "Who sends it may redrive, reload, pause, drain and resume; without it nobody may. Keep it in a file: ${file:/run/secrets/admin-token}." },
    { "admin.dsn", PW_KEY_TEXT, .secret = true, .min = 1, .max = PW_KEYS_MAX_TEXT, IN_TOPOLOGY(admin_dsn),
      .dflt_text = "postgres.dsn",
      .doc =
          "Connection string, as postgres.dsn, for `pawl dlq`, `offsets`, `audit`, `explain`, `pause`, `drain` and `resume`, so also for what the admin port does: the role pawl_operator." },
    { "admin.certificate", PW_KEY_BESIDE, .min = 1, .max = PW_KEYS_MAX_TEXT, IN_TOPOLOGY(admin_certificate),
      .dflt_text = "none", .restart = true,
      .doc = "File with the certificate, and its chain, in PEM: TLS. It is read at the start." },
    { "admin.key", PW_KEY_BESIDE, .min = 1, .max = PW_KEYS_MAX_TEXT, IN_TOPOLOGY(admin_key), .dflt_text = "none",
      .restart = true, .doc = "File with its key, in PEM; as closed to others as that of a secret." },
    { "admin.name", PW_KEY_TEXT, .min = 1, .max = 253, IN_TOPOLOGY(admin_name), .dflt_text = "none", .restart = true,
      .doc =
          "Host name by which browsers reach it, if it is not the one in listen. Requests that name another host are refused; addresses and localhost are not." },
    { "admin.plain", PW_KEY_BOOL, .dflt_text = "false", IN_TOPOLOGY(admin_plain), .restart = true,
      .doc = "Listen beyond loopback without TLS: whoever can read the network can read the token." },

    PW_KEYS_TRACE(IN_TOPOLOGY),

    { "pipelines", PW_KEY_PIPELINES, .required = true, .min = 1, .max = PW_KEYS_MAX_PIPELINES,
      .doc = "Each has a plugin and the topics that feed it." },

    { "pipelines.*.source", PW_KEY_MAP, .required = true, .doc = "What is read." },
    { "pipelines.*.source.topics", PW_KEY_TOPICS, .required = true, .min = 1, .max = 16, .restart = true,
      .doc = "Topics; they must exist." },
    { "pipelines.*.source.group", PW_KEY_GROUP, .required = true, IN_PIPELINE(group), .restart = true,
      .doc = "Consumer group; it names the pipeline's positions in PostgreSQL, so no two pipelines may share it." },
    { "pipelines.*.source.start", PW_KEY_CHOICE, .choices = "earliest|latest", .dflt = "earliest", IN_PIPELINE(start),
      .doc = "Where a partition begins that has no position yet." },

    { "pipelines.*.plugin", PW_KEY_MAP, .required = true, .doc = "What handles the messages." },
    { "pipelines.*.plugin.path", PW_KEY_TEXT, .required = true, .min = 1, .max = PW_KEYS_MAX_TEXT, IN_PIPELINE(plugin_path),
      .doc = "The plugin's file; a relative path counts from plugin_dir." },
    { "pipelines.*.plugin.sha256", PW_KEY_SHA256, .min = 64, .max = 64, IN_PIPELINE(plugin_sha256), .dflt_text = "none",
      .doc = "SHA-256 of the plugin's file, as sha256sum prints it. Another file is not loaded." },
    { "pipelines.*.plugin.config", PW_KEY_BESIDE, .min = 1, .max = PW_KEYS_MAX_TEXT, IN_PIPELINE(plugin_config),
      .dflt_text = "none",
      .doc       = "The plugin's own configuration (libconfig); a relative path counts from the folder of this file." },
    { "pipelines.*.plugin.files", PW_KEY_BESIDE, .min = 1, .max = PW_KEYS_MAX_TEXT, IN_PIPELINE(plugin_files),
      .dflt_text = "none",
      .doc =
          "A file or folder that the plugin itself may read, such as libraries it brings; a relative path counts from the folder of this file." },

    { "pipelines.*.plugin.golden", PW_KEY_BESIDE, .min = 1, .max = PW_KEYS_MAX_TEXT, IN_PIPELINE(plugin_golden),
      .dflt_text = "none",
      .doc =
          "Golden cases, a file or a folder, that a new version must pass before a reload takes it; a relative path counts from "
          "the folder of this file." },
    { "pipelines.*.shadow", PW_KEY_MAP,
      .doc =
          "A candidate that is run beside the plugin, in a process of its own, and compared with it; nothing of it is done. See plugins/shadow.md." },
    { "pipelines.*.shadow.path", PW_KEY_TEXT, .required = true, .min = 1, .max = PW_KEYS_MAX_TEXT, IN_PIPELINE(shadow_path),
      .doc = "The candidate's file; a relative path counts from plugin_dir." },
    { "pipelines.*.shadow.config", PW_KEY_BESIDE, .min = 1, .max = PW_KEYS_MAX_TEXT, IN_PIPELINE(shadow_config),
      .dflt_text = "none", .doc = "Its configuration; a relative path counts from the folder of this file." },
    { "pipelines.*.shadow.sample", PW_KEY_PERCENT, .min = 1, .max = 100000, .dflt = "10%", IN_PIPELINE(shadow_sample),
      .doc =
          "Share of the messages that it is given: of the keys, and of messages without a key by their offset; always the same ones." },
    { "pipelines.*.shadow.max_memory", PW_KEY_SIZE, .min = 16 * MIB, .max = 64 * 1024 * MIB, .dflt = "1024MiB",
      IN_PIPELINE(shadow_max_memory), .doc = "Resident memory beyond which its process is ended and started again." },

    { "pipelines.*.middleware", PW_KEY_LAYERS, .max = PW_LAYERS_MAX, .choices = PW_KEYS_LAYERS, .dflt_text = "[log, trace]",
      .doc =
          "What stands around the plugin, outermost first: names of the runtime's own, such as log, and mappings; [] is nothing. See plugins/middleware.md." },
    { "pipelines.*.middleware.name", PW_KEY_CHOICE, .choices = PW_KEYS_LAYERS,
      .doc = "One of the runtime's own; this or path." },
    { "pipelines.*.middleware.path", PW_KEY_TEXT, .min = 1, .max = PW_KEYS_MAX_TEXT, IN_LAYER(path),
      .doc = "A middleware's file; a relative path counts from plugin_dir." },
    { "pipelines.*.middleware.sha256", PW_KEY_SHA256, .min = 64, .max = 64, IN_LAYER(sha256), .dflt_text = "none",
      .doc = "With path: SHA-256 of the file. Another file is not loaded." },
    { "pipelines.*.middleware.config", PW_KEY_BESIDE, .min = 1, .max = PW_KEYS_MAX_TEXT, IN_LAYER(config), .dflt_text = "none",
      .doc = "With path: its own configuration (libconfig); a relative path counts from the folder of this file." },
    { "pipelines.*.middleware.keys", PW_KEY_CHOICE, .choices = "no|hash|yes", .dflt = "no", IN_LAYER(keys),
      .doc = "log: do lines tell the key of their message? It may be personal data, and a hash of it can be guessed." },
    { "pipelines.*.middleware.reasons", PW_KEY_BOOL, .dflt = "false", IN_LAYER(reasons),
      .doc =
          "log: do lines tell the reason of a verdict besides its code? Plugins and PostgreSQL may quote the message in it." },

    { "pipelines.*.outputs", PW_KEY_OUTPUTS, .max = PW_KEYS_MAX_OUTPUTS,
      .doc = "Topic of each output that the plugin declares; none may be a topic of the same pipeline's source." },

    { "pipelines.*.workers", PW_KEY_INT, .min = 1, .max = 64, .dflt = "2", IN_PIPELINE(workers), .restart = true,
      .doc = "Worker processes; more than partitions are idle." },

    { "pipelines.*.batch", PW_KEY_MAP, .doc = "What one transaction holds. A batch ends at the first limit it meets." },
    { "pipelines.*.batch.max_messages", PW_KEY_INT, .min = 1, .max = 10000, .dflt = "2000", IN_PIPELINE(batch_max_messages),
      .doc = "Most messages." },
    { "pipelines.*.batch.max_bytes", PW_KEY_SIZE, .min = 64 * KIB, .max = 256 * MIB, .dflt = "8MiB",
      IN_PIPELINE(batch_max_bytes),
      .doc = "Most bytes of keys, values and headers; one message larger than that is a batch of its own." },
    { "pipelines.*.batch.linger", PW_KEY_DURATION, .min = 0, .max = 10 * SECOND, .dflt = "0ms", IN_PIPELINE(batch_linger_ms),
      .doc = "How long to wait for more messages when there are few." },

    { "pipelines.*.receipts", PW_KEY_BOOL, .dflt = "true", IN_PIPELINE(receipts),
      .doc =
          "A row of pawl.receipts for each batch and partition, so that `pawl audit` can prove what became of every offset." },

    { "pipelines.*.retry", PW_KEY_MAP,
      .doc = "A message that the plugin answers with RETRY. Outages of Kafka or PostgreSQL are waited for without counting." },
    { "pipelines.*.retry.attempts", PW_KEY_INT, .min = 1, .max = 1000, .dflt = "5", IN_PIPELINE(retry_attempts),
      .doc = "Attempts in all, before the message counts as rejected." },
    { "pipelines.*.retry.backoff", PW_KEY_DURATION, .min = 1, .max = HOUR, .dflt = "100ms", IN_PIPELINE(retry_backoff_ms),
      .doc = "Wait before the second attempt; it doubles each time." },
    { "pipelines.*.retry.max_backoff", PW_KEY_DURATION, .min = 1, .max = HOUR, .dflt = "30s", IN_PIPELINE(retry_max_backoff_ms),
      .doc = "Longest wait; not below backoff." },
    { "pipelines.*.retry.mode", PW_KEY_CHOICE, .choices = "block|park", .dflt = "block", IN_PIPELINE(retry_mode),
      .doc = "What waits with the message: its partition (block), or only the later messages of its key (park)." },
    { "pipelines.*.retry.park_max_messages", PW_KEY_INT, .min = 1, .max = 100000, .dflt = "10000",
      IN_PIPELINE(retry_park_max_messages),
      .doc = "Most messages that may be parked of one partition; beyond it the partition waits." },
    { "pipelines.*.retry.park_max_bytes", PW_KEY_SIZE, .min = 64 * KIB, .max = 1024 * MIB, .dflt = "64MiB",
      IN_PIPELINE(retry_park_max_bytes), .doc = "Most bytes of keys, values and headers that may be parked of one partition." },

    { "pipelines.*.dlq", PW_KEY_MAP, .doc = "Where rejected messages go. Without it a rejected message stops its partition." },
    { "pipelines.*.dlq.topic", PW_KEY_TOPIC, .required = true, IN_PIPELINE(dlq_topic),
      .doc = "Dead-letter topic; not a topic of the same pipeline's source." },

    { "pipelines.*.dedupe", PW_KEY_MAP,
      .doc =
          "Copies of an event that had its effect are passed over. Without it they are handled. Give either header or key; see delivery.md." },
    { "pipelines.*.dedupe.header", PW_KEY_TEXT, .min = 1, .max = 255, IN_PIPELINE(dedupe_header), .dflt_text = "none",
      .restart = true,
      .doc     = "Header whose value is the event's id, such as ce_id; if it is there more than once, the last one counts." },
    { "pipelines.*.dedupe.key", PW_KEY_BOOL, .dflt_text = "false", IN_PIPELINE(dedupe_key), .restart = true,
      .doc = "The record's key is the event's id." },
    { "pipelines.*.dedupe.window", PW_KEY_DURATION, .required = true, .min = MINUTE, .max = 90 * DAY,
      IN_PIPELINE(dedupe_window_ms), .restart = true,
      .doc = "How long an id is remembered at least; at most half of it longer." },

    { "pipelines.*.handler_timeout", PW_KEY_DURATION, .min = 100, .max = 45 * SECOND, .dflt = "10s",
      IN_PIPELINE(handler_timeout_ms),
      .doc =
          "A call into the plugin that takes longer counts as a crash. It ends well before the 60 s after which Kafka takes the partitions away." },
    { "pipelines.*.crash_limit", PW_KEY_INT, .min = 1, .max = 100, .dflt = "3", IN_PIPELINE(crash_limit),
      .doc = "Crashes with the same message in hand before it counts as rejected." },

    { "pipelines.*.sandbox", PW_KEY_BOOL, .dflt = "true", IN_PIPELINE(sandbox),
      .doc =
          "Workers can run no program, make no process, reach no other process, listen on no socket, write no file, and read and connect to what they need only; see SECURITY.md. false: they can." },
    { "pipelines.*.connect", PW_KEY_PORTS, .min = 1, .max = 400, IN_PIPELINE(connect), .dflt_text = "none",
      .doc =
          "TCP ports that workers may connect to beside those in bootstrap.servers and postgres.dsn, such as other ports that brokers tell their clients." },

    { "pipelines.*.crash_storm", PW_KEY_MAP,
      .doc = "When different messages crash again and again, the plugin is to blame and not they." },
    { "pipelines.*.crash_storm.messages", PW_KEY_INT, .min = 0, .max = 100, .dflt = "5", IN_PIPELINE(crash_storm_messages),
      .doc = "So many different messages that each crashed twice (once if crash_limit is 1) are a storm; 0: never." },
    { "pipelines.*.crash_storm.window", PW_KEY_DURATION, .min = 1 * SECOND, .max = 24 * HOUR, .dflt = "10m",
      IN_PIPELINE(crash_storm_window_ms),
      .doc = "Within so long; and while the pipeline does nothing else, however long it takes." },
    { "pipelines.*.crash_storm.action", PW_KEY_CHOICE, .choices = "stop|continue", .dflt = "stop",
      IN_PIPELINE(crash_storm_action),
      .doc = "Stop: the pipeline's workers end and stay away until `pawl resume` or a restart. Continue: it is only logged." },

    { "pipelines.*.log_level", PW_KEY_CHOICE, .choices = "inherit|debug|info|warn|error", .dflt = "inherit",
      IN_PIPELINE(log_level),
      .doc =
          "Least level that its workers log. inherit: that of the runtime (--log-level). `pawl log-level` changes it for a while." },

    { "pipelines.*.slo", PW_KEY_MAP,
      .doc = "What `pawl generate rules` makes alerts of; see operations.md. Nothing else looks at it." },
    { "pipelines.*.slo.availability", PW_KEY_PERCENT, .min = 95000, .max = 99999, .dflt = "99.98%",
      IN_PIPELINE(slo_availability), .doc = "Share of the time that the pipeline works." },
    { "pipelines.*.slo.latency", PW_KEY_CHOICE, .choices = LATENCIES, .dflt = "1s", IN_PIPELINE(slo_latency),
      .doc =
          "An event that takes longer, from its timestamp to its COMMIT, is late. The choices are limits of the histogram." },
    { "pipelines.*.slo.latency_share", PW_KEY_PERCENT, .min = 95000, .max = 99999, .dflt = "99%",
      IN_PIPELINE(slo_latency_share), .doc = "Share of the events that are not late." },

    { "pipelines.*.reload", PW_KEY_MAP, .doc = "How a new version of the plugin is taken into use; see operations.md." },
    { "pipelines.*.reload.timeout", PW_KEY_DURATION, .min = 1 * SECOND, .max = HOUR, .dflt = "30s",
      IN_PIPELINE(reload_timeout_ms),
      .doc =
          "How long each step may take: the probe, a new worker getting ready, the old one finishing its batch, the new one taking over." },
    { "pipelines.*.reload.probation_messages", PW_KEY_INT, .min = 0, .max = 1000000, .dflt = "1000",
      IN_PIPELINE(reload_probation_messages),
      .doc = "Messages that a new version must handle before the one before is forgotten; 0: no probation." },
    { "pipelines.*.reload.probation_time", PW_KEY_DURATION, .min = 0, .max = 24 * HOUR, .dflt = "30s",
      IN_PIPELINE(reload_probation_time_ms),
      .doc = "Probation ends after so long, too, however few messages there were; 0ms: no probation." },
    { "pipelines.*.reload.max_rejects", PW_KEY_INT, .min = 0, .max = 1000000, .dflt = "10", IN_PIPELINE(reload_max_rejects),
      .doc =
          "Messages that each worker may reject on probation, on top of twice the share that was rejected before. The batch that exceeds it is not committed." },
    { "pipelines.*.reload.max_state", PW_KEY_SIZE, .min = 0, .max = 256 * MIB, .dflt = "16MiB", IN_PIPELINE(reload_max_state),
      .doc =
          "Most bytes of the cache that each worker's plugin may hand over to its successor; it starts cold with a larger one. 0B: none is handed over." },
    { "pipelines.*.reload.watch", PW_KEY_BOOL, .dflt = "false", IN_PIPELINE(reload_watch),
      .doc =
          "Reload by itself when the plugin's file or its configuration has changed and then stayed the same for 2 s. Changes of the topology are not looked for." },
};

uint32_t pw_pipeline_slo_latency_ms(const struct pw_pipeline *pl)
{
    const char *at = LATENCIES;
    char        one[16];
    int64_t     ms = 0;
    size_t      n;

    for (uint32_t i = 0; i < pl->slo_latency; i++)
        at += strcspn(at, "|") + 1;
    n = strcspn(at, "|");
    PW_ASSERT(n < sizeof(one));
    memcpy(one, at, n);
    one[n] = 0;
    PW_ASSERT(pw_value_duration(one, &ms));
    return (uint32_t)ms;
}

#define TABLE_N (sizeof(table) / sizeof(table[0]))

const struct pw_key *pw_keys(size_t *ret_n)
{
    *ret_n = TABLE_N;
    return table;
}

const char *pw_key_name_in(const struct pw_key *k, const char *parent)
{
    size_t      n = strlen(parent);
    const char *name;

    if (strncmp(k->path, parent, n) != 0 || (n > 0 && k->path[n] != '.'))
        return NULL;
    name = k->path + n + (n > 0);
    return strchr(name, '.') ? NULL : name;
}

int pw_key_choice(const char *choices, const char *value)
{
    size_t n = strlen(value);
    int    i = 0;

    for (const char *c = choices; c; i++) {
        size_t len = strcspn(c, "|");

        if (len == n && memcmp(c, value, n) == 0)
            return i;
        c = c[len] ? c + len + 1 : NULL;
    }
    return -1;
}

static const char *expect_choice(const char *choices, char *buf, size_t cap)
{
    size_t n = 0;

    for (const char *c = choices; *c && n + 5 < cap; c++) { /* "a|b" reads "a or b" */
        if (*c == '|')
            n += (size_t)snprintf(buf + n, cap - n, " or ");
        else
            buf[n++] = *c;
    }
    buf[n] = 0;
    return buf;
}

const char *pw_key_expect(const struct pw_key *k, char *buf, size_t cap)
{
    char from[32], to[32];

    switch (k->type) {
    case PW_KEY_INT:
        if (k->min == k->max)
            (void)snprintf(buf, cap, "%" PRId64, k->min);
        else
            (void)snprintf(buf, cap, "a whole number from %" PRId64 " to %" PRId64, k->min, k->max);
        return buf;
    case PW_KEY_DURATION:
        (void)snprintf(buf, cap, "a duration from %s to %s", pw_value_show_duration(k->min, from, sizeof(from)),
                       pw_value_show_duration(k->max, to, sizeof(to)));
        return buf;
    case PW_KEY_SIZE:
        (void)snprintf(buf, cap, "a size from %s to %s", pw_value_show_size(k->min, from, sizeof(from)),
                       pw_value_show_size(k->max, to, sizeof(to)));
        return buf;
    case PW_KEY_PERCENT:
        (void)snprintf(buf, cap, "a percentage from %s to %s", pw_value_show_percent(k->min, from, sizeof(from)),
                       pw_value_show_percent(k->max, to, sizeof(to)));
        return buf;
    case PW_KEY_BOOL: return "true or false";
    case PW_KEY_CHOICE: return expect_choice(k->choices, buf, cap);
    case PW_KEY_MAP: return "a mapping";
    case PW_KEY_PIPELINES:
        (void)snprintf(buf, cap, "a mapping of %" PRId64 " to %" PRId64 " pipelines", k->min, k->max);
        return buf;
    case PW_KEY_NAMED: return k->choices;
    case PW_KEY_KAFKA: return "a mapping of librdkafka properties";
    case PW_KEY_OUTPUTS: (void)snprintf(buf, cap, "a mapping of at most %" PRId64 " ports to topics", k->max); return buf;
    case PW_KEY_TOPICS: (void)snprintf(buf, cap, "a list of %" PRId64 " to %" PRId64 " topics", k->min, k->max); return buf;
    case PW_KEY_LAYERS: (void)snprintf(buf, cap, "a list of at most %" PRId64 " names or mappings", k->max); return buf;
    case PW_KEY_TEXT:
    case PW_KEY_BESIDE:
        (void)snprintf(buf, cap, "%s of %" PRId64 " to %" PRId64 " bytes", k->type == PW_KEY_TEXT ? "text" : "a path", k->min,
                       k->max);
        return buf;
    case PW_KEY_FOLDER: (void)snprintf(buf, cap, "an absolute path of at most %" PRId64 " bytes", k->max); return buf;
    case PW_KEY_NAME: return "a name";
    case PW_KEY_TOPIC: return "the name of a topic";
    case PW_KEY_GROUP: return "the name of a consumer group";
    case PW_KEY_SHA256: return "a SHA-256 in 64 hexadecimal digits";
    case PW_KEY_LISTEN: return "address:port";
    case PW_KEY_PORTS: return "ports, such as 443,30000-30100";
    }
    return "";
}
