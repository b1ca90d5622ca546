// Putting a task back into its queue; for the room's own files.
#pragma once

#include <array>
#include <cstdint>

#include "tasks/rows.hpp"

namespace oms::tasks {

// What make_ready() writes. The caller sets attempt, lease_epoch, in_doubt and last_error beforehand.
inline constexpr std::array ready_fields{
    static_cast<int>(Field::status),      static_cast<int>(Field::run_at),      static_cast<int>(Field::position),
    static_cast<int>(Field::attempt),     static_cast<int>(Field::lease_epoch), static_cast<int>(Field::lease_until),
    static_cast<int>(Field::lease_owner), static_cast<int>(Field::last_error),  static_cast<int>(Field::in_doubt),
    static_cast<int>(Field::updated_at),
};

// Makes a locked task ready: at once, or when `run_at` has come. In a published queue a timer gives it out then.
void make_ready(pg::Row& row, std::int64_t run_at, pg::RowValues& changes);

// Whether the task has a timer of its own; otherwise it was canceled, or replayed meanwhile.
bool waits_for_its_time(const pg::Row& row);
// Its timer has fired.
void its_time_has_come(pg::Row& row);

}  // namespace oms::tasks
