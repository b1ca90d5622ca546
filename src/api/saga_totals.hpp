// What oms.saga_metrics counts for ever: of the sagas that are there, and of those that were purged.
#pragma once

#include <cstdint>
#include <span>

#include "pg/plan.hpp"

namespace oms::api {

// Rows of name, labels, value.
pg::Result saga_metrics();

// Keeps the totals of sagas that are about to be deleted.
void keep_saga_totals(std::span<const std::int64_t> sagas);

}  // namespace oms::api
