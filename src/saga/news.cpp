// News: an answer to a task, a signal, a time that has come. Each is applied to the step it is for; then the saga goes on.
#include "saga/instance.hpp"
#include "tasks/tasks.hpp"

#include "pg/poison.hpp"

namespace oms::saga {

namespace {

using core::saga::Kind;

void work_answered(Instance& saga, std::int32_t i, const StepNews& news) {
    if (news.outcome != Outcome::succeeded) {
        return step_failed(saga, i, news.error, false, news.outcome == Outcome::unknown);
    }
    const StepSpec& spec = saga.spec(i);
    Said said = understand(news.result);
    if (said.what == Said::done && !spec.work.result.empty()) {
        said = call_function(saga, i, spec.work.result, news.result, "result");
        // The worker has done its work: when its answer cannot be dealt with, what it did has to be undone.
        if (said.what == Said::failed && said.result == nullptr) said.what = Said::unknown;
    }
    switch (said.what) {
    case Said::done: return step_succeeded(saga, i, said.result);
    case Said::retry:
    case Said::later: return step_failed(saga, i, said.error, true, false);
    case Said::unknown: return step_failed(saga, i, said.error, false, true);
    default: return step_failed(saga, i, said.error, false, false);
    }
}

// The answer to the question what became of the step's work: {"outcome": "succeeded" | "failed", ...}.
void question_answered(Instance& saga, std::int32_t i, const StepNews& news) {
    std::string_view outcome;
    if (news.outcome == Outcome::succeeded && news.result != nullptr &&
        pg::kind_of(news.result) == pg::JsonKind::object) {
        pg::JsonMember member = pg::member_of(&news.result->root, "outcome");
        if (member.kind == pg::JsonKind::text) outcome = member.text();
    }
    if (outcome == "succeeded") return step_succeeded(saga, i, news.result);
    if (outcome == "failed") saga.step(i).unknown = false;
    step_failed(saga, i, saga.row(i).error, false, outcome != "failed");
}

void undo_answered(Instance& saga, std::int32_t i, const StepNews& news) {
    // A task has its own retries, which are used up by now; what a function began is begun again.
    const bool may_pass = saga.spec(i).undo.does == Does::begins;
    if (news.outcome != Outcome::succeeded) return undo_failed(saga, i, news.error, may_pass);
    const Said said = understand(news.result);
    if (may_pass && said.what == Said::done) {
        // Asked again until it begins nothing more: only then is everything undone.
        set_status(saga, i, StepStatus::compensating);
        saga.row(i).undo_attempts = 0;
        saga.row(i).due_at = saga.now;
        return;
    }
    said.what == Said::done ? undo_succeeded(saga, i, "done")
                            : undo_failed(saga, i, said.error, said.what == Said::retry);
}

// False when the step does not wait for this.
bool apply(Instance& saga, std::int32_t i, const StepNews& news) {
    if (i >= static_cast<std::int32_t>(saga.rows.size()) || saga.rows[static_cast<std::size_t>(i)] == nullptr)
        return false;
    const StepRow& row = saga.row(i);
    if (news.task_id != 0 && row.task_id != 0 && news.task_id != row.task_id) return false;
    switch (saga.step(i).status) {
    case StepStatus::running:
    case StepStatus::waiting:
        if (saga.definition->node(i).kind != Kind::task) return false;
        if (row.asking) {
            question_answered(saga, i, news);
        } else {
            if (news.in_doubt) saga.step(i).unknown = true;
            work_answered(saga, i, news);
        }
        return true;
    case StepStatus::compensating:
        if (!saga.step(i).busy || saga.spec(i).undo.does == Does::calls) return false;
        undo_answered(saga, i, news);
        return true;
    default: return false;
    }
}

constexpr std::string_view too_late = "its deadline has passed";

void deadline_passed(Instance& saga, std::int32_t i) {
    StepRow& row = saga.row(i);
    const StepSpec& spec = saga.spec(i);
    switch (saga.definition->node(i).kind) {
    case Kind::timer: return step_succeeded(saga, i, nullptr);
    case Kind::wait:
        if (spec.goes_on_at_deadline) return step_succeeded(saga, i, nullptr);
        return step_failed(saga, i, too_late, false, false);
    case Kind::task: break;
    default: return;
    }
    if (spec.work.does == Does::begins) {
        row.due_at = saga.now + look_again_us;
        row.changed = true;
        return;
    }
    bool unknown = row.asking;
    if (row.task_id != 0) unknown |= tasks::cancel({row.task_id}) != tasks::Canceled::untouched;
    step_failed(saga, i, too_late, false, unknown);
}

void undo_deadline_passed(Instance& saga, std::int32_t i) {
    StepRow& row = saga.row(i);
    if (saga.spec(i).undo.does == Does::begins) {
        row.due_at = saga.now + look_again_us;
        row.changed = true;
        return;
    }
    tasks::cancel({row.task_id});
    undo_failed(saga, i, too_late, true);
}

void apply_time(Instance& saga) {
    const auto count = static_cast<std::int32_t>(saga.rows.size());
    for (std::int32_t i = 0; i < count; ++i) {
        const StepRow* row = saga.rows[static_cast<std::size_t>(i)];
        if (row == nullptr || row->due_at == 0 || row->due_at > saga.now) continue;
        const StepStatus status = saga.step(i).status;
        if (status == StepStatus::running || status == StepStatus::waiting) deadline_passed(saga, i);
        if (status == StepStatus::compensating && row->task_id != 0) undo_deadline_passed(saga, i);
    }
    if (saga.status == SagaStatus::running && saga.deadline_at <= saga.now) {
        turn_back(saga, "the saga's deadline has passed", Why::failed);
    }
}

}  // namespace

void lock_step(std::int64_t step_id) {
    if (lock_order_first({core::saga::saga_of(step_id)})) lock_saga_of(step_id);
}

void lock_saga_of(std::int64_t step_id) {
    const Datum key[] = {Int64GetDatum(core::saga::saga_of(step_id))};
    (void)table().with_row(key, pg::RowLock::for_update, [](pg::Row&) {});
}

void step_closed(const StepNews& news) {
    core::SagaId id{core::saga::saga_of(news.step_id)};
    refuse_nested(id);
    if (!lock_order_first(id)) return;
    Instance saga{};
    lock_and_load(id, saga);
    enter(saga);
    if (apply(saga, core::saga::position_of(news.step_id), news)) {
        advance(saga);
        store(saga);
    }
    leave(saga);
}

void timer_due(std::int64_t saga_id) {
    core::SagaId id{saga_id};
    if (!lock_order_first(id)) return;
    Instance saga{};
    lock_and_load(id, saga);
    if (saga.status != SagaStatus::running && saga.status != SagaStatus::compensating) return;
    // The timer that fired is gone. An older one that was not removed in time may fire beside the one that counts.
    if (saga.wake_at <= saga.now) saga.wake_at = 0;
    enter(saga);
    apply_time(saga);
    advance(saga);
    store(saga);
    leave(saga);
}

}  // namespace oms::saga
