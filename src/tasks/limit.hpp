// Queues that allow only so many leases at a time; for the room's own files.
#pragma once

#include <span>
#include <string_view>

#include "tasks/tasks.hpp"

namespace oms::tasks {

// How many of `wanted` leases the queue's limit leaves room for. Claims of such a queue go one behind the other until they commit.
int room_in(std::string_view queue, int leased_max, int wanted);

// Counts the leases just given out.
void count_leases(std::string_view queue, std::span<const Leased> taken);

}  // namespace oms::tasks
