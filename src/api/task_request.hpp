// What the task commands have in common: reading their arguments.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/ids.hpp"
#include "core/retry.hpp"
#include "pg/entry.hpp"

namespace oms::api {

inline constexpr std::size_t error_bytes_max = 10'000;  // of what a worker says went wrong
inline constexpr std::int64_t lease_us_min =
    100'000;  // shorter than a round trip and its answer, a lease is always lost
inline constexpr std::int64_t lease_us_max = 24LL * 3600 * 1'000'000;

core::TaskId required_task(const pg::Call& call, int position);
std::int64_t required_epoch(const pg::Call& call, int position);

// The name of a queue or of a kind of task.
std::string_view task_name(const pg::Call& call, int position, const char* name);
void check_task_name(std::string_view text, const char* name);

// A lease as an interval; 0 when it was left out.
std::int64_t lease_us(const pg::Call& call, int position);

// A retry policy as {"attempts_max", "base_ms", "factor", "cap_ms", "jitter"}; what is missing comes from `base`.
core::RetryPolicy parse_policy(const Jsonb* given, const core::RetryPolicy& base);

}  // namespace oms::api
