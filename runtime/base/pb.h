/* pb: the protobuf wire format, for messages that are not generated: the gateway's small services, and spans.
 * https://protobuf.dev/programming-guides/encoding/ */
#ifndef PW_BASE_PB_H
#define PW_BASE_PB_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void pw_pb_put_uint(struct pw_buf *b, uint32_t field, uint64_t v); /* uint32, uint64, bool, enum, int32 >= 0 */
void pw_pb_put_bytes(struct pw_buf *b, uint32_t field, const void *p, size_t n);
void pw_pb_put_fixed64(struct pw_buf *b, uint32_t field, uint64_t v);
void pw_pb_put_fixed32(struct pw_buf *b, uint32_t field, uint32_t v);
void pw_pb_put_str(struct pw_buf *b, uint32_t field, const char *s);

struct pw_pb_field {
    uint32_t       number, wire; /* wire: 0 varint, 1 fixed64, 2 bytes, 5 fixed32 */
    uint64_t       v;            /* of a varint or fixed value */
    const uint8_t *p;            /* of bytes */
    size_t         n;
};

struct pw_pb {
    const uint8_t *p, *end;
    bool           bad;
};

struct pw_pb pw_pb_of(const void *p, size_t n);
/* The next field; false at the end, or where the bytes are no message: then pb->bad. */
bool pw_pb_next(struct pw_pb *pb, struct pw_pb_field *f);

#endif
