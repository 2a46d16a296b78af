// @name@: what each customer has ordered so far. One order in; the total is kept, and published once it is large.
#include "@name@_sql.h"
#include "order.hpp"

#include <pawl/plugin.hpp>

namespace {

// What it may read and write. The indices are the order of the tables.
enum statement : std::uint32_t { find_total, save_total };
enum output : std::uint32_t { totals };

constexpr pawl_column find_keys[] = { pawl::column("customer", PAWL_V_TEXT) };
constexpr pawl_column save_rows[] = { pawl::column("customer", PAWL_V_TEXT), pawl::column("orders", PAWL_V_I64),
                                      pawl::column("total_minor", PAWL_V_I64) };

constexpr pawl_stmt statements[] = {
    pawl::read("find_total", "@name@.total", 0, find_keys,
               "SELECT k.i, t.orders, t.total_minor FROM keys k JOIN @name@.total t USING (customer)"),
    pawl::upsert("save_total", "@name@.total", 0, save_rows,
                 "INSERT INTO @name@.total (customer, orders, total_minor) SELECT customer, orders, total_minor FROM rows"
                 " ON CONFLICT (customer) DO UPDATE SET orders = excluded.orders, total_minor = excluded.total_minor"),
};

class plugin {
public:
    explicit plugin(const pawl::config &config)
        : max_amount_minor_(config.i64("max_amount_minor")), tell_above_minor_(config.i64("tell_above_minor"))
    {
    }

    // May run many times for one message, so: no I/O, no clock, no state.
    pawl_rc plan(pawl::context &c, const pawl::message &m) const
    {
        if (!m.key().empty())
            c.read(find_total, { pawl::text(m.key()) });
        return PAWL_OK;
    }

    pawl_rc handle(pawl::context &c, const pawl::message &m) const
    {
        if (m.key().empty())
            throw pawl::reject{ "order.no_customer", "the record has no key" };
        const auto order = decode_order(m.value());
        if (!order)
            throw pawl::reject{ "order.malformed", "the value is no order" };
        if (order->amount_minor > max_amount_minor_)
            throw pawl::reject{ "order.too_large", "order " + order->order_id + " is about " + std::to_string(order->amount_minor) };

        std::int64_t orders = 1, total = order->amount_minor;
        if (c.rows(find_total) > 0) {
            orders += c.cell(find_total, 0, 0).i;
            total += c.cell(find_total, 0, 1).i;
        }
        c.write(save_total, { pawl::text(m.key()), pawl::i64(orders), pawl::i64(total) });
        if (total > tell_above_minor_)
            c.emit(totals, m.key(), encode_total(m.key(), orders, total));
        return PAWL_OK;
    }

private:
    std::int64_t max_amount_minor_, tell_above_minor_;
};

// What it says about itself.
constexpr pawl_option options[] = {
    pawl::option("max_amount_minor", PAWL_V_I64, "1000000", "an order above it is refused"),
    pawl::option("tell_above_minor", PAWL_V_I64, "500000", "a total above it is published"),
};
constexpr pawl_port inputs[]  = { pawl::port("orders", "@content_type@", "an order; key: the customer") };
constexpr pawl_port outputs[] = { pawl::port("totals", "@content_type@", "a customer's total; key: the customer") };
constexpr pawl_migration migrations[] = { pawl::migration(1, "total", sql__001_total) };

constexpr pawl_plugin describe()
{
    pawl_plugin p = pawl::describe<plugin>("org.example.@name@", "0.1.0", "What each customer has ordered so far");

    p.inputs         = pawl::span(inputs);
    p.outputs        = pawl::span(outputs);
    p.options        = pawl::span(options);
    p.statements     = pawl::span(statements);
    p.migrations     = pawl::span(migrations);
    p.db_schema      = pawl::str("@name@");
    p.db_version     = 1;
    p.db_version_min = 1;
    return p;
}

constexpr pawl_plugin descriptor = describe();

} // namespace

PAWL_PLUGIN(descriptor, "org.example.@name@", "0.1.0");
