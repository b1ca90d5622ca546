// What of an order a shipment is to carry: from the caller's JSON to lines.
#pragma once

#include "api/shipping.hpp"
#include "pg/json.hpp"

namespace oms::api {

// Reads [{"sku" or "line_no", "qty"}, ...], where a missing qty means all that is open; nullptr for all of the order that is open. Raises
// invalid_argument that names the item and the member, and illegal_transition where less is open than is asked for.
Lines chosen_lines(const orders::Order& order, Jsonb* items, Lines ordered, Lines open);

}  // namespace oms::api
