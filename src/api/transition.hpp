// A transition that the machine has decided, carried out on an order: its money, its events, its goods.
#pragma once

#include <string_view>

#include "orders/orders.hpp"

namespace oms::api {

// What an order.refunded event tells: the amount, and what is refunded by now.
void write_refunded(pg::JsonObject& json, const orders::Order& before, const orders::Order& after);

// Inside orders::change(). `payload` is the caller's own, for the event; may be nullptr.
void take_transition(const orders::Order& order, orders::Change& change, const core::Decision& decision,
                     std::string_view reason, Jsonb* payload = nullptr);

}  // namespace oms::api
