// An order and its goods: what the stock has to do when an order moves, and what the order's timeline says of it.
//
// Everything here runs inside orders::change(), under the order's lock. The events belong to the order: its timeline tells the whole story, and a
// stream of their own would be one more row to lock.
//
// Stock goes back only when the money is back: release_goods() refuses while the order's payments hold money. The stock room knows nothing of it;
// oms.check_integrity() looks for violations.
#pragma once

#include "api/shipping.hpp"
#include "orders/orders.hpp"
#include "stock/stock.hpp"

namespace oms::api {

// The order's items, added up by sku.
std::span<const stock::Line> goods_of(const orders::Order& order);

// Reserves all items, or none: empty when it is done, with inventory.reserved said; else what is short, with inventory.failed said.
std::span<const stock::Shortage> reserve_goods(const orders::Order& order, orders::Change& change,
                                               std::int64_t expires_at = stock::never);

// Raises insufficient_stock that names each short sku.
[[noreturn]] void raise_shortage(const orders::Order& order, std::span<const stock::Shortage> shortages);

// Uses up what is reserved: it leaves the stock. Says nothing: order.confirmed does.
void consume_goods(const orders::Order& order);

// Gives back what the order holds, also what was consumed if it never left the house, in one of these shipments or without any; says
// inventory.released if that was anything. Raises illegal_transition while money of the order's is held.
void release_goods(const orders::Order& order, orders::Change& change, std::string_view reason, Shipments shipments);

// After the order's items were exchanged: exchanges what is held, or was consumed, for them. Nothing held stays nothing. Raises
// insufficient_stock.
void exchange_goods(const orders::Order& order, orders::Change& change);

// What a transition that was decided means for the goods, on the shelf and on their way: confirmed consumes, canceled and refunded release; and
// what shipments_follow() says.
void goods_follow(const orders::Order& order, orders::Change& change, std::string_view reason,
                  Decided decided = Decided::by_machine);

// The timer reservation_expiry: gives the goods of an order back that was not paid in time, and cancels the order. An order with money in
// flight, or one that another operation has, keeps them.
void expire_reservation(const Jsonb* timer_data);
std::optional<core::OrderId> order_of_reservation(const Jsonb* timer_data);

}  // namespace oms::api
