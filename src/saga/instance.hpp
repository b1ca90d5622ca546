// A saga in memory, from its lock to its next version.
#pragma once

#include <span>
#include <string_view>

#include "log/log.hpp"
#include "pg/json_object.hpp"
#include "pg/memory.hpp"
#include "pg/subtransaction.hpp"
#include "pg/transaction.hpp"
#include "saga/definition.hpp"
#include "saga/saga.hpp"

namespace oms::saga {

using core::saga::SagaStatus;
using core::saga::Step;
using core::saga::StepStatus;

// What the table has of a step beyond what decisions look at. A step that was never begun has no row.
struct StepRow {
    bool stored, changed;
    std::int32_t attempts, undo_attempts;
    std::int64_t task_id;  // 0: none; of the work or of what undoes it, whichever is under way
    std::int64_t due_at;   // 0: final
    std::int64_t started_at, finished_at, compensated_at;  // 0: not yet
    bool asking;                                           // the task asks what became of another one
    std::string_view outcome;                              // of the compensation: done, none, by_hand
    std::string_view error;                                // the last one; empty: none
    Jsonb* result;                                         // nullptr: none
};
static_assert(pg::JumpSafe<StepRow>);

struct Instance {
    core::SagaId id;
    const Definition* definition;
    std::string_view key;
    SagaStatus status;
    std::string_view waits_for;
    std::int64_t deadline_at;
    std::int64_t wake_at;  // when the timer fires that is set; 0: none
    std::int32_t position, completions, signals;
    bool canceled;
    Jsonb* data;
    std::string_view failure;  // why it turned back; empty: it did not
    std::int64_t created_at, updated_at, finished_at;
    std::int64_t completed_at;  // also when it was undone later; 0: never
    std::int64_t last_seq, first_event_id, last_event_id;

    bool stored;
    bool all_loaded;
    std::int64_t now;
    std::span<Step> steps;
    std::span<StepRow*> rows;
    pg::Array<log::NewEvent> events = pg::Array<log::NewEvent>(16);

    Step& step(std::int32_t i) { return steps[static_cast<std::size_t>(i)]; }
    StepRow& row(std::int32_t i);  // made when it is not there
    std::int64_t step_id(std::int32_t i) const { return core::saga::step_id(id.value, i); }
    const StepSpec& spec(std::int32_t i) const { return definition->step(i); }
    State state() const;
};

// --- rows (rows.cpp, step_rows.cpp) --------------------------------------------------------------------------------------

// Locks and reads a saga, and the steps that decisions look at; raises not_found.
void lock_and_load(core::SagaId id, Instance& instance);
// Reads the steps that are not in memory yet: going back looks at all of them.
void load_all(Instance& instance);
void load_steps(Instance& instance);
void store_steps(Instance& instance);
// Writes what changed, sets the timer, appends the events.
void store(Instance& instance);
// The definition of a saga, without a lock: it never changes. Raises not_found when there is no such saga.
const Definition* definition_of(core::SagaId id);
// Locks the order that a saga belongs to, before the saga itself is locked; false when there is no such saga.
bool lock_order_first(core::SagaId id);
std::int64_t draw_saga_id();

// --- definitions (definitions.cpp) ---------------------------------------------------------------------------------------

// `version` 0: the newest. Raises not_found.
const Definition& definition_to_start(std::string_view name, std::int32_t version);

// --- events (events.cpp) -------------------------------------------------------------------------------------------------

void say(Instance& instance, std::string_view type, std::string_view reason = {});
void say_step(Instance& instance, std::int32_t step, std::string_view type, std::string_view error = {});

// --- the engine (engine.cpp, steps.cpp, undo.cpp) ------------------------------------------------------------------------

// Takes the saga as far as it gets.
void advance(Instance& instance);
enum class Why : unsigned char { failed, asked };
void turn_back(Instance& instance, std::string_view reason, Why why);

void begin_step(Instance& instance, std::int32_t i);
void step_succeeded(Instance& instance, std::int32_t i, Jsonb* result);
void step_failed(Instance& instance, std::int32_t i, std::string_view error, bool retryable, bool unknown);
// Not yet: another attempt, which costs the policy nothing.
void postpone_step(Instance& instance, std::int32_t i, std::string_view reason);
void halt_step(Instance& instance, std::int32_t i);
void undo_step(Instance& instance, std::int32_t i);
void undo_succeeded(Instance& instance, std::int32_t i, std::string_view outcome);
void postpone_undo(Instance& instance, std::int32_t i, std::string_view reason);
void undo_failed(Instance& instance, std::int32_t i, std::string_view error, bool retryable);

void set_status(Instance& instance, std::int32_t i, StepStatus status);

// What a function of the definition's, or a worker, said.
struct Said {
    enum What : unsigned char { done, waits, failed, retry, later, unknown } what;
    Jsonb* result;
    std::int64_t task_id;
    std::string_view error;
};
// Reads the members that mean something to the engine: $task, $fail, $retry, $later, $unknown.
Said understand(Jsonb* answer);
// Calls a function of the definition's, in a subtransaction unless those around it share one. `reason` is what somebody said who asked for it.
Said call_function(Instance& instance, std::int32_t i, const pg::FunctionName& function, Jsonb* result,
                   std::string_view purpose, std::string_view reason = {});
std::int64_t hand_out(Instance& instance, std::int32_t i, const Work& work, std::string_view purpose);
Jsonb* context_of(Instance& instance, std::int32_t i, Jsonb* result, std::string_view purpose,
                  std::string_view reason = {});

// An answer that was promised without a time is asked for again, lest a lost promise go unseen.
inline constexpr std::int64_t look_again_us = 3'600'000'000;
// When what was put off by its function is asked again.
inline constexpr std::int64_t later_us = 5'000'000;

std::int64_t deadline_of(const Instance& instance, const Work& work);
std::int64_t backoff_us(const Instance& instance, std::int32_t i, const core::RetryPolicy& policy, int attempts);

// --- the session (session.cpp) --------------------------------------------------------------------------------------------

// Between enter() and leave() the saga is known to be under way in this session: a step's function must not advance its own saga, which is what
// refuse_nested() raises operation_in_progress for.
void enter(Instance& instance);
void leave(Instance& instance);
Instance* being_advanced(core::SagaId id);
bool is_advancing();  // any saga
// Whether the functions of this definition are called without a subtransaction of their own: see together().
bool shares_subtransaction(const Definition& definition);
void refuse_nested(core::SagaId id);
void lock_order_of(const Definition& definition, std::string_view key);

}  // namespace oms::saga
