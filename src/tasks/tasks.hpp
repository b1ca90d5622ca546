// Tasks: work that happens outside the database, handed out under leases. The door of the room.
//
// ready -> leased -> done | ready (retry, lease expired) | dead; dead -> ready (replay).
// Invariants: a task has one lease at a time, named by its epoch; an answer with another epoch is task_lease_lost, never a success; what a claim
// costs depends on what it takes, not on how much waits, nor on how much was done before, nor on who holds an old snapshot.
//
// Locks: a task is locked behind order, saga, payment and stock rows. Whoever closes a task that belongs to a step therefore asks step_of() first,
// locks what the step belongs to, and then calls complete() or fail().
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "core/ids.hpp"
#include "core/retry.hpp"
#include "pg/json.hpp"
#include "pg/jump.hpp"
#include "pg/table.hpp"

namespace oms::tasks {

struct NewTask {
    std::string_view queue;
    std::string_view kind;
    Jsonb* payload;
    std::int64_t run_at = 0;                                 // 0: now
    int priority = 0;                                        // the lower the sooner
    std::optional<core::RetryPolicy> policy = std::nullopt;  // nothing: the queue's
    std::int64_t deadline_at = 0;                            // 0: none; no attempt is scheduled behind it
    std::int64_t step_id = 0;                                // 0: none
    std::string_view provider_key = {};                      // the key that makes the work idempotent at its provider
};
static_assert(pg::JumpSafe<NewTask>);

inline constexpr std::size_t name_bytes_max = 100;  // of queues and kinds
inline constexpr int priority_limit = 1000;         // -limit .. limit

core::TaskId create(const NewTask& task);
core::RetryPolicy default_policy(std::string_view queue);

// What withdrawing a task found.
enum class Canceled : unsigned char {
    already_closed,  // done or dead: nothing was changed
    untouched,       // nobody has it, and whoever had it says that nothing was done
    was_leased,      // somebody has it, or had it before: its work may have happened
};
// Withdraws a task: it becomes dead, and a later answer is task_lease_lost.
Canceled cancel(core::TaskId task);

struct Claim {
    std::string_view queue;
    int tasks_max;
    std::int64_t lease_us = 0;     // 0: the queue's
    bool while_connected = false;  // the lease also ends when this session does
};
struct Leased {
    core::TaskId id;
    std::int64_t lease_epoch;
    std::string_view queue, kind;
    Jsonb* payload;
    int attempt;
    std::int64_t lease_until;
    std::int64_t deadline_at;  // 0: none
    std::int64_t step_id;      // 0: none
    std::string_view provider_key;
};
static_assert(pg::JumpSafe<Leased>);
// Leases up to tasks_max ready tasks, by priority, then in the order in which they became ready. Never waits for another claimer.
std::span<const Leased> claim(const Claim& claim);

// A task of a published queue whose time has come, under a lease. Nothing: it has none now, or its queue is not published any more.
std::optional<Leased> take_to_publish(core::TaskId task);

// What an answer, or the end of a lease, led to.
struct Closed {
    core::TaskId task;
    std::int64_t step_id;  // 0: none
    bool succeeded;
    bool dead;     // no further attempt will be made
    bool refused;  // dead, and by the worker's word nothing was done, nor will be
    bool
        unknown;  // nobody knows whether the work was done, or will be: an attempt, the last one or another, ended with neither yes nor no
    bool replayed;  // the same answer had been given before; nothing happened now
    Jsonb* result;
    std::string_view error;
    std::string_view kind, provider_key;
};
static_assert(pg::JumpSafe<Closed>);

[[noreturn]] void raise_no_task(core::TaskId task);

// Whom a task was made for: what its creator said. Never changes, so nothing is locked. Raises not_found.
struct Purpose {
    std::int64_t step_id;  // 0: none
    std::string_view kind, provider_key;
};
Purpose purpose_of(core::TaskId task);
// The same if the task was under this lease a moment ago: most leases whose timers fire were answered long before.
std::optional<Purpose> purpose_of_lease(core::TaskId task, std::int64_t lease_epoch);

// Both raise task_lease_lost unless the task is leased under this epoch, or was closed under it by the same answer.
Closed complete(core::TaskId task, std::int64_t lease_epoch, Jsonb* result);
// What a worker says of an attempt that failed. That no other would succeed says also that this one has done nothing.
struct Failure {
    std::string_view error;
    bool retryable;
    bool nothing_done;
};
// Nothing: there will be another attempt.
std::optional<Closed> fail(core::TaskId task, std::int64_t lease_epoch, const Failure& failure);
// complete() for batches: nothing instead of task_lease_lost, also when there is no such task.
std::optional<Closed> try_complete(core::TaskId task, std::int64_t lease_epoch, Jsonb* result);
// Prolongs a lease, counted from now; answers until when.
std::int64_t heartbeat(core::TaskId task, std::int64_t lease_epoch, std::int64_t lease_us);

// What the timers of this room stand for. A task whose time to be tried again has come becomes ready.
void retry_due(core::TaskId task);

enum class LeaseEnd : bool { at_its_time, with_its_session };

// A lease: the tasks that one claim took, or some of them.
struct Lease {
    std::int64_t epoch;
    std::span<const core::TaskId> tasks;
    LeaseEnd end = LeaseEnd::at_its_time;
};
// The lease that a timer was set for; and what such a timer carries.
Lease lease_of_timer(const Jsonb* timer_data);
Jsonb* timer_data_of(const Lease& lease);
// The leases on a queue whose sessions asked that they end with them, and are gone. They are handed out once.
std::span<const Lease> orphaned_leases(std::string_view queue);

// Locks a task and does nothing else; one that is gone is no matter.
void lock(core::TaskId task);

// Ends the lease of one task, if it is still under it; one that was prolonged meanwhile keeps its lease until then. Answers what was closed by it.
// Nothing: the task is ready again, or it was not under this lease any more.
std::optional<Closed> end_lease(core::TaskId task, std::int64_t lease_epoch, LeaseEnd reason);

// The same for those who must neither wait nor bring news to anybody.
enum class Attended : unsigned char {
    done,     // or there was nothing to do
    busy,     // somebody has the task just now; nothing was done
    awaited,  // it was the last attempt, and somebody waits for the news; nothing was done
};
Attended try_retry_due(core::TaskId task);
Attended try_end_lease(core::TaskId task, std::int64_t lease_epoch, LeaseEnd reason,
                       bool (*is_awaited)(const Purpose& purpose));

// A dead task becomes ready again with a fresh count of attempts; false when it is not dead. The caller records who and why.
bool replay(core::TaskId task);

// The claimers' doorbell: as the relay's, one for each queue.
bool arm_queue(std::string_view queue);
void disarm_queue(std::string_view queue);
void install();  // called once, from _PG_init

void relation_changed(Oid relation);  // drops what the session remembers of the room's tables

pg::Table& table();

}  // namespace oms::tasks
