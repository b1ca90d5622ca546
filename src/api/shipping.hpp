// An order and its shipments: which of its pieces are on the way, and what the one's status means for the other.
//
// The rules, under the order's lock:
//   - of each line of an order, what its shipments carry is never more than was ordered; what came back can be shipped anew;
//   - an order is shipped when all of it has left the house, and completed when all of it has arrived: the last shipment says so;
//   - who says "ship" of an order with shipments lets go what is created, and must have left nothing open; who says "complete" has it delivered;
//   - an order that ends keeps no shipment that could still leave; it is not canceled while a part of it is out.
// An order without shipments is moved by hand, as ever.
//
// Every change of a shipment is a change of its order: the order's row gets its next version with it. So a transaction with one snapshot that does not
// see a shipment does not act on its order either (40001).
#pragma once

#include <span>

#include "orders/orders.hpp"
#include "shipments/shipments.hpp"
#include "stock/stock.hpp"

namespace oms::api {

using Shipments = std::span<const shipments::Shipment>;
using Lines = std::span<const shipments::Line>;

// The order's lines, by their numbers: 1, 2, ...
Lines lines_of(const orders::Order& order);

// What of these lines is left when the pieces of those shipments are taken away that `counts` says yes to.
Lines lines_left(Lines ordered, Shipments shipments, bool (*counts)(const shipments::Shipment&));
// What no shipment carries.
Lines open_lines(Lines ordered, Shipments shipments);

// Raises unless goods of the order may leave the house now: a status that "ship" leads out of, or shipped with something that came back; no hold,
// and nobody else's operation.
void require_may_ship(const orders::Order& order);

// Raises illegal_transition when pieces of the order are in a shipment, or were: its items are not exchanged any more.
void require_unshipped(const orders::Order& order);

// What has left the house, or all that a shipment of the order ever took out of it, by sku: it is not on our shelves.
std::span<const stock::Line> goods_gone(Shipments shipments);

// An order is not canceled while a part of it is on its way or delivered: says whether that is so; raises illegal_transition.
bool is_partly_out(Shipments shipments);
void require_nothing_out(const orders::Order& order, Shipments shipments);

// Whether a transition was decided by the machine, which asks the shipments, or by an operator, whom they follow.
enum class Decided : bool { by_machine, by_force };

// Inside orders::change(): the shipments of an order whose next status is decided. Raises illegal_transition where they are in the way of it.
void shipments_follow(const orders::Order& order, std::string_view next_status, Shipments shipments,
                      std::string_view reason, Decided decided);

// Inside orders::change(), after a shipment has left, or arrived: takes the order on when it was the last one. A hold or somebody else's operation
// leaves that to whoever comes later.
void order_follows(const orders::Order& order, orders::Change& change, Shipments shipments);

}  // namespace oms::api
