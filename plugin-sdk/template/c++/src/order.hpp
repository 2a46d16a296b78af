// order: what is in a message, and in an output.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

struct order {
    std::string  order_id;
    std::int64_t amount_minor;
};

std::optional<order> decode_order(std::string_view value);
std::string          encode_total(std::string_view customer, std::int64_t orders, std::int64_t total_minor);
