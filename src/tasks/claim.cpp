// Claiming: walk from the front of the queue, take what is ready, leave to others what they have.
#include <algorithm>
#include <limits>

#include "pg/memory.hpp"
#include "pg/raise.hpp"
#include "pg/relaxed_commit.hpp"
#include "pg/settings.hpp"
#include "pg/table_walk.hpp"
#include "pg/transaction.hpp"
#include "tasks/front.hpp"
#include "tasks/lease.hpp"
#include "tasks/limit.hpp"
#include "tasks/owner.hpp"
#include "tasks/queues.hpp"
#include "tasks/rows.hpp"
#include "timers/timers.hpp"

#include "pg/poison.hpp"

namespace oms::tasks {

namespace {

constexpr std::array by_priority{static_cast<int>(Field::queue), static_cast<int>(Field::priority)};
constexpr std::array by_position{static_cast<int>(Field::queue), static_cast<int>(Field::priority),
                                 static_cast<int>(Field::position)};
// A claim need not be durable (see claim()), so a crash may undo one whose holder lives on: the number alone must not come again. The clock's
// microseconds do not, and they are numbers that every language can hold.
constinit std::int64_t last_epoch = 0;

std::string_view text_or_empty(const pg::Row& row, int field) {
    return row.is_null(field) ? std::string_view{} : pg::copied(pg::text_view(row.value(field)));
}

Leased read(const pg::Row& row, const Terms& lease, std::int64_t epoch) {
    return {.id = {DatumGetInt64(row.value(Field::task_id))},
            .lease_epoch = epoch,
            .queue = pg::copied(pg::text_view(row.value(Field::queue))),
            .kind = pg::copied(pg::text_view(row.value(Field::kind))),
            .payload = DatumGetJsonbPCopy(row.value(Field::payload)),
            .attempt = DatumGetInt32(row.value(Field::attempt)) + 1,
            .lease_until = lease.until,
            .deadline_at = row.is_null(Field::deadline_at) ? 0 : DatumGetTimestampTz(row.value(Field::deadline_at)),
            .step_id = step_of(row),
            .provider_key = text_or_empty(row, Field::provider_key)};
}

}  // namespace

std::int64_t draw_epoch(std::int64_t above) {
    last_epoch = std::max({last_epoch + 1, above + 1, GetCurrentTimestamp()});
    return last_epoch;
}

Leased lease_of(const pg::Row& row, const Terms& lease, pg::RowValues& changes) {
    Leased leased = read(row, lease, lease.epoch);
    changes.set(Field::status, pg::text_datum(status_name::leased));
    changes.set(Field::attempt, Int32GetDatum(leased.attempt));
    changes.set(Field::lease_epoch, Int64GetDatum(lease.epoch));
    changes.set(Field::lease_until, TimestampTzGetDatum(lease.until));
    if (lease.owner != 0) {
        changes.set(Field::lease_owner, Int64GetDatum(lease.owner));
    } else {
        changes.set_null(Field::lease_owner);
    }
    changes.set(Field::updated_at, TimestampTzGetDatum(lease.now));
    return leased;
}

// One timer for all tasks of a claim: most will be answered long before it fires.
void set_lease_timer(const Terms& lease, std::span<const Leased> taken) {
    timers::Kind kind = lease.owner == 0 ? timers::Kind::task_lease : timers::Kind::task_owned_lease;
    std::int64_t subject = lease.owner == 0 ? lease.epoch : lease.owner;
    std::span<core::TaskId> tasks = pg::allocate<core::TaskId>(taken.size());
    for (std::size_t i = 0; i < taken.size(); ++i) tasks[i] = taken[i].id;
    timers::set(kind, subject, lease.until, timer_data_of({.epoch = lease.epoch, .tasks = tasks}));
}

namespace {

bool try_lease(pg::Row& row, const Terms& lease, pg::Array<Leased>& taken) {
    // The clock was set back since the task was leased last: left for the next claim, whose epoch will be a higher one.
    if (epoch_of(row) >= lease.epoch) {
        last_epoch = std::max(last_epoch, epoch_of(row));
        return false;
    }
    pg::RowValues changes;
    Leased leased = lease_of(row, lease, changes);
    if (!row.try_update(changes, leased_fields)) return false;
    taken.push(leased);
    return true;
}

// The stretches of positions that a claim walks over, each longer than the one before: one in which nothing is of this queue costs a descent.
constexpr std::int64_t span_min = 64;
constexpr std::int64_t span_growth = 8;
constexpr std::int64_t everything = std::numeric_limits<std::int64_t>::max();

// The first priority of the queue from `from` on that any task, dead or alive, ever had and that was not cleaned away.
std::optional<int> next_priority(Datum queue, int from) {
    std::optional<int> found;
    const std::array equal{queue};
    pg::walk(table(), {.columns = by_priority, .equal = equal, .from = from}, nullptr, [&](pg::Row& row) {
        found = DatumGetInt32(row.value(Field::priority));
        return false;
    });
    return found;
}

bool is_ready(const pg::Row& row) { return status_of(row) == status_name::ready; }

// Under REPEATABLE READ the snapshot is old: what it shows as ready may be taken, and is left alone then. Nothing is learned from it.
void take_from_snapshot(Datum queue, Front& front, const Terms& lease, std::size_t limit, pg::Array<Leased>& taken) {
    Snapshot snapshot = pg::register_snapshot();
    const std::array equal{queue, Int32GetDatum(front.priority)};
    pg::walk(table(), {.columns = by_position, .equal = equal, .from = front.frontier.from()}, snapshot,
             [&](pg::Row& row) {
                 if (is_ready(row)) (void)try_lease(row, lease, taken);
                 return taken.size() < limit;
             });
    pg::unregister_snapshot(snapshot);
}

void take(Datum queue, Front& front, const Terms& lease, std::size_t limit, pg::Array<Leased>& taken) {
    if (pg::has_transaction_snapshot()) return take_from_snapshot(queue, front, lease, limit, taken);
    std::int64_t highest = last_number();
    Snapshot snapshot = front.frontier.begin_look(highest);
    std::int64_t passed_until = highest;
    const std::array equal{queue, Int32GetDatum(front.priority)};
    auto look_at = [&](pg::Row& row) {
        std::int64_t position = DatumGetInt64(row.value(Field::position));
        if (is_ready(row)) {
            if (try_lease(row, lease, taken)) {
                front.frontier.took(position);
            } else {
                front.frontier.met_holder(position, row.holder());
            }
        }
        if (taken.size() == limit) passed_until = position;
        return taken.size() < limit;
    };
    // An index scan reads to the end of the page what matches, so it is told where to stop: most claims find what they want close to the front.
    std::int64_t from = front.frontier.from();
    std::int64_t span = span_min + 4 * static_cast<std::int64_t>(limit);
    while (taken.size() < limit && from <= highest) {
        std::int64_t to = highest - from < span ? everything : from + span - 1;
        pg::walk(table(), {.columns = by_position, .equal = equal, .from = from, .to = to}, snapshot, look_at);
        if (to == everything) break;
        from = to + 1;
        span *= span_growth;
    }
    front.frontier.end_look(snapshot, passed_until);
    store(front);
}

}  // namespace

std::span<const Leased> claim(const Claim& claim) {
    pg::Array<Leased> taken;
    const Queue& queue = queue_named(claim.queue);
    if (queue.paused) return taken.span();
    // A crash may undo a claim that did not wait for the disk: then it was never made. The tasks are ready again, and the epoch that the holder
    // was given is not that of anybody who claims them later, so his answer is refused like any late one. Work that has a key at a provider is
    // another matter: when it is withdrawn, whether anybody ever had it says whether it may have been done.
    auto work = [&] {
        Terms lease{.epoch = draw_epoch(), .until = 0, .now = pg::now_us(), .owner = 0};
        lease.until = lease.now + (claim.lease_us > 0 ? claim.lease_us : queue.lease_us);
        Datum name = pg::text_datum(claim.queue);
        int limit = queue.leased_max == 0 ? claim.tasks_max : room_in(claim.queue, queue.leased_max, claim.tasks_max);
        if (limit <= 0) return;
        if (claim.while_connected) lease.owner = own_name(claim.queue);
        int from = -priority_limit;
        while (taken.size() < static_cast<std::size_t>(limit)) {
            std::optional<int> priority = next_priority(name, from);
            if (!priority) break;
            take(name, front_of(claim.queue, *priority), lease, static_cast<std::size_t>(limit), taken);
            from = *priority + 1;
        }
        if (taken.size() == 0) return;
        if (queue.leased_max != 0) count_leases(claim.queue, taken.span());
        set_lease_timer(lease, taken.span());
    };
    if (pg::settings::durable_claims) {
        work();
    } else {
        pg::relaxed([&] {
            work();
            return std::ranges::all_of(taken.span(), [](const Leased& task) { return task.provider_key.empty(); });
        });
    }
    pg::end_of_command();
    return taken.span();
}

}  // namespace oms::tasks
