#include "order.h"

#include "@name@.pb-c.h"

#include <string.h>

/* Where a message is decoded to: the plugin's memory for this message. */
static void *take(void *arg, size_t n)
{
    pawl_ctx *c = arg;

    return c->host->alloc(c, n);
}

static void give(void *arg, void *p)
{
    (void)arg;
    (void)p; /* goes with the message */
}

bool order_decode(pawl_ctx *c, pawl_bytes value, struct order *ret)
{
    ProtobufCAllocator       allocator = { take, give, c };
    const @Name@__V1__Order *order     = value.p ? @name@__v1__order__unpack(&allocator, value.n, value.p) : NULL;

    if (!order || !*order->order_id || order->amount_minor < 0)
        return false;
    *ret = (struct order){ { order->order_id, strlen(order->order_id) }, order->amount_minor };
    return true;
}

pawl_bytes order_encode_total(pawl_ctx *c, pawl_bytes customer, int64_t orders, int64_t total_minor)
{
    @Name@__V1__Total total = @NAME@__V1__TOTAL__INIT;
    char             *text  = c->host->alloc(c, customer.n + 1); /* zeroed: a string for protobuf-c */
    uint8_t          *bytes;

    memcpy(text, customer.p, customer.n);
    total.customer    = text;
    total.orders      = orders;
    total.total_minor = total_minor;
    bytes             = c->host->alloc(c, @name@__v1__total__get_packed_size(&total));
    return (pawl_bytes){ bytes, @name@__v1__total__pack(&total, bytes) };
}
