// Timers that fire: each by itself, whatever becomes of the others.
#include "api/due_work.hpp"

#include "api/settle_payment.hpp"
#include "api/task_outcome.hpp"
#include "pg/memory.hpp"
#include "pg/settings.hpp"
#include "pg/subtransaction.hpp"
#include "pg/transaction.hpp"

#include "pg/poison.hpp"

namespace oms::api {

namespace {

constexpr std::int64_t busy_for_us = 1'000'000;

bool stands_for_lease(timers::Kind kind) {
    return kind == timers::Kind::task_lease || kind == timers::Kind::task_owned_lease ||
           kind == timers::Kind::lease_lost;
}

bool is_awaited(const tasks::Purpose& purpose) { return purpose.step_id != 0 || is_payment_task(purpose.kind); }

void set_for(timers::Kind kind, const tasks::Lease& lease, std::span<const core::TaskId> tasks, std::int64_t due_at) {
    if (tasks.empty()) return;
    tasks::Lease part{.epoch = lease.epoch, .tasks = tasks, .end = lease.end};
    timers::set(kind, lease.epoch, due_at, tasks::timer_data_of(part));
}

// One task that cannot be dealt with must not keep the others of its claim waiting: from now on each has a timer of its own.
void split(const timers::Due& due, const tasks::Lease& lease) {
    timers::Kind kind = due.kind == timers::Kind::lease_lost ? due.kind : timers::Kind::task_lease;
    for (const core::TaskId& task : lease.tasks) set_for(kind, lease, {&task, 1}, pg::now_us());
}

template <class Fn>
bool attempt(const timers::Due& due, Fn&& fn) {
    std::optional<pg::Failure> failure = pg::attempt(fn, pg::Conflicts::become_data);
    if (failure) {
        tasks::Lease lease{};
        if (stands_for_lease(due.kind)) lease = tasks::lease_of_timer(due.data);
        lease.tasks.size() > 1 ? split(due, lease) : timers::set_again(due, failure->message);
    }
    pg::end_of_command();
    return !failure;
}

void end_what_can_be_ended(const tasks::Lease& lease) {
    pg::Array<core::TaskId> busy, awaited;
    for (core::TaskId task : lease.tasks) {
        CHECK_FOR_INTERRUPTS();
        switch (tasks::try_end_lease(task, lease.epoch, lease.end, is_awaited)) {
        case tasks::Attended::done: break;
        case tasks::Attended::busy: busy.push(task); break;
        case tasks::Attended::awaited: awaited.push(task); break;
        }
    }
    set_for(timers::Kind::task_lease, lease, busy.span(), pg::now_us() + busy_for_us);
    set_for(timers::Kind::lease_lost, lease, awaited.span(), pg::now_us());
}

void attend_to_retry(const timers::Due& due) {
    if (tasks::try_retry_due({due.subject_id}) == tasks::Attended::busy) {
        timers::set(due.kind, due.subject_id, pg::now_us() + busy_for_us);
    }
}

}  // namespace

bool run_timer(const timers::Due& due) {
    return attempt(due, [&] { timer_fired(due); });
}

void attend_to_lease(const tasks::Lease& lease) {
    // What goes wrong is found again, and put off, by whoever meets the timer.
    if (pg::attempt([&] { end_what_can_be_ended(lease); }, pg::Conflicts::become_data)) {
        set_for(timers::Kind::task_lease, lease, lease.tasks, pg::now_us());
    }
}

void attend_to_timer(const timers::Due& due) {
    attempt(due, [&] {
        due.kind == timers::Kind::task_retry ? attend_to_retry(due)
                                             : end_what_can_be_ended(tasks::lease_of_timer(due.data));
    });
}

}  // namespace oms::api
