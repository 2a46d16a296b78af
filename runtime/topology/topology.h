/* topology: what the YAML file says, checked and with units resolved. One key table (keys.c) drives the loader,
 * the JSON Schema and the manual. Everything here lives in the arena it was loaded into. */
#ifndef PW_TOPOLOGY_TOPOLOGY_H
#define PW_TOPOLOGY_TOPOLOGY_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pw_property {
    const char *key, *value;
    bool        secret; /* came from ${file:...} or names a credential: never printed */
};

enum pw_storm_action { PW_STORM_STOP = 0, PW_STORM_CONTINUE };
enum pw_start { PW_START_EARLIEST = 0, PW_START_LATEST };

/* What waits while a message is tried again: its partition, or only its key. */
enum pw_retry_mode { PW_RETRY_BLOCK = 0, PW_RETRY_PARK };

enum pw_layer_keys { PW_LAYER_KEYS_NO = 0, PW_LAYER_KEYS_HASH, PW_LAYER_KEYS_YES };

/* One of a pipeline's middleware. */
struct pw_layer_conf {
    const char *name;   /* one of the runtime's own; NULL: path */
    const char *path;   /* as pw_pipeline.plugin_path */
    const char *sha256; /* NULL: any */
    const char *config; /* NULL: none */
    uint32_t    keys;   /* log: enum pw_layer_keys */
    uint32_t    reasons;
    int         line;
};
#define PW_LAYERS_MAX 8

struct pw_pipeline {
    const char          *name;
    const char         **topics;
    size_t               topics_n;
    const char          *group;
    enum pw_start        start;         /* where a partition begins that has no stored offset */
    const char          *plugin_path;   /* absolute, or relative to pw_topology.plugin_dir */
    const char          *plugin_sha256; /* of its file, 64 hexadecimal digits; NULL: any */
    const char          *plugin_files;  /* that it may read, resolved alike; NULL: none */
    const char          *connect;       /* further TCP ports; NULL: none */
    const char          *plugin_config; /* resolved against the topology's folder; NULL: none */
    const char          *plugin_golden; /* file or folder of cases that a new version must pass; NULL: none */
    const char          *shadow_path;   /* NULL: no candidate runs beside it */
    const char          *shadow_config;
    uint32_t             shadow_sample; /* thousandths of a percent */
    uint64_t             shadow_max_memory;
    struct pw_property  *outputs; /* port name -> topic */
    size_t               outputs_n;
    uint32_t             workers;
    uint32_t             batch_max_messages;
    uint64_t             batch_max_bytes;
    uint32_t             batch_linger_ms;
    uint32_t             retry_attempts;
    uint32_t             retry_backoff_ms, retry_max_backoff_ms;
    enum pw_retry_mode   retry_mode;
    uint32_t             retry_park_max_messages; /* of one partition */
    uint64_t             retry_park_max_bytes;    /* of one partition */
    uint32_t             receipts;                /* 1: one for each batch and partition */
    const char          *dedupe_header;           /* its last value is the event id */
    uint32_t             dedupe_key;              /* 1: the key is */
    uint64_t             dedupe_window_ms;        /* 0: no de-duplication */
    const char          *dlq_topic;               /* NULL: rejected messages stop the partition */
    uint32_t             handler_timeout_ms;
    uint32_t             crash_limit;
    uint32_t             sandbox;              /* 1: its workers may start nothing and reach no other process */
    uint32_t             crash_storm_messages; /* 0: no limit */
    uint32_t             crash_storm_window_ms;
    enum pw_storm_action crash_storm_action;
    uint32_t             reload_timeout_ms;
    uint32_t             reload_probation_messages;           /* 0: no probation */
    uint32_t             reload_probation_time_ms;            /* 0: no probation */
    uint32_t             reload_max_rejects;                  /* of a worker on probation */
    uint64_t             reload_max_state;                    /* bytes of a worker's cache; 0: none is handed over */
    uint32_t             reload_watch;                        /* 1: the files of the plugin are looked at */
    uint32_t             log_level;                           /* 0: the runtime's; else one more than the level */
    uint32_t             slo_availability, slo_latency_share; /* thousandths of a percent */
    uint32_t             slo_latency;                         /* see pw_pipeline_slo_latency_ms */
    int                  line;                                /* of its key, for later errors */

    struct pw_layer_conf *middleware; /* outermost first */
    size_t                middleware_n;
};

/* See trace.h; endpoint NULL: no spans. */
struct pw_trace_keys {
    const char *endpoint, *header, *ca;
    uint32_t    sample; /* thousandths of a percent */
    uint32_t    queue, timeout_ms;
};

struct pw_topology {
    const char         *file; /* as the user named it */
    struct pw_property *kafka;
    size_t              kafka_n;
    const char         *postgres_dsn;
    const char         *http_listen;                   /* "127.0.0.1:9464"; NULL: no HTTP */
    const char         *admin_listen;                  /* NULL: no web page and no API */
    const char         *admin_dsn;                     /* of operators' commands; NULL: postgres_dsn */
    const char         *admin_token;                   /* NULL: it is read-only */
    const char         *admin_certificate, *admin_key; /* files; NULL: without TLS */
    const char         *admin_name;                    /* of the host, beside that in admin_listen; NULL: none */
    uint32_t            admin_plain;                   /* 1: not only loopback, without TLS */
    const char         *run_dir;                       /* sockets, staged plugins, lock */
    const char         *plugin_dir;
    const char         *instance; /* prefix of group.instance.id; default: host name */
    uint32_t            drain_timeout_ms;
    struct pw_pipeline *pipelines;
    size_t              pipelines_n;

    struct pw_trace_keys trace;
};

/* Loads text (n bytes, as read from `file`; relative paths count from dirname of `file`). All errors of the file are appended to *report,
 * each as "file:line:col: text" + excerpt + caret. Returns 0, or -1 with the first one in *err. */
int pw_topology_parse(struct pw_arena *ar, const char *file, const char *text, size_t n, struct pw_topology **ret_tp,
                      struct pw_buf *report, struct pw_err *err) PW_MUST_CHECK;
/* Appends what the file holds, at most one byte more than a topology may have: the parser then says that it is too large. */
int pw_topology_read(const char *file, struct pw_buf *text, struct pw_err *err) PW_MUST_CHECK;
/* Reads the file and parses it. */
int pw_topology_load(struct pw_arena *ar, const char *file, struct pw_topology **ret_tp, struct pw_buf *report,
                     struct pw_err *err) PW_MUST_CHECK;

uint32_t pw_pipeline_slo_latency_ms(const struct pw_pipeline *pl);

const struct pw_pipeline *pw_topology_pipeline(const struct pw_topology *tp, const char *name); /* NULL: none */

/* What differs between two topologies, or between a pipeline before and after (NULL, NULL: what is outside of pipelines). Names of keys
 * that a reload cannot apply go to *restart, those that it can to *applies, each with ", " between them. Secrets and passwords may
 * differ: who connects reads them anew. */
void pw_topology_diff(const struct pw_topology *before, const struct pw_topology *after, const struct pw_pipeline *pl_before,
                      const struct pw_pipeline *pl_after, struct pw_buf *restart, struct pw_buf *applies);
/* Do two connection strings name the same, but for passwords? */
bool pw_topology_same_dsn(const char *a, const char *b);

/* JSON Schema (draft 2020-12) of the file, and its reference as Markdown; both from the key table. */
void pw_topology_schema(struct pw_buf *out);
void pw_topology_manual(struct pw_buf *out);

#endif
