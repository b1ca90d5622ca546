// Backward: undoing one step, and what the attempt means.
#include "pg/raise.hpp"
#include "saga/instance.hpp"

#include "pg/poison.hpp"

namespace oms::saga {

namespace {

void await(Instance& saga, std::int32_t i, std::int64_t task, std::int64_t due_at) {
    StepRow& row = saga.row(i);
    row.task_id = task;
    row.due_at = due_at;
    saga.step(i).busy = true;
}

void call(Instance& saga, std::int32_t i, const Work& undo) {
    const Said said = call_function(saga, i, undo.function, saga.row(i).result, "undo");
    switch (said.what) {
    case Said::done: return undo_succeeded(saga, i, "done");
    case Said::waits:
        if (undo.does == Does::begins) return await(saga, i, said.task_id, saga.now + look_again_us);
        return undo_failed(saga, i, "a function of an sql step must not answer with a task", false);
    case Said::later: return postpone_undo(saga, i, said.error);
    default: return undo_failed(saga, i, said.error, said.what != Said::failed || said.result == nullptr);
    }
}

// The participants of a two-phase step are undone with it, as a whole.
void undo_participants(Instance& saga, std::int32_t i) {
    for (std::int32_t child = i + 1; child < saga.definition->node(i).end; ++child) {
        if (saga.step(child).status != StepStatus::completed) continue;
        set_status(saga, child, StepStatus::compensated);
        saga.row(child).outcome = "with_step";
        saga.row(child).compensated_at = saga.now;
    }
}

}  // namespace

void undo_step(Instance& saga, std::int32_t i) {
    const Work& undo = saga.spec(i).undo;
    set_status(saga, i, StepStatus::compensating);
    StepRow& row = saga.row(i);
    row.due_at = saga.now;
    if (undo.does == Does::nothing) return undo_succeeded(saga, i, "none");
    ++row.undo_attempts;
    if (undo.does != Does::hands) return call(saga, i, undo);
    std::int64_t task = hand_out(saga, i, undo, "undo");
    if (task != 0)
        await(saga, i, task,
              undo.deadline_ms == 0 ? saga.now + default_deadline_ms * 1'000 : saga.now + undo.deadline_ms * 1'000);
}

void undo_succeeded(Instance& saga, std::int32_t i, std::string_view outcome) {
    set_status(saga, i, StepStatus::compensated);
    StepRow& row = saga.row(i);
    row.outcome = outcome;
    row.error = {};
    row.compensated_at = saga.now;
    if (saga.step(i).decided) undo_participants(saga, i);
    if (saga.spec(i).undo.does != Does::nothing) say_step(saga, i, "step.compensated");
}

void postpone_undo(Instance& saga, std::int32_t i, std::string_view reason) {
    set_status(saga, i, StepStatus::compensating);
    StepRow& row = saga.row(i);
    --row.undo_attempts;
    row.error = pg::copied(reason);
    row.due_at = saga.now + later_us;
    saga.step(i).busy = true;
}

void undo_failed(Instance& saga, std::int32_t i, std::string_view error, bool retryable) {
    const core::RetryPolicy& policy = saga.spec(i).undo.retry;
    StepRow& row = saga.row(i);
    if (core::saga::after_failure(policy, row.undo_attempts, retryable) == core::saga::AfterFailure::retry) {
        set_status(saga, i, StepStatus::compensating);
        row.due_at = saga.now + backoff_us(saga, i, policy, row.undo_attempts);
        saga.step(i).busy = row.due_at > saga.now;
    } else {
        set_status(saga, i, StepStatus::compensation_failed);
        say_step(saga, i, "step.compensation_failed", error);
    }
    row.error = pg::copied(error);
}

}  // namespace oms::saga
