// What the commands about money have in common: reading their arguments.
#pragma once

#include <optional>
#include <string_view>

#include "pg/entry.hpp"
#include "pg/json.hpp"

namespace oms::api {

inline constexpr std::size_t provider_bytes_max = 60;

// The name of a provider; nothing when it was left out.
std::optional<std::string_view> checked_provider(const pg::Call& call, int position);

// What the provider's worker needs to charge: an object of some kilobytes; nullptr when it was left out.
Jsonb* checked_method(const pg::Call& call, int position);

}  // namespace oms::api
