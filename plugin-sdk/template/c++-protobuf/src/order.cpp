#include "order.hpp"

#include "@name@.pb.h"

std::optional<order> decode_order(std::string_view value)
{
    @name@::v1::Order o;

    if (!o.ParseFromArray(value.data(), static_cast<int>(value.size())) || o.order_id().empty() || o.amount_minor() < 0)
        return std::nullopt;
    return order{ o.order_id(), o.amount_minor() };
}

std::string encode_total(std::string_view customer, std::int64_t orders, std::int64_t total_minor)
{
    @name@::v1::Total t;

    t.set_customer(std::string(customer));
    t.set_orders(orders);
    t.set_total_minor(total_minor);
    return t.SerializeAsString();
}
