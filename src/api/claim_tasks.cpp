// oms.claim_tasks: take work under a lease.
//
// It works without anybody who runs what is due: when the queue gives less than was asked for, leases that ended and retries whose time has come
// are looked after first, and then the queue is asked once more. Only what concerns the tasks alone is done here: a claimer has no business with
// other people's sagas, their functions and their locks.
#include "api/due_work.hpp"
#include "api/task_request.hpp"
#include "pg/json.hpp"
#include "pg/memory.hpp"
#include "pg/raise.hpp"
#include "pg/transaction.hpp"

#include "pg/poison.hpp"

namespace oms::api {
namespace {

enum Argument : int { queue, max_tasks, lease, while_connected };

constexpr std::int32_t tasks_max = 10'000;
constexpr int due_at_once = 100;  // timers that one claim looks after; the rest is for the next one

std::int32_t checked_count(const pg::Call& call) {
    std::int32_t wanted = call.integer(max_tasks).value_or(1);
    if (wanted >= 1 && wanted <= tasks_max) return wanted;
    pg::raise(pg::Error::invalid_argument, {.message = pg::format("max_tasks must be 1 to %d", tasks_max),
                                            .detail = pg::format("It is %d.", wanted),
                                            .hint = "Claim what can be done within the lease."});
}

// Says whether anything may have become ready by it.
bool look_after_due_work(std::string_view queue_name) {
    bool any = false;
    auto look = [&](std::span<const timers::Due> due) {
        for (const timers::Due& timer : due) attend_to_timer(timer);
        any = any || !due.empty();
    };
    look(timers::take_due(timers::Kind::task_retry, due_at_once));
    look(timers::take_due(timers::Kind::task_lease, due_at_once));
    look(timers::take_due(timers::Kind::task_owned_lease, due_at_once));
    // An old snapshot may still show sessions whose leases others have ended since.
    if (!pg::has_transaction_snapshot()) {
        for (const tasks::Lease& orphan : tasks::orphaned_leases(queue_name)) {
            attend_to_lease(orphan);
            any = true;
        }
    }
    if (any) pg::end_of_command();
    return any;
}

void answer(pg::RowSet& rows, std::span<const tasks::Leased> taken) {
    for (const tasks::Leased& task : taken) {
        const Datum values[] = {Int64GetDatum(task.id.value),
                                Int64GetDatum(task.lease_epoch),
                                pg::text_datum(task.kind),
                                pg::jsonb_datum(task.payload),
                                Int32GetDatum(task.attempt),
                                TimestampTzGetDatum(task.lease_until),
                                TimestampTzGetDatum(task.deadline_at),
                                pg::text_datum(task.provider_key),
                                Int64GetDatum(task.step_id)};
        const bool nulls[] = {false,
                              false,
                              false,
                              false,
                              false,
                              false,
                              task.deadline_at == 0,
                              task.provider_key.empty(),
                              task.step_id == 0};
        rows.add(values, nulls);
    }
}

}  // namespace

OMS_FUNCTION(oms_claim_tasks) {
    pg::Call call{fcinfo};
    tasks::Claim wanted{.queue = task_name(call, queue, "queue"),
                        .tasks_max = checked_count(call),
                        .lease_us = lease_us(call, lease),
                        .while_connected = call.boolean(while_connected).value_or(false)};
    pg::RowSet rows{call};
    std::span<const tasks::Leased> taken = tasks::claim(wanted);
    answer(rows, taken);
    wanted.tasks_max -= static_cast<int>(taken.size());
    if (wanted.tasks_max > 0 && look_after_due_work(wanted.queue)) answer(rows, tasks::claim(wanted));
    return Datum{0};
}

// --- the claimers' doorbell ---

OMS_FUNCTION(oms_tasks_arm) {
    pg::Call call{fcinfo};
    return BoolGetDatum(tasks::arm_queue(task_name(call, 0, "queue")));
}

OMS_FUNCTION(oms_tasks_disarm) {
    pg::Call call{fcinfo};
    tasks::disarm_queue(task_name(call, 0, "queue"));
    return call.null();
}

}  // namespace oms::api
