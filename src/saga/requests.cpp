// What people ask of a saga: to start, to take a signal, to turn back, to try again.
#include "pg/raise.hpp"
#include "pg/settings.hpp"
#include "saga/instance.hpp"
#include "saga/signals.hpp"

#include "pg/poison.hpp"

namespace oms::saga {

using core::saga::Kind;

namespace {

[[noreturn]] void raise_refused(const Instance& saga, const char* verb, const char* hint) {
    pg::raise(pg::Error::illegal_transition,
              {.message = pg::format("saga " INT64_FORMAT " cannot %s while it is %s", saga.id.value, verb,
                                     pg::c_string(core::saga::name_of(saga.status))),
               .detail = saga.failure.empty() ? "Nothing of it has failed."
                                              : pg::format("It turned back: %s.", pg::c_string(saga.failure)),
               .hint = hint});
}

// Locks a saga for a request of somebody's, lets `fn` change it, and takes it further.
template <class Fn>
State request(core::SagaId id, Fn&& fn) {
    refuse_nested(id);
    if (!lock_order_first(id)) raise_saga_not_found(id);
    Instance saga{};
    lock_and_load(id, saga);
    enter(saga);
    fn(saga);
    advance(saga);
    store(saga);
    leave(saga);
    return saga.state();
}

std::int32_t waiting_for(Instance& saga, std::string_view name) {
    const auto count = static_cast<std::int32_t>(saga.rows.size());
    for (std::int32_t i = 0; i < count; ++i) {
        if (saga.definition->node(i).kind == Kind::wait && saga.step(i).status == StepStatus::waiting &&
            saga.spec(i).signal == name)
            return i;
    }
    return -1;
}

// A step counts as undone by whoever says so. What its definition wants recorded of that is recorded first: where it cannot be, it does not count.
void undone_by_hand(Instance& saga, std::int32_t i, std::string_view reason) {
    const Work& undo = saga.spec(i).undo;
    if (!undo.by_hand.empty()) {
        const Said said = call_function(saga, i, undo.by_hand, saga.row(i).result, "by_hand", reason);
        if (said.what != Said::done) {
            const std::string_view why = said.error.empty() ? "it was answered with a task" : said.error;
            pg::raise(
                pg::Error::saga_not_resumable,
                {.message = pg::format("saga " INT64_FORMAT " cannot take step %s for undone by hand", saga.id.value,
                                       pg::c_string(saga.spec(i).name)),
                 .detail = pg::format(why.ends_with('.') ? "The reason: %s" : "The reason: %s.", pg::c_string(why)),
                 .hint = "Settle what is open and ask again, or resume the saga without by_hand."});
        }
    }
    undo_succeeded(saga, i, "by_hand");
}

}  // namespace

State signal(core::SagaId id, std::string_view name, Jsonb* payload) {
    if (Instance* outer = being_advanced(id)) {
        // Sent by a function of one of its own steps: a step to come will find it.
        keep_signal(*outer, name, payload, 0);
        ++outer->signals;
        return outer->state();
    }
    return request(id, [&](Instance& saga) {
        if (!core::saga::may(core::saga::Request::signal, saga.status)) {
            raise_refused(saga, "be given a signal", "Only a saga that goes forward waits for signals.");
        }
        std::int32_t i = waiting_for(saga, name);
        keep_signal(saga, name, payload, i < 0 ? 0 : saga.step_id(i));
        i < 0 ? void(++saga.signals) : step_succeeded(saga, i, payload);
    });
}

State cancel(core::SagaId id, std::string_view reason) {
    return request(id, [&](Instance& saga) {
        if (!core::saga::may(core::saga::Request::cancel, saga.status)) {
            raise_refused(saga, "be canceled", "What is completed can be undone with oms.compensate_saga.");
        }
        saga.canceled = true;
        turn_back(saga, reason, Why::asked);
    });
}

State compensate(core::SagaId id, std::string_view reason) {
    return request(id, [&](Instance& saga) {
        if (!core::saga::may(core::saga::Request::compensate, saga.status)) {
            raise_refused(saga, "be compensated", "A saga that is parked can be resumed with oms.resume_saga.");
        }
        if (saga.status == SagaStatus::running) saga.canceled = true;
        turn_back(saga, reason, Why::asked);
    });
}

State resume(core::SagaId id, bool by_hand, std::string_view reason) {
    return request(id, [&](Instance& saga) {
        if (!core::saga::may(core::saga::Request::resume, saga.status)) {
            pg::raise(pg::Error::saga_not_resumable,
                      {.message = pg::format("saga " INT64_FORMAT " cannot be resumed while it is %s", saga.id.value,
                                             pg::c_string(core::saga::name_of(saga.status))),
                       .detail = saga.waits_for.empty() ? "It waits for nothing."
                                                        : pg::format("It waits for: %s.", pg::c_string(saga.waits_for)),
                       .hint = "Only a parked saga waits for somebody to resume it; the others go on by themselves."});
        }
        saga.status = SagaStatus::compensating;
        say(saga, "saga.compensating", reason);
        const auto count = static_cast<std::int32_t>(saga.rows.size());
        for (std::int32_t i = 0; i < count; ++i) {
            if (saga.step(i).status != StepStatus::compensation_failed) continue;
            if (by_hand) {
                undone_by_hand(saga, i, reason);
                continue;
            }
            // As before it was tried: each is undone when its turn comes, after what completed behind it.
            set_status(saga, i, saga.step(i).unknown ? StepStatus::failed : StepStatus::completed);
            saga.row(i).undo_attempts = 0;
        }
    });
}

namespace {

State begin(const Definition& definition, const NewSaga& wanted) {
    lock_order_of(definition, wanted.key);
    Instance saga{};
    saga.id = {draw_saga_id()};
    saga.definition = &definition;
    saga.key = wanted.key;
    saga.status = SagaStatus::running;
    saga.now = pg::now_us();
    saga.deadline_at = saga.now + definition.deadline_ms * 1'000;
    saga.data = wanted.data;
    saga.created_at = saga.now;
    saga.steps = pg::allocate<Step>(definition.nodes.size());
    saga.rows = pg::allocate<StepRow*>(definition.nodes.size());
    // There are no rows yet that could be read later.
    saga.all_loaded = true;
    enter(saga);
    say(saga, "saga.started");
    advance(saga);
    store(saga);
    leave(saga);
    return saga.state();
}

}  // namespace

State start(const NewSaga& wanted) {
    const Definition& definition = definition_to_start(wanted.definition, wanted.version);
    if (!definition.builtin) return begin(definition, wanted);
    State state{};
    together([&] { state = begin(definition, wanted); });
    return state;
}

}  // namespace oms::saga
