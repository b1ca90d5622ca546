// The loop: core/saga.hpp names the next thing to do, this does it, until there is nothing to do without news.
#include "pg/jsonpath.hpp"
#include "pg/raise.hpp"
#include "saga/instance.hpp"
#include "saga/signals.hpp"

#include "pg/poison.hpp"

namespace oms::saga {

namespace {

using core::saga::Act;
using core::saga::Action;
using core::saga::Kind;

// What an open step waits for, for people.
const char* wait_of(Instance& saga, std::int32_t i) {
    const StepSpec& spec = saga.spec(i);
    const StepRow& row = saga.row(i);
    const char* name = pg::c_string(spec.name);
    switch (saga.step(i).status) {
    case StepStatus::pending: return pg::format("the next attempt of step %s after: %s", name, pg::quoted(row.error));
    case StepStatus::compensating:
        if (row.task_id == 0)
            return pg::format("the next attempt to undo step %s after: %s", name, pg::quoted(row.error));
        return pg::format("task " INT64_FORMAT " that undoes step %s", row.task_id, name);
    default: break;
    }
    if (row.asking) return pg::format("task " INT64_FORMAT " that asks what became of step %s", row.task_id, name);
    switch (saga.definition->node(i).kind) {
    case Kind::wait: return pg::format("signal %s of step %s", pg::quoted(spec.signal), name);
    case Kind::timer: return pg::format("the time of step %s", name);
    default: return pg::format("task " INT64_FORMAT " of step %s", row.task_id, name);
    }
}

bool is_open(Instance& saga, std::int32_t i) {
    if (saga.rows[static_cast<std::size_t>(i)] == nullptr || is_container(saga.definition->node(i).kind)) return false;
    switch (saga.step(i).status) {
    case StepStatus::pending:
    case StepStatus::running:
    case StepStatus::waiting:
    case StepStatus::compensating: return true;
    default: return false;
    }
}

void note_waits(Instance& saga) {
    std::int32_t first = -1;
    int more = 0;
    const auto count = static_cast<std::int32_t>(saga.rows.size());
    for (std::int32_t i = 0; i < count; ++i) {
        if (!is_open(saga, i)) continue;
        if (first < 0) {
            first = i;
        } else {
            ++more;
        }
    }
    const char* reason = first < 0 ? "nothing" : wait_of(saga, first);
    saga.waits_for = more == 0 ? reason : pg::format("%s, and %d more", reason, more);
}

// A signal that a step's own function has sent is kept, also when a step beside it is waiting for it already.
bool take_kept_signals(Instance& saga) {
    if (saga.signals == 0 || saga.status != SagaStatus::running) return false;
    bool any = false;
    const auto count = static_cast<std::int32_t>(saga.rows.size());
    for (std::int32_t i = 0; i < count; ++i) {
        if (saga.definition->node(i).kind != Kind::wait || saga.step(i).status != StepStatus::waiting) continue;
        std::optional<Jsonb*> payload = take_signal(saga, i);
        if (payload) step_succeeded(saga, i, *payload);
        any = any || payload;
    }
    return any;
}

void finish(Instance& saga, SagaStatus status) {
    saga.status = status;
    if (status == SagaStatus::parked) {
        saga.waits_for = "an operator: a compensation could not be carried out";
        say(saga, "saga.parked", saga.failure);
        return;
    }
    saga.waits_for = {};
    saga.finished_at = saga.now;
    if (status == SagaStatus::completed) saga.completed_at = saga.now;
    saga.position = static_cast<std::int32_t>(saga.definition->nodes.size());
    say(saga, status == SagaStatus::completed ? "saga.completed" : "saga.compensated", saga.failure);
    if (saga.canceled && status == SagaStatus::compensated) say(saga, "saga.canceled", saga.failure);
}

void complete_container(Instance& saga, std::int32_t i) { step_succeeded(saga, i, nullptr); }

// The decision is in the row before the first commit goes out: both belong to this transaction, and tasks are seen only when it has committed.
void decide(Instance& saga, std::int32_t i) {
    saga.step(i).decided = true;
    saga.row(i).changed = true;
    say_step(saga, i, "step.decided");
}

void close(Instance& saga, std::int32_t i) {
    set_status(saga, i, StepStatus::failed);
    saga.row(i).finished_at = saga.now;
}

}  // namespace

void set_status(Instance& saga, std::int32_t i, StepStatus status) {
    Step& step = saga.step(i);
    StepRow& row = saga.row(i);
    if (row.started_at == 0) row.started_at = saga.now;
    step.status = status;
    step.begun = true;
    step.busy = false;
    row.due_at = 0;
    row.task_id = 0;
    row.changed = true;
}

void turn_back(Instance& saga, std::string_view reason, Why why) {
    load_all(saga);
    saga.status = SagaStatus::compensating;
    saga.finished_at = 0;
    saga.failure = reason;
    if (why == Why::failed) say(saga, "saga.failed", reason);
    say(saga, "saga.compensating", reason);
}

void advance(Instance& saga) {
    for (;;) {
        CHECK_FOR_INTERRUPTS();
        const Action action = core::saga::next(saga.definition->nodes, saga.steps, saga.status, saga.position);
        if (saga.status == SagaStatus::running) saga.position = action.top;
        const std::int32_t i = action.node;
        switch (action.act) {
        case Act::start: begin_step(saga, i); break;
        case Act::complete: complete_container(saga, i); break;
        case Act::decide: decide(saga, i); break;
        case Act::turn:
            turn_back(saga, pg::format("step %s: %s", pg::c_string(saga.spec(i).name), pg::c_string(saga.row(i).error)),
                      Why::failed);
            break;
        case Act::halt: halt_step(saga, i); break;
        case Act::close: close(saga, i); break;
        case Act::compensate: undo_step(saga, i); break;
        case Act::finish: finish(saga, action.status); return;
        default:
            if (take_kept_signals(saga)) break;
            note_waits(saga);
            return;
        }
    }
}

}  // namespace oms::saga
