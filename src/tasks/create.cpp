// New tasks, and tasks that become ready again.
#include <algorithm>

#include "pg/json.hpp"
#include "pg/settings.hpp"
#include "pg/transaction.hpp"
#include "tasks/bell.hpp"
#include "tasks/queues.hpp"
#include "tasks/ready.hpp"
#include "tasks/rows.hpp"
#include "timers/timers.hpp"

#include "pg/poison.hpp"

namespace oms::tasks {

core::TaskId create(const NewTask& task) {
    core::TaskId id{draw_number()};
    std::int64_t now = pg::now_us();
    std::int64_t run_at = task.run_at == 0 ? now : task.run_at;
    bool published = queue_named(task.queue).publish;
    bool is_ready = run_at <= now && !published;
    pg::RowValues row;
    auto set_time = [&](int field, std::int64_t time) {
        if (time == 0) {
            row.set_null(field);
        } else {
            row.set(field, TimestampTzGetDatum(time));
        }
    };
    row.set(Field::task_id, Int64GetDatum(id.value));
    row.set(Field::queue, pg::text_datum(task.queue));
    row.set(Field::priority, Int32GetDatum(task.priority));
    if (is_ready) {
        row.set(Field::position, Int64GetDatum(id.value));
    } else {
        row.set_null(Field::position);
    }
    row.set(Field::status, pg::text_datum(status_name::ready));
    row.set(Field::kind, pg::text_datum(task.kind));
    row.set(Field::payload, pg::jsonb_datum(task.payload));
    set_time(Field::run_at, run_at);
    row.set(Field::attempt, Int32GetDatum(0));
    if (task.policy) {
        row.set(Field::retry, pg::jsonb_datum(policy_json(*task.policy)));
    } else {
        row.set_null(Field::retry);
    }
    set_time(Field::deadline_at, task.deadline_at);
    if (task.step_id != 0) {
        row.set(Field::step_id, Int64GetDatum(task.step_id));
    } else {
        row.set_null(Field::step_id);
    }
    if (!task.provider_key.empty()) {
        row.set(Field::provider_key, pg::text_datum(task.provider_key));
    } else {
        row.set_null(Field::provider_key);
    }
    row.set(Field::lease_epoch, Int64GetDatum(0));
    row.set(Field::in_doubt, BoolGetDatum(false));
    for (int field : {Field::lease_until, Field::lease_owner, Field::last_error, Field::result}) row.set_null(field);
    set_time(Field::created_at, now);
    set_time(Field::updated_at, now);
    table().insert(row);
    if (is_ready) {
        ring_at_commit(task.queue);
    } else {
        timers::set(published ? timers::Kind::task_publish : timers::Kind::task_retry, id.value, run_at);
    }
    return id;
}

core::RetryPolicy default_policy(std::string_view queue) { return queue_named(queue).policy; }

void make_ready(pg::Row& row, std::int64_t run_at, pg::RowValues& changes) {
    std::int64_t now = pg::now_us();
    bool published = queue_named(pg::text_view(row.value(Field::queue))).publish;
    changes.set(Field::status, pg::text_datum(status_name::ready));
    changes.set(Field::run_at, TimestampTzGetDatum(run_at));
    changes.set(Field::updated_at, TimestampTzGetDatum(now));
    changes.set_null(Field::lease_until);
    changes.set_null(Field::lease_owner);
    // A new place at the end: the front of the queue has gone on since the task had its old one.
    if (run_at <= now && !published) {
        changes.set(Field::position, Int64GetDatum(draw_number()));
        ring_at_commit(pg::text_view(row.value(Field::queue)));
    } else {
        changes.set_null(Field::position);
        timers::set(published ? timers::Kind::task_publish : timers::Kind::task_retry,
                    DatumGetInt64(row.value(Field::task_id)), run_at);
    }
    row.update(changes, ready_fields);
}

bool waits_for_its_time(const pg::Row& row) {
    return status_of(row) == status_name::ready && row.is_null(Field::position);
}

void its_time_has_come(pg::Row& row) {
    std::int64_t run_at = DatumGetTimestampTz(row.value(Field::run_at));
    // The clock may have been set back since the timer fired; the time that was asked for has come all the same.
    pg::RowValues changes;
    changes.set(Field::attempt, row.value(Field::attempt));
    changes.set(Field::lease_epoch, row.value(Field::lease_epoch));
    changes.set(Field::in_doubt, row.value(Field::in_doubt));
    if (row.is_null(Field::last_error)) {
        changes.set_null(Field::last_error);
    } else {
        changes.set(Field::last_error, row.value(Field::last_error));
    }
    make_ready(row, std::min(run_at, pg::now_us()), changes);
}

void retry_due(core::TaskId task) {
    const std::array key{Int64GetDatum(task.value)};
    (void)table().with_row(key, pg::RowLock::for_update, [&](pg::Row& row) {
        if (waits_for_its_time(row)) its_time_has_come(row);
    });
}

Attended try_retry_due(core::TaskId task) {
    Attended found = Attended::done;
    const std::array key{Int64GetDatum(task.value)};
    (void)table().with_row(key, pg::RowLock::none, [&](pg::Row& row) {
        if (!waits_for_its_time(row)) return;
        if (!row.lock_if_free()) {
            found = Attended::busy;
            return;
        }
        its_time_has_come(row);
    });
    return found;
}

bool replay(core::TaskId task) {
    bool replayed = false;
    with_locked(task, [&](pg::Row& row) {
        if (status_of(row) != status_name::dead) return;
        pg::RowValues changes;
        changes.set(Field::attempt, Int32GetDatum(0));
        changes.set(Field::lease_epoch, Int64GetDatum(epoch_of(row) + 1));  // answers to the old lease come too late
        changes.set(Field::in_doubt, row.value(Field::in_doubt));
        changes.set_null(Field::last_error);
        make_ready(row, pg::now_us(), changes);
        replayed = true;
    });
    return replayed;
}

}  // namespace oms::tasks
