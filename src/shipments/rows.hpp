// The rows of shipments.
#pragma once

#include "shipments/shipments.hpp"

namespace oms::shipments {

// A new shipment with its lines, and the next version of one.
void insert(const Shipment& shipment);
void update(const Shipment& shipment);

}  // namespace oms::shipments
