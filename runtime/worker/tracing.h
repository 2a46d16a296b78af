/* tracing: a worker's part in traces. Each message of a sampled trace gets one span for each attempt, and so does each of its outputs;
 * a batch with such messages gets one of its own, which they link to. Spans are made of what is committed, so a batch that is run again
 * makes none twice. */
#ifndef PW_WORKER_TRACING_H
#define PW_WORKER_TRACING_H

#include "plugin/call.h"
#include "topology/topology.h"
#include "trace/tracer.h"
#include "worker/batch.h"

#include <librdkafka/rdkafka.h>

/* In an output's row: the span of the message that it comes from. The publisher keeps it. */
#define PW_TRACING_PARENT "pawl-span"

struct pw_outbox;

struct pw_tracing {
    struct pw_tracer    *tracer;
    struct pw_trace_dice dice;
    uint32_t             share;
    const char          *group;
    int64_t              began_us, began_wall_us; /* the run of the batch in hand */
};

/* Where an item is in its trace; its `context`. */
struct pw_tracing_item {
    struct pw_trace_context self, parent;
    bool                    has_parent;
    const char             *state; /* tracestate, of the parent */
    size_t                  state_n;
};

/* A run of the batch begins: each item gets its place, which it keeps when the batch is run again. tg NULL, here and below: tracing is
 * off. */
void pw_tracing_begin(struct pw_tracing *tg, struct pw_batch *ba);
void pw_tracing_committed(struct pw_tracing *tg, const struct pw_batch *ba);
/* It asked to be called again, and its partition waits: nothing of it is committed. */
void pw_tracing_retried(struct pw_tracing *tg, const struct pw_item *it);

/* The headers of an output, with the context that its consumers go on from. Without tracing it is that of the message, unless the plugin
 * has set one. */
const pawl_header *pw_tracing_headers(struct pw_tracing *tg, struct pw_arena *ar, const struct pw_item *it, const pawl_out *out,
                                      size_t *ret_n);

/* The publisher's thread: Kafka has the rows that were read. tr NULL: tracing is off. */
void pw_tracing_published(struct pw_tracer *tr, const struct pw_outbox *ob, const bool *by_reference, int64_t began_us);

#endif
