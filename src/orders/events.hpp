// What an order's events say.
#pragma once

#include "log/log.hpp"
#include "orders/orders.hpp"

namespace oms::orders {

// The event of a change: `after` carries the event's id and seq.
log::NewEvent event_of(const Order& before, const Order& after, const OrderEvent& event);

// order.created, with customer, total and items.
log::NewEvent created_event(const Order& order, const NewOrder& created);

}  // namespace oms::orders
