// Forward: beginning a step of each kind, and what its end means.
#include "core/other_machines.hpp"
#include "pg/jsonpath.hpp"
#include "pg/raise.hpp"
#include "saga/instance.hpp"
#include "saga/signals.hpp"
#include "tasks/tasks.hpp"

#include "pg/poison.hpp"

namespace oms::saga {

namespace {

using core::saga::Kind;
using core::saga::Phase;

constexpr std::int64_t us_per_ms = 1'000;

// Data that is no number, or a negative one, is no delay.
std::int64_t delay_us(const Instance& saga, const StepSpec& spec) {
    if (spec.path.empty()) return spec.delay_ms * us_per_ms;
    Jsonb* found = pg::path_finds(saga.data, spec.path);
    JsonbValue scalar;
    if (found == nullptr || !JsonbExtractScalar(&found->root, &scalar) || scalar.type != jbvNumeric) return 0;
    double delay_ms = pg::decimal_number(scalar);
    if (!(delay_ms > 0)) return 0;
    return static_cast<std::int64_t>(delay_ms < static_cast<double>(duration_ms_max) ? delay_ms : duration_ms_max) *
           us_per_ms;
}

void await(Instance& saga, std::int32_t i, StepStatus status, std::int64_t due_at, std::int64_t task_id = 0) {
    set_status(saga, i, status);
    saga.step(i).busy = true;
    saga.row(i).due_at = due_at;
    saga.row(i).task_id = task_id;
    if (!is_container(saga.definition->node(i).kind)) say_step(saga, i, "step.started");
}

void begin_call(Instance& saga, std::int32_t i, bool may_wait) {
    const Said said = call_function(saga, i, saga.spec(i).work.function, nullptr, "do");
    switch (said.what) {
    case Said::done: return step_succeeded(saga, i, said.result);
    case Said::waits:
        if (may_wait) return await(saga, i, StepStatus::running, saga.deadline_at, said.task_id);
        return step_failed(saga, i, "a function of an sql step must not answer with a task", false, false);
    case Said::retry: return step_failed(saga, i, said.error, true, false);
    case Said::later: return postpone_step(saga, i, said.error);
    case Said::unknown: return step_failed(saga, i, said.error, false, true);
    default: return step_failed(saga, i, said.error, said.result == nullptr, false);
    }
}

void begin_task(Instance& saga, std::int32_t i) {
    const Work& work = saga.spec(i).work;
    std::int64_t task = hand_out(saga, i, work, "do");
    if (task != 0) await(saga, i, StepStatus::running, deadline_of(saga, work), task);
}

void begin_wait(Instance& saga, std::int32_t i) {
    set_status(saga, i, StepStatus::running);
    if (saga.signals > 0) {
        if (std::optional<Jsonb*> payload = take_signal(saga, i)) return step_succeeded(saga, i, *payload);
    }
    await(saga, i, StepStatus::waiting, deadline_of(saga, saga.spec(i).work));
}

void begin_timer(Instance& saga, std::int32_t i) {
    set_status(saga, i, StepStatus::running);
    std::int64_t delay = delay_us(saga, saga.spec(i));
    if (delay == 0) return step_succeeded(saga, i, nullptr);
    await(saga, i, StepStatus::waiting, saga.now + delay);
}

void begin_conditional(Instance& saga, std::int32_t i) {
    // A predicate that says neither yes nor no is not fulfilled.
    if (pg::path_says(saga.data, saga.spec(i).path).value_or(false))
        return await(saga, i, StepStatus::running, saga.deadline_at);
    set_status(saga, i, StepStatus::skipped);
    saga.row(i).finished_at = saga.now;
    say_step(saga, i, "step.skipped");
}

// Nobody knows whether the task's work was done: another task asks, when the definition has one for that.
bool ask(Instance& saga, std::int32_t i, std::string_view error) {
    const Work& reconcile = saga.spec(i).reconcile;
    if (reconcile.does == Does::nothing || saga.row(i).asking) return false;
    std::int64_t task = hand_out(saga, i, reconcile, "reconcile");
    if (task == 0) return false;
    set_status(saga, i, StepStatus::waiting);
    saga.step(i).busy = true;
    StepRow& row = saga.row(i);
    row.asking = true;
    row.error = pg::copied(error);
    row.task_id = task;
    row.due_at = deadline_of(saga, reconcile);
    return true;
}

}  // namespace

void begin_step(Instance& saga, std::int32_t i) {
    StepRow& row = saga.row(i);
    ++row.attempts;
    if (row.started_at == 0) row.started_at = saga.now;
    row.changed = true;
    switch (saga.definition->node(i).kind) {
    case Kind::sql: return begin_call(saga, i, false);
    case Kind::task:
        if (saga.spec(i).work.does == Does::begins) return begin_call(saga, i, true);
        return begin_task(saga, i);
    case Kind::wait: return begin_wait(saga, i);
    case Kind::timer: return begin_timer(saga, i);
    case Kind::conditional: return begin_conditional(saga, i);
    case Kind::parallel:
    case Kind::twophase: return await(saga, i, StepStatus::running, saga.deadline_at);
    }
}

void step_succeeded(Instance& saga, std::int32_t i, Jsonb* result) {
    set_status(saga, i, StepStatus::completed);
    saga.step(i).completion = ++saga.completions;
    saga.step(i).unknown = false;
    StepRow& row = saga.row(i);
    row.finished_at = saga.now;
    row.error = {};
    row.result = result;
    if (result != nullptr) {
        pg::JsonMember steps = pg::member_of(&saga.data->root, "steps");
        Jsonb* so_far = steps.kind == pg::JsonKind::object ? pg::to_jsonb(steps) : nullptr;
        saga.data = pg::with_member(saga.data, "steps", pg::with_member(so_far, saga.spec(i).name, result));
    }
    say_step(saga, i, "step.completed");
}

void step_failed(Instance& saga, std::int32_t i, std::string_view error, bool retryable, bool unknown) {
    const core::RetryPolicy& policy = saga.spec(i).work.retry;
    StepRow& row = saga.row(i);
    const bool forward = saga.status == SagaStatus::running;
    // What was decided is committed, however long it takes.
    const bool again =
        saga.definition->node(i).phase == Phase::commit ||
        (forward && core::saga::after_failure(policy, row.attempts, retryable) == core::saga::AfterFailure::retry);
    unknown = unknown || (!again && saga.step(i).unknown);
    if (unknown && forward && ask(saga, i, error)) return;
    if (again) {
        set_status(saga, i, StepStatus::pending);
        row.error = pg::copied(error);
        row.due_at = saga.now + backoff_us(saga, i, policy, row.attempts);
        saga.step(i).busy = row.due_at > saga.now;
        return;
    }
    set_status(saga, i, StepStatus::failed);
    row.error = pg::copied(error);
    row.finished_at = saga.now;
    saga.step(i).unknown = unknown;
    if (unknown) saga.step(i).completion = ++saga.completions;
    say_step(saga, i, "step.failed", error);
}

void postpone_step(Instance& saga, std::int32_t i, std::string_view reason) {
    set_status(saga, i, StepStatus::pending);
    StepRow& row = saga.row(i);
    --row.attempts;
    row.error = pg::copied(reason);
    row.due_at = saga.now + later_us;
    saga.step(i).busy = true;
}

void halt_step(Instance& saga, std::int32_t i) {
    StepRow& row = saga.row(i);
    if (saga.step(i).status == StepStatus::pending && !saga.step(i).unknown) {
        // Its attempts so far were rolled back, and there will be no other.
        set_status(saga, i, StepStatus::skipped);
        row.finished_at = saga.now;
        say_step(saga, i, "step.skipped");
        return;
    }
    bool unknown = row.asking;
    if (row.task_id != 0) unknown |= tasks::cancel({row.task_id}) != tasks::Canceled::untouched;
    step_failed(saga, i, "the saga was turned back", false, unknown);
}

}  // namespace oms::saga
