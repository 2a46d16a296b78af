/* pb: the protobuf wire format, as far as the services that are not generated need it: status details, health, reflection.
 * https://protobuf.dev/programming-guides/encoding/ */
#ifndef GW_PB_H
#define GW_PB_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void gw_pb_put_uint(struct pw_buf *b, uint32_t field, uint64_t v); /* uint32, uint64, bool, enum, int32 >= 0 */
void gw_pb_put_bytes(struct pw_buf *b, uint32_t field, const void *p, size_t n);
void gw_pb_put_str(struct pw_buf *b, uint32_t field, const char *s);

struct gw_pb_field {
    uint32_t       number, wire; /* wire: 0 varint, 1 fixed64, 2 bytes, 5 fixed32 */
    uint64_t       v;            /* of a varint or fixed value */
    const uint8_t *p;            /* of bytes */
    size_t         n;
};

struct gw_pb {
    const uint8_t *p, *end;
    bool           bad;
};

struct gw_pb gw_pb_of(const void *p, size_t n);
/* The next field; false at the end, or where the bytes are no message: then pb->bad. */
bool gw_pb_next(struct gw_pb *pb, struct gw_pb_field *f);

#endif
