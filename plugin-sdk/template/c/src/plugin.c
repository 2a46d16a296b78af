/* @name@: what each customer has ordered so far. One order in; the total is kept, and published once it is large. */
#include "@name@_sql.h"
#include "order.h"

#include <pawl/sugar.h>
#include <stdlib.h>

/* ---- what it may read and write ---- */

enum { FIND_TOTAL, SAVE_TOTAL };    /* as in the table below */
enum { TOTAL_ORDERS, TOTAL_MINOR }; /* columns of find_total, after `i` */
enum { OUTPUT_TOTALS };

static const pawl_column find_keys[] = { PAWL_COL("customer", TEXT) };
static const pawl_column save_rows[] = { PAWL_COL("customer", TEXT), PAWL_COL("orders", I64), PAWL_COL("total_minor", I64) };

static const pawl_stmt statements[] = {
    [FIND_TOTAL] = PAWL_READ("find_total", "@name@.total", 0, find_keys,
                             "SELECT k.i, t.orders, t.total_minor FROM keys k JOIN @name@.total t USING (customer)"),
    [SAVE_TOTAL] =
        PAWL_UPSERT("save_total", "@name@.total", 0, save_rows,
                    "INSERT INTO @name@.total (customer, orders, total_minor)"
                    " SELECT customer, orders, total_minor FROM rows"
                    " ON CONFLICT (customer) DO UPDATE SET orders = excluded.orders, total_minor = excluded.total_minor"),
};

/* ---- what it does ---- */

struct limits {
    int64_t max_amount_minor, tell_above_minor;
};

/* May run many times for one message, so: no I/O, no clock, no state. */
static pawl_rc plan(void *self, pawl_ctx *c, const pawl_msg *m)
{
    (void)self;
    return m->key.n ? pawl_read(c, FIND_TOTAL, pawl_text(m->key)) : PAWL_OK;
}

static pawl_rc handle(void *self, pawl_ctx *c, const pawl_msg *m)
{
    const struct limits *limits = self;
    struct order         order;
    int64_t              orders = 0, total = 0;
    pawl_out             out = { .size = sizeof(out), .output = OUTPUT_TOTALS, .key = m->key };
    pawl_rc              rc;

    if (!m->key.n)
        return pawl_reject(c, "order.no_customer", "the record has no key");
    if (!order_decode(c, m->value, &order))
        return pawl_reject(c, "order.malformed", "the value is no order");
    if (order.amount_minor > limits->max_amount_minor)
        return pawl_reject(c, "order.too_large", "order %.*s is about %lld", (int)order.order_id.n,
                           (const char *)order.order_id.p, (long long)order.amount_minor);
    if (pawl_rows(c, FIND_TOTAL) > 0) {
        orders = pawl_cell(c, FIND_TOTAL, 0, TOTAL_ORDERS).i;
        total  = pawl_cell(c, FIND_TOTAL, 0, TOTAL_MINOR).i;
    }
    orders += 1;
    total += order.amount_minor;
    rc = pawl_write(c, SAVE_TOTAL, pawl_text(m->key), pawl_i64(orders), pawl_i64(total));
    if (rc != PAWL_OK || total <= limits->tell_above_minor)
        return rc;
    out.value = order_encode_total(c, m->key, orders, total);
    return pawl_emit(c, &out);
}

static pawl_rc create(const pawl_host *host, void **inst)
{
    struct limits *limits = malloc(sizeof(*limits));
    pawl_value     v;

    if (!limits)
        return PAWL_FATAL;
    *inst = limits;
    if (host->config(host, "max_amount_minor", &v) != PAWL_OK)
        return PAWL_FATAL;
    limits->max_amount_minor = v.i;
    if (host->config(host, "tell_above_minor", &v) != PAWL_OK)
        return PAWL_FATAL;
    limits->tell_above_minor = v.i;
    return PAWL_OK;
}

static void destroy(void *inst)
{
    free(inst);
}

/* ---- what it says about itself ---- */

static const pawl_option options[] = {
    { PAWL_STR("max_amount_minor"),
      PAWL_V_I64,
      0,
      PAWL_STR("1000000"),
      PAWL_STR("1"),
      { 0, 0 },
      PAWL_STR("an order above it is refused") },
    { PAWL_STR("tell_above_minor"),
      PAWL_V_I64,
      0,
      PAWL_STR("500000"),
      PAWL_STR("0"),
      { 0, 0 },
      PAWL_STR("a total above it is published") },
};
static const pawl_port inputs[]  = { { PAWL_STR("orders"), PAWL_STR("@content_type@"), PAWL_STR("an order; key: the customer"),
                                       0, 0 } };
static const pawl_port outputs[] = {
    [OUTPUT_TOTALS] = { PAWL_STR("totals"), PAWL_STR("@content_type@"), PAWL_STR("a customer's total; key: the customer"), 0,
                        0 },
};
static const pawl_migration migrations[] = {
    { 1, 0, PAWL_STR("total"), { sql__001_total, sizeof(sql__001_total) - 1 }, { 0, 0 } },
};

static const pawl_plugin plugin = {
    .size           = sizeof(pawl_plugin),
    .abi_major      = PAWL_ABI_MAJOR,
    .abi_minor      = PAWL_ABI_MINOR,
    .id             = PAWL_STR("org.example.@name@"),
    .version        = PAWL_STR("0.1.0"),
    .doc            = PAWL_STR("What each customer has ordered so far"),
    .inputs         = PAWL_SPAN(inputs),
    .outputs        = PAWL_SPAN(outputs),
    .options        = PAWL_SPAN(options),
    .statements     = PAWL_SPAN(statements),
    .migrations     = PAWL_SPAN(migrations),
    .db_schema      = PAWL_STR("@name@"),
    .db_version     = 1,
    .db_version_min = 1,
    .create         = create,
    .destroy        = destroy,
    .plan           = plan,
    .handle         = handle,
};
PAWL_PLUGIN(plugin, "org.example.@name@", "0.1.0");
