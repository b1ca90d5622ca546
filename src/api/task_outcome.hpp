// What the end of a task means for whom it was done.
#pragma once

#include <cstdint>
#include <span>

#include "tasks/tasks.hpp"
#include "timers/timers.hpp"

namespace oms::api {

// Locks what a task belongs to, before the task itself is locked: the order of locks is order, saga, payment, stock, task.
void lock_behind(const tasks::Purpose& purpose);
// The same for several tasks, in the order of their numbers: two that do so cannot wait for each other, whatever the tasks' sagas move.
void lock_behind(std::span<const tasks::Purpose> purposes);
// The same for timers that are due, and their tasks as well. The goods of a saga that goes back are not known by then, and locked when they move.
void lock_behind(std::span<const timers::Due> due);

// Carries the news on to the step that waits for it.
void task_closed(const tasks::Closed& closed);

// Ends a lease: its tasks are ready again, or closed.
void end_lease(const tasks::Lease& lease);

// Gives out a task of a published queue.
void publish_task(core::TaskId task);

// Does what a timer stands for.
void timer_fired(const timers::Due& due);

}  // namespace oms::api
