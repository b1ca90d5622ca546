// Sagas: an order of steps that crosses commits, and how it is undone. The door of the room.
//
// A saga is rows, not a process: a definition (versioned, immutable), an instance that is pinned to a version, and a row for each step that was
// begun. Whatever brings news (an answer to a task, a signal, a time that has come) advances the saga in its own transaction: lock, load,
// core/saga.hpp decides, do it, store. Killed anywhere, it goes on from the last commit.
//
// Invariants: a saga that is not final has a reason it waits for and a deadline, and either a timer that will wake it or somebody who was told
// (parked); a definition's functions are called as the role that registered them, each in a subtransaction, so that an error of theirs is the
// step's failure (see together() for those that do not raise); sagas of one order are advanced under that order's lock.
//
// Locks: idempotency key -> order -> saga -> payment -> stock -> task -> timer.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "core/ids.hpp"
#include "core/saga.hpp"
#include "pg/entry.hpp"
#include "pg/json.hpp"
#include "pg/jump.hpp"
#include "pg/table.hpp"

namespace oms::saga {

inline constexpr std::string_view aggregate_type = "saga";

// --- definitions -------------------------------------------------------------------------------------------------------

// Registers a definition in the name of the current role; the same definition again is the version that it has. Answers the version.
std::int32_t define(std::string_view name, Jsonb* definition);

// A definition as a graph: its steps, in which order, and what undoes them. `version` 0: the newest. Raises not_found.
const char* graph(std::string_view name, std::int32_t version, bool dot);

// Raises insufficient_privilege unless the current role is the one that registered the definition, a member of it, or a role that the definition
// names under "allow": a saga does what its owner may do. Raises not_found.
void require_allowed(std::string_view definition, std::int32_t version);
void require_allowed(core::SagaId saga);

// --- instances ---------------------------------------------------------------------------------------------------------

// What a command answers; the views live in the current memory context.
struct State {
    core::SagaId id;
    std::string_view definition;
    std::int32_t version;
    std::string_view key;  // empty: none
    core::saga::SagaStatus status;
    std::string_view waits_for;  // empty when final
    std::int64_t deadline_at, created_at, updated_at;
};
static_assert(pg::JumpSafe<State>);

struct NewSaga {
    std::string_view definition;
    std::int32_t version = 0;   // 0: the newest
    std::string_view key = {};  // the order's id, or what else the caller knows it by
    Jsonb* data = nullptr;      // an object
};

// Starts a saga and takes it as far as it gets without news. Raises not_found, invalid_argument.
State start(const NewSaga& saga);

// Gives a saga a signal. One that no step waits for yet is kept for the step that will. Raises illegal_transition when the saga is over.
State signal(core::SagaId saga, std::string_view name, Jsonb* payload);

// Turns a running saga back; it ends compensated, and canceled says why.
State cancel(core::SagaId saga, std::string_view reason);

// Undoes a saga, completed or running.
State compensate(core::SagaId saga, std::string_view reason);

// Lets a parked saga try its failed compensations again; raises saga_not_resumable. With `by_hand` they count as done by whoever says so.
State resume(core::SagaId saga, bool by_hand, std::string_view reason);

// The newest saga of a definition with this key; nothing when there is none. Locks nothing.
std::optional<State> find_by_key(std::string_view definition, std::string_view key);

// --- news --------------------------------------------------------------------------------------------------------------

// Locks what a step belongs to: its order, and its saga. Call it before the task is locked.
void lock_step(std::int64_t step_id);
// The saga alone, for those who have the order.
void lock_saga_of(std::int64_t step_id);

enum class Outcome : unsigned char { succeeded, failed, unknown };

struct StepNews {
    std::int64_t step_id;
    std::int64_t task_id = 0;  // 0: whichever the step waits for
    Outcome outcome = Outcome::succeeded;
    bool in_doubt = false;  // whatever the answer: somebody who had the work before may have done it, or may do it yet
    Jsonb* result = nullptr;
    std::string_view error = {};
};

// The order that the step's saga is about, as its key names it; empty when it is about something else.
std::string_view order_of_step(std::int64_t step_id);

// A step's work has ended. News of work that the step does not wait for is ignored.
void step_closed(const StepNews& news);

// The saga's timer has fired.
void timer_due(std::int64_t saga_id);

// --- the session ---------------------------------------------------------------------------------------------------------

// A subtransaction of its own for each function is what user-defined ones need. Those of built-in definitions raise only when something is badly wrong,
// so whoever brings news calls this: `fn` in one subtransaction for all of them; if anything raises, once more with one for each.
void together_call(void (*call)(void*), void* argument);
template <class Fn>
void together(Fn&& fn) {
    together_call([](void* callable) { (*static_cast<std::remove_reference_t<Fn>*>(callable))(); }, &fn);
}

// How the order that a saga belongs to is locked: the room of the orders is not known here.
void on_lock_order(void (*lock)(std::string_view order_id));

// The answer of the commands: one row of oms.saga_state; and as bytes for the idempotency row.
Datum answer(const pg::Call& call, const State& state, bool replayed);
std::string_view encode(const State& state);
State decode(std::string_view bytes);

[[noreturn]] void raise_saga_not_found(core::SagaId id);

// Forgets, when a transaction is rolled back, what it was advancing. Called once, from _PG_init.
void watch_transactions();
void definitions_changed(Oid relation);

pg::Table& table();
pg::Table& step_table();

}  // namespace oms::saga
