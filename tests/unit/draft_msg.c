#include "draft_msg.h"

#include <assert.h>
#include <string.h>

static void header(struct draft_msg *d, const char *name, const char *value)
{
    if (value)
        d->headers[d->msg.n_headers++] = (pawl_header){ { name, strlen(name) }, { value, strlen(value) } };
}

const pawl_msg *draft_msg(struct draft_msg *d, const char *topic, const ProtobufCMessage *value)
{
    size_t n = protobuf_c_message_get_packed_size(value);

    assert(n <= sizeof(d->bytes));
    (void)protobuf_c_message_pack(value, d->bytes);
    d->msg = (pawl_msg){ .size           = sizeof(d->msg),
                         .topic          = { topic, strlen(topic) },
                         .partition      = 2,
                         .attempt        = 1,
                         .offset         = d->offset,
                         .timestamp_ms   = 1735689600000,
                         .timestamp_type = 1,
                         .value          = { d->bytes, n },
                         .headers        = d->headers };
    if (d->key)
        d->msg.key = (pawl_bytes){ d->key, strlen(d->key) };
    header(d, "ce_id", d->ce_id);
    header(d, "ce_type", d->ce_type);
    header(d, "traceparent", d->traceparent);
    return &d->msg;
}
