/* trace: one span for each event of a sampled trace, from its arrival to the acknowledgement. */
#ifndef GW_TRACE_H
#define GW_TRACE_H

#include "trace/tracer.h"

struct gw_trace {
    struct pw_tracer    *tracer; /* NULL: off */
    struct pw_trace_dice dice;
    uint32_t             share;
    const char          *topic;
};

struct gw_trace_span; /* of an event that is on its way */

/* What the record's header says, from what the client said (NULL: nothing): into text (PW_TRACEPARENT_N + 1 bytes) if it is something
 * else, the span of this event. *ret_span: NULL if there is none. */
const char *gw_trace_begin(struct gw_trace *tr, const char *traceparent, const char *tracestate, size_t bytes, char *text,
                           struct gw_trace_span **ret_span);
/* error NULL: the brokers hold it, at partition and offset. span NULL is a no-op. */
void gw_trace_end(struct gw_trace *tr, struct gw_trace_span *span, const char *error, int32_t partition, int64_t offset);
void gw_trace_drop(struct gw_trace_span *span); /* it was not sent after all */

#endif
