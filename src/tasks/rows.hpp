// Rows of oms.task, for the room's own files.
#pragma once

#include <string_view>

#include "pg/entry.hpp"
#include "pg/table.hpp"
#include "tasks/tasks.hpp"

namespace oms::tasks {

enum Field : int {
    task_id,
    queue,
    priority,
    position,
    status,
    kind,
    payload,
    run_at,
    attempt,
    retry,
    deadline_at,
    step_id,
    provider_key,
    lease_epoch,
    lease_until,
    lease_owner,
    in_doubt,  // an attempt ended with neither yes nor no: whoever had it may have done the work, or may do it yet
    last_error,
    result,
    created_at,
    updated_at
};

namespace status_name {
inline constexpr std::string_view ready = "ready";
inline constexpr std::string_view leased = "leased";
inline constexpr std::string_view done = "done";
inline constexpr std::string_view dead = "dead";
}  // namespace status_name

inline std::string_view status_of(const pg::Row& row) { return pg::text_view(row.value(Field::status)); }
inline std::int64_t epoch_of(const pg::Row& row) { return DatumGetInt64(row.value(Field::lease_epoch)); }
inline bool is_in_doubt(const pg::Row& row) { return DatumGetBool(row.value(Field::in_doubt)); }
inline std::int64_t step_of(const pg::Row& row) {
    return row.is_null(Field::step_id) ? 0 : DatumGetInt64(row.value(Field::step_id));
}

// Draws the next number of the one sequence behind task ids and positions. The transaction has its id before that: see pg/frontier.hpp.
std::int64_t draw_number();
// The highest number drawn so far.
std::int64_t last_number();

// The policy for a task's retries: its own, or its queue's.
core::RetryPolicy policy_of(const pg::Row& row);
Jsonb* policy_json(const core::RetryPolicy& policy);

// Runs fn(Row&) with the row locked; raises not_found.
template <class Fn>
void with_locked(core::TaskId task, Fn&& fn) {
    const std::array key{Int64GetDatum(task.value)};
    if (!table().with_row(key, pg::RowLock::for_update, fn)) raise_no_task(task);
}

}  // namespace oms::tasks
