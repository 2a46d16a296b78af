/* span: one span, and how OTLP writes it: protobuf, with the field numbers of opentelemetry-proto (trace/v1, common/v1, resource/v1,
 * collector/trace/v1). Pure. */
#ifndef PW_TRACE_SPAN_H
#define PW_TRACE_SPAN_H

#include "base/buf.h"
#include "trace/context.h"

#define PW_TRACE_SPAN_ATTRS    14
#define PW_TRACE_SPAN_TEXT_MAX 256 /* bytes of a text; what is longer is cut */

enum pw_trace_kind { PW_TRACE_SPAN_INTERNAL = 1, PW_TRACE_SPAN_PRODUCER = 4, PW_TRACE_SPAN_CONSUMER = 5 };

struct pw_trace_span_attr {
    const char *key, *text; /* text NULL: the number */
    int64_t     number;
};

struct pw_trace_span {
    struct pw_trace_context        self;
    const uint8_t                 *parent; /* a span of the same trace; NULL: none */
    const char                    *state;  /* tracestate */
    size_t                         state_n;
    const char                    *verb, *object; /* its name is "verb object" */
    enum pw_trace_kind             kind;
    int64_t                        begin_us, end_us; /* wall */
    struct pw_trace_span_attr      attrs[PW_TRACE_SPAN_ATTRS];
    size_t                         attrs_n;
    const struct pw_trace_context *links;
    size_t                         links_n, links_left_out;
    const char                    *error; /* a code, for the attribute error.type and the status; NULL: it went well */
};

void pw_trace_span_text(struct pw_trace_span *sp, const char *key, const char *text);
void pw_trace_span_number(struct pw_trace_span *sp, const char *key, int64_t number);

/* A field `spans` of a ScopeSpans. What is not printable ASCII in a text becomes '?', for a text must be UTF-8. */
void pw_trace_span_encode(const struct pw_trace_span *sp, struct pw_buf *out);
/* The body of a request: spans that were encoded, one after the other. */
void pw_trace_span_request(struct pw_buf *out, const struct pw_trace_span_attr *resource, size_t resource_n, const char *scope,
                           const char *version, const void *spans, size_t spans_n);
/* Of an answer: how many spans the receiver did not take; 0 if it does not say. */
uint64_t pw_trace_span_rejected(const void *answer, size_t n);

#endif
