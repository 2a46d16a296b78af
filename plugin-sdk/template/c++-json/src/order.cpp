#include "order.hpp"

#include <nlohmann/json.hpp>

using nlohmann::ordered_json;

std::optional<order> decode_order(std::string_view value)
{
    const auto root = ordered_json::parse(value, nullptr, false);
    if (!root.is_object())
        return std::nullopt;
    const auto id = root.find("order_id"), amount = root.find("amount_minor");
    if (id == root.end() || !id->is_string() || id->get_ref<const std::string &>().empty() || amount == root.end() ||
        !amount->is_number_integer() || amount->get<std::int64_t>() < 0)
        return std::nullopt;
    return order{ id->get<std::string>(), amount->get<std::int64_t>() };
}

std::string encode_total(std::string_view customer, std::int64_t orders, std::int64_t total_minor)
{
    const ordered_json root = { { "customer", customer }, { "orders", orders }, { "total_minor", total_minor } };
    return root.dump();
}
