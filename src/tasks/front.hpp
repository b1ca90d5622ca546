// Where the ready tasks of a queue begin; for the room's own files.
#pragma once

#include <cstdint>
#include <string_view>

#include "pg/frontier.hpp"

namespace oms::tasks {

// One queue and priority as this session knows it.
struct Front {
    std::string_view queue;
    int priority = 0;
    std::int64_t used_at = 0;  // real time of the last claim
    std::int64_t stored = 0;   // the position that was read from, or written to, oms.task_front last
    std::int64_t stored_at = 0;
    pg::Frontier frontier;
};

// The session's knowledge of a queue and priority, brought up to date if it is old.
Front& front_of(std::string_view queue, int priority);

// Stores how far the queue is done, for other sessions and later ones; seldom, and never waiting for somebody who does the same.
void store(Front& front);

// Forgets all of it when oms.task is another table than before, or an emptied one.
void fronts_changed(Oid relation);

}  // namespace oms::tasks
