/* metrics: what can be measured, by one table (metrics_table.h): the page that Prometheus reads and the manual (docs/metrics.md). */
#ifndef PW_OBSERVE_METRICS_H
#define PW_OBSERVE_METRICS_H

#include "base/buf.h"
#include "observe/partitions.h"

/* Why a worker was started again. */
enum pw_restart {
    PW_RESTART_SIGNAL = 0, /* killed by a signal that the supervisor did not send */
    PW_RESTART_EXIT,       /* ended itself, with 0 or a code that means nothing */
    PW_RESTART_HUNG,       /* the plugin kept a message longer than handler_timeout */
    PW_RESTART_STUCK,      /* its loop stood still outside the plugin */
    PW_RESTART_FAILED,     /* gave up with an error */
    PW_RESTART_CONFIG,     /* its configuration is wrong */
    PW_RESTART_FENCED,     /* another process uses its group.instance.id */
    PW_RESTART_SPAWN,      /* could not be started */
    PW_RESTART_N
};
const char *pw_restart_name(enum pw_restart reason);

struct pw_metrics_worker {
    uint64_t restarts[PW_RESTART_N];
    int64_t  rss_bytes;  /* -1: not known */
    int64_t  started_us; /* wall clock; 0: not running */
};

/* Outcomes of reloads, in the order of their names. */
#define PW_METRICS_RELOADS 4
extern const char *const pw_metrics_reloads[PW_METRICS_RELOADS];

/* What became of caches at a reload, in the order of their names. */
#define PW_METRICS_CACHES 2
extern const char *const pw_metrics_caches[PW_METRICS_CACHES];

/* Why the admin port refused a request, in the order of their names. */
enum pw_metrics_refusal { PW_REFUSED_TOKEN = 0, PW_REFUSED_LOCKED, PW_REFUSED_HOST, PW_METRICS_REFUSALS };
/* What became of the samples that a candidate was to be given. */
#define PW_METRICS_SHADOWS 5
extern const char *const pw_metrics_shadows[PW_METRICS_SHADOWS];

struct pw_metrics_pipeline {
    const char *name, *plugin_id, *plugin_version;
    uint64_t    halts;
    bool        tripped;
    const char *plugin_build;                /* "" if none */
    uint64_t    reloads[PW_METRICS_RELOADS]; /* by outcome */
    int64_t     reload_pause_us;             /* of the last one that took effect, -1: none */
    bool        reloading;
    uint64_t    caches[PW_METRICS_CACHES]; /* by what became of them */
    bool        shadowed;
    uint64_t    shadows[PW_METRICS_SHADOWS];
};

struct pw_metrics {
    const char                       *version;
    int64_t                           started_us; /* of the supervisor, wall clock */
    int64_t                           rss_bytes;  /* of the supervisor */
    uint64_t                          log_dropped, log_suppressed;
    const struct pw_metrics_pipeline *pipelines;
    size_t                            pipelines_n;
    const struct pw_page             *pages; /* and workers: one each per slot */
    const struct pw_metrics_worker   *workers;
    size_t                            workers_n;
    int64_t                           now_us; /* wall clock */
    uint64_t                          admin_refused[PW_METRICS_REFUSALS];
};

#define PW_METRICS_CONTENT_TYPE      "text/plain; version=0.0.4; charset=utf-8"
#define PW_METRICS_OPEN_CONTENT_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

void pw_metrics_render(struct pw_buf *out, const struct pw_metrics *mx, bool open_metrics);
/* Is OpenMetrics what that Accept header (NULL: none) prefers? */
bool pw_metrics_accepts_open(const char *accept);
/* A limit of a histogram as its label `le` says it: "0.25", "1.0". */
void pw_metrics_le(struct pw_buf *out, double limit);
void pw_metrics_manual(struct pw_buf *out);
/* "down" while there is no worker, else the state in its page. */
const char *pw_worker_state_name(enum pw_bb_state state, int32_t pid);

#endif
