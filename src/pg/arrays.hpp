// SQL arrays in both directions.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "pg/jump.hpp"
#include "pg/postgres.hpp"

namespace oms::pg {

// The elements of an array, in order; nothing when it contains a NULL or has several dimensions.
std::optional<std::span<const Datum>> array_elements(Datum array, Oid element_type);

Datum array_datum(std::span<const Datum> elements, Oid element_type);
Datum bigint_array_datum(std::span<const std::int64_t> numbers);

}  // namespace oms::pg
