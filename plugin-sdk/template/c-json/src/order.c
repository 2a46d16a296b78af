#include "order.h"

#include <jansson.h>
#include <pawl/sugar.h>

static pawl_bytes keep(pawl_ctx *c, const char *p, size_t n)
{
    char *to = c->host->alloc(c, n + 1);

    memcpy(to, p, n);
    return (pawl_bytes){ to, n };
}

bool order_decode(pawl_ctx *c, pawl_bytes value, struct order *ret)
{
    json_t *root = json_loadb(value.p ? value.p : "", value.n, JSON_REJECT_DUPLICATES, NULL);
    json_t *id = json_object_get(root, "order_id"), *amount = json_object_get(root, "amount_minor");
    bool    ok = json_is_string(id) && json_string_length(id) > 0 && json_is_integer(amount) && json_integer_value(amount) >= 0;

    if (ok)
        *ret = (struct order){ keep(c, json_string_value(id), json_string_length(id)), json_integer_value(amount) };
    json_decref(root);
    return ok;
}

pawl_bytes order_encode_total(pawl_ctx *c, pawl_bytes customer, int64_t orders, int64_t total_minor)
{
    json_t *root = json_pack("{s:s%,s:I,s:I}", "customer", (const char *)customer.p, customer.n, "orders", (json_int_t)orders,
                             "total_minor", (json_int_t)total_minor);
    char   *text = root ? json_dumps(root, JSON_COMPACT) : NULL; /* NULL: the customer is no UTF-8 */
    pawl_bytes b = text ? keep(c, text, strlen(text)) : pawl_cstr("null");

    free(text);
    json_decref(root);
    return b;
}
