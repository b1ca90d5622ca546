// The room's side of the clock's doorbell.
#pragma once

#include <cstdint>

namespace oms::timers {

// Makes the commit of this transaction wake a clock that sleeps, if it might sleep beyond `due_at`.
void ring_at_commit(std::int64_t due_at);

}  // namespace oms::timers
