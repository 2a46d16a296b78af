#include "base/pb.h"

#include <string.h>

static void put_varint(struct pw_buf *b, uint64_t v)
{
    uint8_t bytes[10];
    size_t  n = 0;

    do {
        bytes[n++] = (uint8_t)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));
        v >>= 7;
    } while (v);
    pw_buf_add(b, bytes, n);
}

void pw_pb_put_uint(struct pw_buf *b, uint32_t field, uint64_t v)
{
    put_varint(b, (uint64_t)field << 3);
    put_varint(b, v);
}

static void put_fixed(struct pw_buf *b, uint32_t tag, uint64_t v, size_t n)
{
    uint8_t bytes[8];

    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)(v >> (8 * i));
    put_varint(b, tag);
    pw_buf_add(b, bytes, n);
}

void pw_pb_put_fixed64(struct pw_buf *b, uint32_t field, uint64_t v)
{
    put_fixed(b, field << 3 | 1, v, 8);
}

void pw_pb_put_fixed32(struct pw_buf *b, uint32_t field, uint32_t v)
{
    put_fixed(b, field << 3 | 5, v, 4);
}

void pw_pb_put_bytes(struct pw_buf *b, uint32_t field, const void *p, size_t n)
{
    put_varint(b, (uint64_t)field << 3 | 2);
    put_varint(b, n);
    pw_buf_add(b, p, n);
}

void pw_pb_put_str(struct pw_buf *b, uint32_t field, const char *s)
{
    pw_pb_put_bytes(b, field, s, strlen(s));
}

struct pw_pb pw_pb_of(const void *p, size_t n)
{
    return (struct pw_pb){ .p = p, .end = p ? (const uint8_t *)p + n : NULL };
}

static bool get_varint(struct pw_pb *pb, uint64_t *ret)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 70 && pb->p < pb->end; shift += 7) {
        uint8_t byte = *pb->p++;

        if (shift == 63 && byte > 1) /* beyond 64 bits */
            return false;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *ret = v;
            return true;
        }
    }
    return false;
}

static bool get_fixed(struct pw_pb *pb, size_t n, uint64_t *ret)
{
    if ((size_t)(pb->end - pb->p) < n)
        return false;
    *ret = 0;
    for (size_t i = 0; i < n; i++)
        *ret |= (uint64_t)pb->p[i] << (8 * i);
    pb->p += n;
    return true;
}

static bool get_value(struct pw_pb *pb, struct pw_pb_field *f)
{
    switch (f->wire) {
    case 0: return get_varint(pb, &f->v);
    case 1: return get_fixed(pb, 8, &f->v);
    case 5: return get_fixed(pb, 4, &f->v);
    case 2:
        if (!get_varint(pb, &f->v) || f->v > (uint64_t)(pb->end - pb->p))
            return false;
        f->p = pb->p;
        f->n = (size_t)f->v;
        pb->p += f->n;
        return true;
    default: return false; /* groups are not used by anything we read */
    }
}

bool pw_pb_next(struct pw_pb *pb, struct pw_pb_field *f)
{
    uint64_t tag;

    *f = (struct pw_pb_field){ 0 };
    if (pb->bad || pb->p == pb->end)
        return false;
    pb->bad = !get_varint(pb, &tag) || tag >> 3 == 0 || tag >> 3 > 0x1fffffff;
    if (pb->bad)
        return false;
    f->number = (uint32_t)(tag >> 3);
    f->wire   = (uint32_t)(tag & 7);
    pb->bad   = !get_value(pb, f);
    return !pb->bad;
}
