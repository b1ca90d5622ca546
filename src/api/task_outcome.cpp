// Tasks and timers know nothing of orders and sagas; here is who gets their news.
#include "api/task_outcome.hpp"

#include <algorithm>

#include "api/goods.hpp"
#include "api/queued_commands.hpp"
#include "api/settle_payment.hpp"
#include "pg/memory.hpp"
#include "saga/saga.hpp"

#include "pg/poison.hpp"

namespace oms::api {

namespace {

std::optional<core::OrderId> order_behind(const tasks::Purpose& purpose) {
    if (is_payment_task(purpose.kind)) return order_of_payment(purpose.provider_key);
    core::OrderId order{};
    const bool named = purpose.step_id != 0 && core::parse_uuid(saga::order_of_step(purpose.step_id), order);
    return named ? std::optional{order} : std::nullopt;
}

}  // namespace

void lock_behind(const tasks::Purpose& purpose) {
    if (is_payment_task(purpose.kind)) {
        if (std::optional<core::OrderId> order = order_behind(purpose)) orders::lock(*order);
    }
    if (purpose.step_id != 0) saga::lock_step(purpose.step_id);
}

void lock_behind(std::span<const tasks::Purpose> purposes) {
    pg::Array<core::OrderId> found;
    for (const tasks::Purpose& purpose : purposes) {
        if (std::optional<core::OrderId> order = order_behind(purpose)) found.push(*order);
    }
    std::ranges::sort(found.span());
    const auto repeated = std::ranges::unique(found.span());
    const std::span<const core::OrderId> orders = found.span().first(found.size() - repeated.size());
    for (const core::OrderId& order : orders) orders::lock(order);
    for (const tasks::Purpose& purpose : purposes) {
        if (purpose.step_id != 0) saga::lock_saga_of(purpose.step_id);
    }
    stock::lock_held(orders);
}

void task_closed(const tasks::Closed& closed) {
    // What a payment's answer means for a saga is for the payment to say: it may still be open.
    if (is_payment_task(closed.kind)) {
        payment_task_closed(closed);
    } else if (closed.step_id != 0) {
        saga::step_closed({.step_id = closed.step_id,
                           .task_id = closed.task.value,
                           .outcome = closed.succeeded ? saga::Outcome::succeeded
                                      : closed.unknown ? saga::Outcome::unknown
                                                       : saga::Outcome::failed,
                           .in_doubt = closed.unknown,
                           .result = closed.result,
                           .error = closed.error});
    }
}

void end_lease(const tasks::Lease& lease) {
    for (core::TaskId task : lease.tasks) {
        CHECK_FOR_INTERRUPTS();
        std::optional<tasks::Purpose> purpose = tasks::purpose_of_lease(task, lease.epoch);
        if (!purpose) continue;
        lock_behind(*purpose);
        if (std::optional<tasks::Closed> closed = tasks::end_lease(task, lease.epoch, lease.end)) task_closed(*closed);
    }
}

void timer_fired(const timers::Due& due) {
    switch (due.kind) {
    case timers::Kind::task_lease:
    case timers::Kind::task_owned_lease:
    case timers::Kind::lease_lost: end_lease(tasks::lease_of_timer(due.data)); return;
    case timers::Kind::task_retry: tasks::retry_due({due.subject_id}); return;
    case timers::Kind::task_publish: publish_task({due.subject_id}); return;
    case timers::Kind::capture_due: capture_due(due.data); return;
    case timers::Kind::reservation_expiry: expire_reservation(due.data); return;
    case timers::Kind::queued_command: look_at_queued(due.data); return;
    case timers::Kind::saga_deadline: saga::timer_due(due.subject_id); return;
    default: return;
    }
}

}  // namespace oms::api
