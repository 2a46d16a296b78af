#include "trace.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct gw_trace_span {
    struct pw_trace_context self, parent;
    bool                    has_parent;
    char                    state[PW_TRACESTATE_MAX];
    size_t                  state_n, bytes;
    int64_t                 began_us, began_wall_us;
};

const char *gw_trace_begin(struct gw_trace *tr, const char *traceparent, const char *tracestate, size_t bytes, char *text,
                           struct gw_trace_span **ret_span)
{
    struct pw_trace_context parent, self;
    struct gw_trace_span   *sp;

    *ret_span = NULL;
    if (!tr->tracer)
        return traceparent;
    if (traceparent && !pw_trace_context_read(traceparent, strlen(traceparent), &parent))
        traceparent = NULL;
    pw_trace_context_start(&tr->dice, tr->share, traceparent ? &parent : NULL, &self);
    if (traceparent && !pw_trace_context_sampled(&self))
        return traceparent;
    pw_trace_context_write(&self, text); /* also a trace that is not sampled: whoever reads it need not decide again */
    if (!pw_trace_context_sampled(&self))
        return text;
    sp = calloc(1, sizeof(*sp));
    PW_ASSERT(sp != NULL);
    sp->self          = self;
    sp->has_parent    = traceparent != NULL;
    sp->bytes         = bytes;
    sp->began_us      = pw_clock_us();
    sp->began_wall_us = pw_clock_wall_us();
    if (traceparent)
        sp->parent = parent;
    if (traceparent && tracestate && pw_trace_state_ok(tracestate, strlen(tracestate))) {
        sp->state_n = strlen(tracestate);
        memcpy(sp->state, tracestate, sp->state_n);
    }
    *ret_span = sp;
    return text;
}

void gw_trace_end(struct gw_trace *tr, struct gw_trace_span *span, const char *error, int32_t partition, int64_t offset)
{
    char                 text[16];
    struct pw_trace_span sp = { .verb = "send", .object = tr->topic, .kind = PW_TRACE_SPAN_PRODUCER, .error = error };

    if (!span)
        return;
    sp.self     = span->self;
    sp.begin_us = span->began_wall_us;
    sp.end_us   = span->began_wall_us + (pw_clock_us() - span->began_us);
    if (span->has_parent)
        sp.parent = span->parent.span;
    if (span->state_n) {
        sp.state   = span->state;
        sp.state_n = span->state_n;
    }
    pw_trace_span_text(&sp, "messaging.system", "kafka");
    pw_trace_span_text(&sp, "messaging.operation.type", "send");
    pw_trace_span_text(&sp, "messaging.operation.name", "send");
    pw_trace_span_text(&sp, "messaging.destination.name", tr->topic);
    pw_trace_span_number(&sp, "messaging.message.body.size", (int64_t)span->bytes);
    if (!error) {
        (void)snprintf(text, sizeof(text), "%d", partition);
        pw_trace_span_text(&sp, "messaging.destination.partition.id", text);
        pw_trace_span_number(&sp, "messaging.kafka.offset", offset);
    }
    pw_tracer_put(tr->tracer, &sp);
    free(span);
}

void gw_trace_drop(struct gw_trace_span *span)
{
    free(span);
}
