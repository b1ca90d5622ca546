// Timers: everything that is due at a time, in one table ordered by time. The door of the room.
//
// Invariants: a timer is there iff the transaction that set it committed; a due timer is handed out to one transaction at a time, and is gone
// when that transaction commits; what handing out costs depends on what is due, not on how many timers lie in the future.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "core/ids.hpp"
#include "pg/json.hpp"
#include "pg/jump.hpp"
#include "pg/table.hpp"

namespace oms::timers {

// What a timer is for; a stored number keeps its meaning.
enum class Kind : std::int16_t {
    task_lease = 1,        // subject: the lease's epoch
    task_owned_lease = 2,  // the same for leases that end with their session; subject: the session
    task_retry = 3,        // subject: the task
    step_deadline = 4,
    step_retry = 5,
    saga_deadline = 6,
    capture_due = 7,
    order_expiry = 8,
    reservation_expiry = 9,
    purge = 10,
    lease_lost = 11,      // the end of a lease whose news somebody waits for; subject: the lease's epoch
    task_publish = 12,    // a task of a published queue is to be given out; subject: the task
    queued_command = 13,  // the queued commands of an order; subject: whose time it is, 0: the order is free
};

struct Due {
    core::TimerId id;
    Kind kind;
    std::int64_t subject_id;
    std::int64_t due_at;
    Jsonb* data;                 // nullptr: none
    int failures;                // how often what it stands for could not be done
    std::int64_t failing_since;  // 0: it did not fail
};
static_assert(pg::JumpSafe<Due>);

// Sets one more timer; nothing is replaced. A moment that has passed counts as now. The commit wakes a sleeping clock if it would sleep too long.
core::TimerId set(Kind kind, std::int64_t subject_id, std::int64_t due_at, Jsonb* data = nullptr);

// Puts a timer back whose work failed, to be tried again after a while, the longer the more often it has failed.
void set_again(const Due& due, std::string_view error);

// Removes the timers of a subject. Does not wait: one that is being handed out just now fires.
void cancel(Kind kind, std::int64_t subject_id);

// The same, and answers what was removed.
std::span<const Due> take_of_subject(Kind kind, std::int64_t subject_id);

// Removes up to `limit` due timers, of one kind or of all, and answers them; the caller does what they stand for in the same transaction.
std::span<const Due> take_due(Kind kind, int limit);
std::span<const Due> take_due(int limit);

// When the next timer is due; nothing when there is none.
std::optional<std::int64_t> next_due();

// The clock's doorbell, as the relay's: arm in a transaction of its own, look once more, sleep no longer than clock_sleep_max_us, disarm.
inline constexpr std::int64_t clock_sleep_max_us = 10'000'000;
bool arm_clock();
void disarm_clock();
void install();                       // called once, from _PG_init
void relation_changed(Oid relation);  // drops what the session remembers of oms.timer

pg::Table& table();

}  // namespace oms::timers
