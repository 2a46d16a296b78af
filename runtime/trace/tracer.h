/* tracer: spans to a receiver of OTLP over HTTP. A thread of its own sends them in batches; who makes a span never waits. A span that
 * finds the queue full is dropped and counted, and so is one that the receiver does not take. */
#ifndef PW_TRACE_TRACER_H
#define PW_TRACE_TRACER_H

#include "base/err.h"
#include "trace/span.h"

struct pw_tracer;

struct pw_tracer_settings {
    const char *endpoint;
    const char *header; /* "Name: value"; NULL: none */
    const char *ca;     /* NULL: the system's */
    uint32_t    timeout_ms;
    uint32_t    queue;                        /* spans that may wait */
    const char *service, *instance, *version; /* what the spans are said to come from */
};

/* After the last fork. Keeps no pointer into the settings. */
int pw_tracer_open(const struct pw_tracer_settings *se, struct pw_tracer **ret, struct pw_err *err) PW_MUST_CHECK;
/* Ends the thread, once. What waits is sent, for at most timeout_ms; then it is dropped. Nothing that comes later is sent. */
void              pw_tracer_stop(struct pw_tracer *tr, int timeout_ms);
struct pw_tracer *pw_tracer_free(struct pw_tracer *tr); /* stopped, and nobody uses it. NULL is a no-op. Returns NULL */

void     pw_tracer_put(struct pw_tracer *tr, const struct pw_trace_span *sp); /* any thread */
uint64_t pw_tracer_sent(const struct pw_tracer *tr);
uint64_t pw_tracer_dropped(const struct pw_tracer *tr);

#endif
