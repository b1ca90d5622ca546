// Queues that are published: their tasks have no place among those that can be claimed, but a timer at which they are given out.
#include "pg/memory.hpp"
#include "pg/settings.hpp"
#include "pg/transaction.hpp"
#include "tasks/lease.hpp"
#include "tasks/queues.hpp"
#include "tasks/ready.hpp"
#include "timers/timers.hpp"

#include "pg/poison.hpp"

namespace oms::tasks {

namespace {

// How soon a task is looked at again that cannot be given out now: its queue is paused.
constexpr std::int64_t look_again_us = 10'000'000;

}  // namespace

std::optional<Leased> take_to_publish(core::TaskId task) {
    std::optional<Leased> taken;
    const std::array key{Int64GetDatum(task.value)};
    (void)table().with_row(key, pg::RowLock::for_update, [&](pg::Row& row) {
        if (!waits_for_its_time(row)) return;
        const Queue& queue = queue_named(pg::text_view(row.value(Field::queue)));
        if (!queue.publish) return its_time_has_come(row);
        std::int64_t now = pg::now_us();
        if (queue.paused) return void(timers::set(timers::Kind::task_publish, task.value, now + look_again_us));
        Terms lease{.epoch = draw_epoch(epoch_of(row)), .until = now + queue.lease_us, .now = now, .owner = 0};
        pg::RowValues changes;
        taken = lease_of(row, lease, changes);
        row.update(changes, leased_fields);
        set_lease_timer(lease, {&*taken, 1});
    });
    if (taken) pg::end_of_command();
    return taken;
}

}  // namespace oms::tasks
