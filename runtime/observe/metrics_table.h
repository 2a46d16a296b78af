/* The table of what can be measured. It makes the page that Prometheus reads (metrics.c) and the manual (metrics_table.c). */
#ifndef PW_OBSERVE_METRICS_TABLE_H
#define PW_OBSERVE_METRICS_TABLE_H

#include <stddef.h>
#include <stdint.h>

/* Where the samples of a metric come from; in groups, by what there is one sample of. */
enum pw_metric_source {
    PW_MX_BUILD = 0, /* the runtime */
    PW_MX_START,
    PW_MX_RSS,
    PW_MX_ADMIN_REFUSED,
    PW_MX_LOG_DROPPED,
    PW_MX_LOG_SUPPRESSED,
    PW_MX_PLUGIN, /* a pipeline */
    PW_MX_TRIPPED,
    PW_MX_RELOADS,
    PW_MX_RELOAD_CACHES,
    PW_MX_RELOAD_PAUSE,
    PW_MX_RELOADING,
    PW_MX_SHADOWS,
    PW_MX_HALTS,
    PW_MX_COUNTER, /* a worker: a counter in its page, at .offset */
    PW_MX_VERDICTS,
    PW_MX_HISTOGRAM,
    PW_MX_STEPS,
    PW_MX_STATE,
    PW_MX_RESTARTS,
    PW_MX_WORKER_START,
    PW_MX_WORKER_RSS,
    PW_MX_OUTAGES,
    PW_MX_ERRORS,
    PW_MX_GAUGE, /* as a counter, but it goes with its worker */
    PW_MX_NEXT,  /* a partition */
    PW_MX_LAG,
    PW_MX_UNPUBLISHED,
    PW_MX_AGE,
    PW_MX_HALTED,
    PW_MX_PARKED,
    PW_MX_PARKED_SINCE,
};

struct pw_metric {
    const char           *name, *type, *unit, *labels, *help; /* the name of a counter ends in _total */
    enum pw_metric_source source;
    size_t                offset;
    const uint64_t       *limits;
    unsigned              series; /* of one runtime, pipeline, worker or partition; 0: one */
};

const struct pw_metric *pw_metrics_table(size_t *ret_n);

#define PW_METRICS_VERDICTS 7
#define PW_METRICS_STATES   7

#endif
