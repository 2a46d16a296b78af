/* context: a place in a trace, as W3C Trace Context writes it into the header `traceparent`. Pure, but for the dice. */
#ifndef PW_TRACE_CONTEXT_H
#define PW_TRACE_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PW_TRACEPARENT     "traceparent"
#define PW_TRACESTATE      "tracestate"
#define PW_TRACEPARENT_N   55  /* 00-<32 hex>-<16 hex>-<2 hex> */
#define PW_TRACESTATE_MAX  512 /* a longer one is not passed on */
#define PW_TRACE_SHARE_ALL 100000

struct pw_trace_context {
    uint8_t trace[16], span[8];
    uint8_t flags;
};

/* false: it is no traceparent, and the trace begins anew. One of a later version is read as far as version 00 goes. */
bool pw_trace_context_read(const void *p, size_t n, struct pw_trace_context *ret);
void pw_trace_context_write(const struct pw_trace_context *cx, char ret[PW_TRACEPARENT_N + 1]);
bool pw_trace_context_sampled(const struct pw_trace_context *cx);
/* Printable and not too long: it may be passed on. */
bool pw_trace_state_ok(const void *p, size_t n);

void pw_trace_id_write(const uint8_t span[8], char ret[17]); /* in hex */
bool pw_trace_id_read(const void *p, size_t n, uint8_t ret[8]);

/* Randomness for ids, of one thread; from the kernel, in portions. Zeroed before its first use. */
struct pw_trace_dice {
    uint8_t pool[256];
    size_t  left;
};
void pw_trace_roll(struct pw_trace_dice *di, void *ret, size_t n); /* never all zero */

/* Is a trace with this id one of the share (thousandths of a percent)? All who ask with the same share agree. */
bool pw_trace_in_share(const uint8_t trace[16], uint32_t share);
/* A new span: below the parent, whose decision it inherits, or (NULL) as the root of a trace that is sampled by its share. */
void pw_trace_context_start(struct pw_trace_dice *di, uint32_t share, const struct pw_trace_context *parent,
                            struct pw_trace_context *ret);

#endif
