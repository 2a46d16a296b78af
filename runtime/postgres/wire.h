/* wire: big-endian integers as PostgreSQL's protocol has them. */
#ifndef PW_POSTGRES_WIRE_H
#define PW_POSTGRES_WIRE_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

static inline void pw_wire_put16(char *to, uint16_t v)
{
    v = htobe16(v);
    memcpy(to, &v, sizeof(v));
}

static inline void pw_wire_put32(char *to, uint32_t v)
{
    v = htobe32(v);
    memcpy(to, &v, sizeof(v));
}

static inline void pw_wire_put64(char *to, uint64_t v)
{
    v = htobe64(v);
    memcpy(to, &v, sizeof(v));
}

static inline uint16_t pw_wire_get16(const char *p)
{
    uint16_t v;

    memcpy(&v, p, sizeof(v));
    return be16toh(v);
}

static inline uint32_t pw_wire_get32(const char *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return be32toh(v);
}

static inline uint64_t pw_wire_get64(const char *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return be64toh(v);
}

#endif
