// Leases that end with the session that took them; for the room's own files.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "pg/json.hpp"
#include "tasks/tasks.hpp"

namespace oms::tasks {

// The name under which this session leases tasks of the queue: a number whose lock it holds for as long as it lives.
std::int64_t own_name(std::string_view queue);

}  // namespace oms::tasks
