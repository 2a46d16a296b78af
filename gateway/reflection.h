/* reflection: the service grpc.reflection, v1 and v1alpha, which differ in their name only. */
#ifndef GW_REFLECTION_H
#define GW_REFLECTION_H

#include "h2.h"

extern const struct gw_method gw_reflection_methods[2];

/* p, n: a ServerReflectionRequest; appends the ServerReflectionResponse. Returns false if it is none. */
bool gw_reflection_answer(const uint8_t *p, size_t n, struct pw_buf *out);

#endif
