#include "plugin/call.h"
#include "plugin/value.h"

#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

bool pw_value_has_bytes(int32_t type)
{
    return type == PAWL_V_NUMERIC || type == PAWL_V_TEXT || type == PAWL_V_BYTES || type == PAWL_V_UUID || type == PAWL_V_JSON;
}

uint64_t pw_value_hash(const pawl_value *v, uint64_t seed)
{
    if (v->type == PAWL_V_NULL)
        return XXH3_64bits_withSeed("", 0, seed + 1);
    if (pw_value_has_bytes(v->type))
        return XXH3_64bits_withSeed(v->b.p ? v->b.p : "", v->b.n, seed + 2);
    if (v->type == PAWL_V_F64)
        return XXH3_64bits_withSeed(&v->f, sizeof(v->f), seed + 3);
    return XXH3_64bits_withSeed(&v->i, sizeof(v->i), seed + 4);
}

int pw_value_compare(const pawl_value *a, const pawl_value *b)
{
    if (a->type != b->type)
        return a->type < b->type ? -1 : 1;
    if (a->type == PAWL_V_NULL)
        return 0;
    if (pw_value_has_bytes(a->type)) {
        size_t n = a->b.n < b->b.n ? a->b.n : b->b.n;
        int    c = n ? memcmp(a->b.p, b->b.p, n) : 0;

        return c ? c : (a->b.n > b->b.n) - (a->b.n < b->b.n);
    }
    if (a->type == PAWL_V_F64)
        return (a->f > b->f) - (a->f < b->f);
    return (a->i > b->i) - (a->i < b->i);
}
