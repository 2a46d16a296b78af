/* grpc: gRPC over HTTP/2 as pure functions: message framing, time-outs, status and its details. No socket in here.
 * https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md */
#ifndef GW_GRPC_H
#define GW_GRPC_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum gw_status {
    GW_OK = 0,
    GW_CANCELLED,
    GW_UNKNOWN,
    GW_INVALID_ARGUMENT,
    GW_DEADLINE_EXCEEDED,
    GW_NOT_FOUND,
    GW_ALREADY_EXISTS,
    GW_PERMISSION_DENIED,
    GW_RESOURCE_EXHAUSTED,
    GW_FAILED_PRECONDITION,
    GW_ABORTED,
    GW_OUT_OF_RANGE,
    GW_UNIMPLEMENTED,
    GW_INTERNAL,
    GW_UNAVAILABLE,
    GW_DATA_LOSS,
    GW_UNAUTHENTICATED,
    GW_STATUS_N
};
const char *gw_status_name(enum gw_status st); /* "INVALID_ARGUMENT" */

/* ---- messages ---- */

#define GW_PREFIX_BYTES 5 /* of a message: compressed or not, length */

/* Cuts the bytes of a stream into messages. */
struct gw_deframer {
    uint32_t      max_bytes; /* of a message, also when it is decompressed */
    bool          gzip;      /* grpc-encoding: gzip; identity otherwise */
    struct pw_buf message;   /* the one that is being put together */
    struct pw_buf plain;     /* decompressed */
    uint8_t       prefix[GW_PREFIX_BYTES];
    size_t        prefix_n, left; /* left: bytes of the message that are missing */
};

void gw_deframer_init(struct gw_deframer *df, uint32_t max_bytes, bool gzip);
void gw_deframer_done(struct gw_deframer *df);
/* Takes bytes until a message is whole. Returns how many were taken; *ret_p is the message, valid until the next call, or
 * NULL if it is not whole yet. A message that cannot be read: *ret_status is not GW_OK, and *ret_why says why. */
size_t gw_deframer_feed(struct gw_deframer *df, const uint8_t *p, size_t n, const uint8_t **ret_p, size_t *ret_n,
                        enum gw_status *ret_status, const char **ret_why);
/* True between two messages: the only place where a stream may end. */
bool gw_deframer_idle(const struct gw_deframer *df);
void gw_frame(struct pw_buf *out, const void *p, size_t n); /* appends a message, not compressed */

/* ---- metadata ---- */

/* "100m": 100 ms. At most 8 digits and one of H M S m u n. Returns false if it is none. */
bool gw_timeout_parse(const char *s, size_t n, int64_t *ret_us);
/* grpc-message: everything but printable ASCII as %XX. */
void gw_percent_encode(struct pw_buf *out, const char *s, size_t n);
void gw_base64(struct pw_buf *out, const void *p, size_t n); /* without padding, as -bin metadata */
/* Is it 00-<32 hex>-<16 hex>-<2 hex> with ids that are not zero, as W3C Trace Context level 1 wants it? */
bool gw_traceparent_ok(const char *s, size_t n);
/* application/grpc, or application/grpc+proto, with or without parameters. */
bool gw_content_type_ok(const char *s, size_t n);

/* ---- details of a status: google.rpc.Status with google.rpc.BadRequest ---- */

struct gw_violation {
    char field[128]; /* "event.issued.period.starts_on" */
    char text[200];
};

/* Appends a google.rpc.Status as bytes. */
void gw_status_details(struct pw_buf *out, enum gw_status st, const char *message, const struct gw_violation *vi, size_t vi_n);

#endif
