// Random bits for ids.
#pragma once

#include <cstdint>

namespace oms::pg {

std::uint64_t random_bits();

}  // namespace oms::pg
