// Tasks and timers know nothing of orders and sagas; here is who gets their news.
#include "api/task_outcome.hpp"

#include <algorithm>

#include "api/goods.hpp"
#include "api/queued_commands.hpp"
#include "api/settle_payment.hpp"
#include "core/saga.hpp"
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

namespace {

// What several are about to change, to be locked in one order by all who do so: orders, sagas, stock, tasks, each kind in the order of its ids.
struct Behind {
    pg::Array<core::OrderId> orders, with_goods;
    pg::Array<std::int64_t> steps;
    pg::Array<core::TaskId> tasks;

    void add(const tasks::Purpose& purpose) {
        if (std::optional<core::OrderId> order = order_behind(purpose)) orders.push(*order);
        if (purpose.step_id != 0) steps.push(purpose.step_id);
    }

    void add_saga(core::SagaId saga) {
        const std::int64_t step = core::saga::step_id(saga.value, 0);
        core::OrderId order{};
        if (core::parse_uuid(saga::order_of_step(step), order)) orders.push(order);
        steps.push(step);
    }

    void lock() {
        for (const core::OrderId& order : sorted(orders)) orders::lock(order);
        for (const std::int64_t& step : sorted(steps)) saga::lock_saga_of(step);
        stock::lock_held(sorted(with_goods));
    }

  private:
    template <class T>
    static std::span<const T> sorted(pg::Array<T>& all) {
        std::ranges::sort(all.span());
        const auto repeated = std::ranges::unique(all.span());
        return all.span().first(all.size() - repeated.size());
    }
};
static_assert(pg::JumpSafe<Behind>);

}  // namespace

void lock_behind(std::span<const tasks::Purpose> purposes) {
    Behind behind;
    for (const tasks::Purpose& purpose : purposes) behind.add(purpose);
    for (const core::OrderId& order : behind.orders) behind.with_goods.push(order);
    behind.lock();
}

void lock_behind(std::span<const timers::Due> due) {
    Behind behind;
    for (const timers::Due& timer : due) {
        CHECK_FOR_INTERRUPTS();
        switch (timer.kind) {
        case timers::Kind::task_lease:
        case timers::Kind::task_owned_lease:
        case timers::Kind::lease_lost: {
            const tasks::Lease lease = tasks::lease_of_timer(timer.data);
            for (core::TaskId task : lease.tasks) {
                std::optional<tasks::Purpose> purpose = tasks::purpose_of_lease(task, lease.epoch);
                if (!purpose) continue;
                behind.add(*purpose);
                behind.tasks.push(task);
            }
            break;
        }
        case timers::Kind::task_retry:
        case timers::Kind::task_publish: behind.tasks.push({timer.subject_id}); break;
        case timers::Kind::capture_due:
            if (std::optional<core::OrderId> order = order_of_capture(timer.data)) behind.orders.push(*order);
            break;
        case timers::Kind::reservation_expiry:
            if (std::optional<core::OrderId> order = order_of_reservation(timer.data)) {
                behind.orders.push(*order);
                behind.with_goods.push(*order);
            }
            break;
        case timers::Kind::saga_deadline: behind.add_saga({timer.subject_id}); break;
        case timers::Kind::queued_command:
            if (std::optional<core::OrderId> order = order_of_queued(timer.data)) behind.orders.push(*order);
            break;
        default: break;
        }
    }
    behind.lock();
    std::ranges::sort(behind.tasks.span());
    for (core::TaskId task : behind.tasks) tasks::lock(task);
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
