// Answers to leases, and leases that end without one.
#include <algorithm>

#include "pg/memory.hpp"
#include "pg/raise.hpp"
#include "pg/settings.hpp"
#include "pg/transaction.hpp"
#include "tasks/owner.hpp"
#include "tasks/queues.hpp"
#include "tasks/ready.hpp"
#include "tasks/rows.hpp"
#include "timers/timers.hpp"

#include "pg/poison.hpp"

namespace oms::tasks {

namespace {

constexpr std::array done_fields{
    static_cast<int>(Field::status),      static_cast<int>(Field::result),     static_cast<int>(Field::lease_until),
    static_cast<int>(Field::lease_owner), static_cast<int>(Field::updated_at),
};
constexpr std::array dead_fields{
    static_cast<int>(Field::status),      static_cast<int>(Field::last_error),  static_cast<int>(Field::lease_until),
    static_cast<int>(Field::lease_owner), static_cast<int>(Field::lease_epoch), static_cast<int>(Field::in_doubt),
    static_cast<int>(Field::updated_at),
};
constexpr std::array prolonged_fields{static_cast<int>(Field::lease_until), static_cast<int>(Field::updated_at)};

core::TaskId id_of(const pg::Row& row) { return {DatumGetInt64(row.value(Field::task_id))}; }

[[noreturn]] void raise_lost(const pg::Row& row, std::int64_t lease_epoch) {
    std::int64_t task = id_of(row).value;
    const char* status = pg::c_string(status_of(row));
    pg::raise(pg::Error::task_lease_lost,
              {.message = pg::format("the lease " INT64_FORMAT " on task " INT64_FORMAT " is lost", lease_epoch, task),
               .detail = pg::format("The task is %s; its last lease is " INT64_FORMAT ".", status, epoch_of(row)),
               .hint = "Drop the work, or make it harmless: the task is somebody else's by now, or was answered in "
                       "another way."});
}

bool is_leased_under(const pg::Row& row, std::int64_t lease_epoch) {
    return lease_epoch != 0 && epoch_of(row) == lease_epoch && status_of(row) == status_name::leased;
}

void end_of_lease(pg::RowValues& changes, std::string_view status) {
    changes.set(Field::status, pg::text_datum(status));
    changes.set_null(Field::lease_until);
    changes.set_null(Field::lease_owner);
    changes.set(Field::updated_at, TimestampTzGetDatum(pg::now_us()));
}

// Another attempt after this one, if the policy and the deadline allow it; nothing otherwise.
std::optional<std::int64_t> next_attempt_at(const pg::Row& row) {
    core::RetryPolicy policy = policy_of(row);
    int attempt = DatumGetInt32(row.value(Field::attempt));
    if (attempt >= policy.attempts_max) return std::nullopt;
    // The task's number is the seed: unrelated delays for tasks that failed together, the same one for whoever computes it again.
    auto seed = static_cast<std::uint64_t>(id_of(row).value);
    std::int64_t at = pg::now_us() + core::backoff_ms(policy, attempt, seed) * 1000;
    if (!row.is_null(Field::deadline_at) && at > DatumGetTimestampTz(row.value(Field::deadline_at)))
        return std::nullopt;
    return at;
}

// What is true of every way a task can close.
Closed closed_as(const pg::Row& row) {
    bool has_key = !row.is_null(Field::provider_key);
    return {.task = id_of(row),
            .step_id = step_of(row),
            .succeeded = false,
            .dead = false,
            .refused = false,
            .unknown = is_in_doubt(row),
            .replayed = false,
            .result = nullptr,
            .error = {},
            .kind = pg::copied(pg::text_view(row.value(Field::kind))),
            .provider_key = has_key ? pg::copied(pg::text_view(row.value(Field::provider_key))) : std::string_view{}};
}

// Whoever failed for now, or did not answer, may have done the work all the same, unless he says otherwise: what comes after this attempt begins in doubt.
enum class Doubt : bool { as_before, remains };

void set_doubt(pg::RowValues& changes, const pg::Row& row, Doubt doubt) {
    changes.set(Field::in_doubt, BoolGetDatum(doubt == Doubt::remains || is_in_doubt(row)));
}

Closed bury(pg::Row& row, std::int64_t next_epoch, std::string_view error, Doubt doubt) {
    pg::RowValues changes;
    end_of_lease(changes, status_name::dead);
    set_doubt(changes, row, doubt);
    changes.set(Field::lease_epoch, Int64GetDatum(next_epoch));
    changes.set(Field::last_error, pg::text_datum(error));
    row.update(changes, dead_fields);
    Closed closed = closed_as(row);
    closed.dead = true;
    closed.error = error;
    return closed;
}

// `next_epoch` is the lease's own when it was answered, so that the same answer can be recognised, and the one behind it when it was not.
std::optional<Closed> fail_attempt(pg::Row& row, std::int64_t next_epoch, std::string_view error,
                                   std::optional<std::int64_t> again_at, Doubt doubt) {
    if (!again_at) return bury(row, next_epoch, error, doubt);
    pg::RowValues changes;
    changes.set(Field::attempt, row.value(Field::attempt));
    changes.set(Field::lease_epoch, Int64GetDatum(next_epoch));
    set_doubt(changes, row, doubt);
    changes.set(Field::last_error, pg::text_datum(error));
    make_ready(row, *again_at, changes);
    return std::nullopt;
}

Purpose purpose_in(const pg::Row& row) {
    Closed closed = closed_as(row);
    return {.step_id = closed.step_id, .kind = closed.kind, .provider_key = closed.provider_key};
}

}  // namespace

Purpose purpose_of(core::TaskId task) {
    Purpose purpose{};
    const std::array key{Int64GetDatum(task.value)};
    bool found = table().with_row(key, pg::RowLock::none, [&](pg::Row& row) { purpose = purpose_in(row); });
    if (!found) raise_no_task(task);
    return purpose;
}

namespace {

std::optional<Closed> complete_row(pg::Row& row, std::int64_t lease_epoch, Jsonb* result) {
    Closed closed = closed_as(row);
    closed.succeeded = true;
    closed.replayed = lease_epoch != 0 && status_of(row) == status_name::done && epoch_of(row) == lease_epoch;
    closed.result = result;
    if (closed.replayed) {
        // What was answered first is what counts.
        closed.result = row.is_null(Field::result) ? nullptr : DatumGetJsonbPCopy(row.value(Field::result));
        return closed;
    }
    if (!is_leased_under(row, lease_epoch)) return std::nullopt;
    pg::RowValues changes;
    end_of_lease(changes, status_name::done);
    if (result != nullptr) {
        changes.set(Field::result, pg::jsonb_datum(result));
    } else {
        changes.set_null(Field::result);
    }
    row.update(changes, done_fields);
    return closed;
}

}  // namespace

Closed complete(core::TaskId task, std::int64_t lease_epoch, Jsonb* result) {
    std::optional<Closed> closed;
    with_locked(task, [&](pg::Row& row) {
        closed = complete_row(row, lease_epoch, result);
        if (!closed) raise_lost(row, lease_epoch);
    });
    return *closed;
}

std::optional<Closed> try_complete(core::TaskId task, std::int64_t lease_epoch, Jsonb* result) {
    std::optional<Closed> closed;
    const std::array key{Int64GetDatum(task.value)};
    (void)table().with_row(key, pg::RowLock::for_update,
                           [&](pg::Row& row) { closed = complete_row(row, lease_epoch, result); });
    return closed;
}

std::optional<Closed> fail(core::TaskId task, std::int64_t lease_epoch, const Failure& failure) {
    std::optional<Closed> closed;
    const Doubt doubt = failure.retryable && !failure.nothing_done ? Doubt::remains : Doubt::as_before;
    // The worker's word is about its own attempt; an earlier one may have done it. Only who has asked a provider under its key can say no for all of them.
    auto judge = [&] {
        closed->unknown = closed->unknown || doubt == Doubt::remains;
        closed->refused = !failure.retryable || !closed->unknown;
    };
    with_locked(task, [&](pg::Row& row) {
        // Ready or dead under this very epoch: this lease was answered by a failure before.
        bool failed_before = lease_epoch != 0 && epoch_of(row) == lease_epoch &&
                             (status_of(row) == status_name::ready || status_of(row) == status_name::dead);
        if (failed_before) {
            if (status_of(row) == status_name::ready) return;
            closed = closed_as(row);
            closed->dead = true;
            closed->replayed = true;
            judge();
            closed->error = pg::copied(pg::text_view(row.value(Field::last_error)));
            return;
        }
        if (!is_leased_under(row, lease_epoch)) raise_lost(row, lease_epoch);
        std::optional<std::int64_t> again_at;
        if (failure.retryable) again_at = next_attempt_at(row);
        closed = fail_attempt(row, lease_epoch, failure.error, again_at, doubt);
        if (closed) judge();
    });
    return closed;
}

void lock(core::TaskId task) {
    const std::array key{Int64GetDatum(task.value)};
    (void)table().with_row(key, pg::RowLock::for_update, [](pg::Row&) {});
}

std::optional<Purpose> purpose_of_lease(core::TaskId task, std::int64_t lease_epoch) {
    std::optional<Purpose> purpose;
    const std::array key{Int64GetDatum(task.value)};
    (void)table().with_row(key, pg::RowLock::none, [&](pg::Row& row) {
        if (is_leased_under(row, lease_epoch)) purpose = purpose_in(row);
    });
    return purpose;
}

std::int64_t heartbeat(core::TaskId task, std::int64_t lease_epoch, std::int64_t lease_us) {
    std::int64_t until = 0;
    with_locked(task, [&](pg::Row& row) {
        if (!is_leased_under(row, lease_epoch)) raise_lost(row, lease_epoch);
        std::int64_t now = pg::now_us();
        // A heartbeat never shortens a lease.
        if (lease_us == 0) lease_us = queue_named(pg::text_view(row.value(Field::queue))).lease_us;
        until = std::max(now + lease_us, DatumGetTimestampTz(row.value(Field::lease_until)));
        pg::RowValues changes;
        changes.set(Field::lease_until, TimestampTzGetDatum(until));
        changes.set(Field::updated_at, TimestampTzGetDatum(now));
        row.update(changes, prolonged_fields);
    });
    return until;
}

namespace {

// One that a heartbeat has prolonged keeps its lease until then.
bool was_prolonged(const pg::Row& row, LeaseEnd reason) {
    return reason == LeaseEnd::at_its_time && DatumGetTimestampTz(row.value(Field::lease_until)) > pg::now_us();
}

std::optional<Closed> end_lease_of(pg::Row& row, LeaseEnd reason) {
    std::int64_t epoch = epoch_of(row);
    if (was_prolonged(row, reason)) {
        core::TaskId task = id_of(row);
        bool owned = !row.is_null(Field::lease_owner);
        timers::set(owned ? timers::Kind::task_owned_lease : timers::Kind::task_lease,
                    owned ? DatumGetInt64(row.value(Field::lease_owner)) : epoch,
                    DatumGetTimestampTz(row.value(Field::lease_until)),
                    timer_data_of({.epoch = epoch, .tasks = {&task, 1}}));
        return std::nullopt;
    }
    // The wait was the lease itself: no backoff on top. The epoch moves on, so that the late answer is refused.
    std::optional<std::int64_t> again_at = next_attempt_at(row);
    if (again_at) again_at = pg::now_us();
    const char* error = reason == LeaseEnd::at_its_time ? "the lease ended without an answer"
                                                        : "the session that had the lease is gone";
    std::optional<Closed> closed = fail_attempt(row, epoch + 1, error, again_at, Doubt::remains);
    if (closed) closed->unknown = true;
    return closed;
}

}  // namespace

std::optional<Closed> end_lease(core::TaskId task, std::int64_t lease_epoch, LeaseEnd reason) {
    std::optional<Closed> closed;
    const std::array key{Int64GetDatum(task.value)};
    (void)table().with_row(key, pg::RowLock::for_update, [&](pg::Row& row) {
        if (is_leased_under(row, lease_epoch)) closed = end_lease_of(row, reason);
    });
    return closed;
}

Attended try_end_lease(core::TaskId task, std::int64_t lease_epoch, LeaseEnd reason,
                       bool (*is_awaited)(const Purpose& purpose)) {
    Attended found = Attended::done;
    const std::array key{Int64GetDatum(task.value)};
    (void)table().with_row(key, pg::RowLock::none, [&](pg::Row& row) {
        if (!is_leased_under(row, lease_epoch)) return;
        if (!was_prolonged(row, reason) && !next_attempt_at(row) && is_awaited(purpose_in(row))) {
            found = Attended::awaited;
        } else if (!row.lock_if_free()) {
            found = Attended::busy;
        } else {
            (void)end_lease_of(row, reason);
        }
    });
    return found;
}

Canceled cancel(core::TaskId task) {
    Canceled found = Canceled::already_closed;
    with_locked(task, [&](pg::Row& row) {
        if (status_of(row) == status_name::done || status_of(row) == status_name::dead) return;
        const bool untouched = status_of(row) == status_name::ready && !is_in_doubt(row);
        found = untouched ? Canceled::untouched : Canceled::was_leased;
        (void)bury(row, epoch_of(row) + 1, "canceled", untouched ? Doubt::as_before : Doubt::remains);
        timers::cancel(timers::Kind::task_retry, task.value);
    });
    return found;
}

}  // namespace oms::tasks
