// A request for a new order, as create_order and create_orders share it.
#pragma once

#include <optional>
#include <string_view>

#include "core/fingerprint.hpp"
#include "orders/orders.hpp"

namespace oms::api {

// The same for both forms: a key used in one is the same request in the other.
inline constexpr std::string_view create_order_operation = "create_order";

// What the caller gave, nothing checked yet.
struct OrderRequest {
    std::optional<std::string_view> customer_id, currency;
    Jsonb* items;
    std::optional<std::string_view> external_ref;
    Jsonb* metadata;
};

core::Fingerprint fingerprint_of(const OrderRequest& request);

// Checks a request; raises invalid_argument or currency_mismatch. `prefix` stands before the names in messages: "", or "orders[3].".
orders::NewOrder checked(const OrderRequest& request, std::string_view prefix);

}  // namespace oms::api
