// Doing what is due: by the clock, which calls whom it concerns and may wait, and by claims, which do neither.
#pragma once

#include "tasks/tasks.hpp"
#include "timers/timers.hpp"

namespace oms::api {

// Does what a timer stands for, in a subtransaction. False: it failed, and was put back with its error, to be tried later, and later each time.
bool run_timer(const timers::Due& due);

// The part of it that concerns tasks alone; what does not is left to the clock, and what somebody has just now to a moment later. Never waits.
void attend_to_timer(const timers::Due& due);

// The same for a lease whose session is gone.
void attend_to_lease(const tasks::Lease& lease);

}  // namespace oms::api
