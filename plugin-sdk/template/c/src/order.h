/* order: what is in a message, and in an output. */
#ifndef ORDER_H
#define ORDER_H

#include <pawl/plugin.h>
#include <stdbool.h>

struct order {
    pawl_bytes order_id; /* lives as long as the message's effects */
    int64_t    amount_minor;
};

bool       order_decode(pawl_ctx *c, pawl_bytes value, struct order *ret);
pawl_bytes order_encode_total(pawl_ctx *c, pawl_bytes customer, int64_t orders, int64_t total_minor);

#endif
