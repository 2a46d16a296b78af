/* relay: the workload of `run outputs` as a plugin. Each event is sent on as one output, with its key and its value; nothing is
 * written but what the runtime itself needs for that. */
#include "sql.h"

#include <pawl/sugar.h>

#ifndef RELAY_VERSION
#define RELAY_VERSION "1.0.0"
#endif

static const pawl_port outputs[] = { { PAWL_STR("events"), PAWL_STR("application/octet-stream"),
                                       PAWL_STR("key and value of the event"), 0, 0 } };

static pawl_rc relay_create(const pawl_host *h, void **inst)
{
    (void)h;
    *inst = NULL;
    return PAWL_OK;
}

static pawl_rc relay_handle(void *self, pawl_ctx *c, const pawl_msg *m)
{
    pawl_out out = { .size = sizeof(out), .key = m->key, .value = m->value };

    (void)self;
    if (m->value.n != BENCH_EVENT_BYTES || !m->key.p)
        return pawl_reject(c, "bench.malformed", "an event has %d bytes and a key", BENCH_EVENT_BYTES);
    return pawl_emit(c, &out);
}

static const pawl_plugin relay = {
    .size      = sizeof(pawl_plugin),
    .abi_major = PAWL_ABI_MAJOR,
    .abi_minor = PAWL_ABI_MINOR,
    .id        = PAWL_STR("org.pawl.relay"),
    .version   = PAWL_STR(RELAY_VERSION),
    .doc       = PAWL_STR("The benchmark of outputs."),
    .outputs   = PAWL_SPAN(outputs),
    .create    = relay_create,
    .handle    = relay_handle,
};

PAWL_PLUGIN(relay, "org.pawl.relay", RELAY_VERSION);
