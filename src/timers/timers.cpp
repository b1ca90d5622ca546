// The table of timers: set, cancel, hand out.
#include "timers/timers.hpp"

#include <algorithm>

#include "core/retry.hpp"
#include "pg/catalog.hpp"
#include "pg/entry.hpp"
#include "pg/frontier.hpp"
#include "pg/memory.hpp"
#include "pg/sequence.hpp"
#include "pg/settings.hpp"
#include "pg/table_walk.hpp"
#include "pg/transaction.hpp"
#include "timers/clock_bell.hpp"

#include "pg/poison.hpp"

namespace oms::timers {

namespace {

enum Field : int { timer_id, kind, subject_id, due_at, data, failures, last_error, failing_since };

constexpr std::array columns{
    pg::Column{"timer_id", INT8OID},         pg::Column{"kind", INT4OID},
    pg::Column{"subject_id", INT8OID},       pg::Column{"due_at", TIMESTAMPTZOID},
    pg::Column{"data", JSONBOID, true},      pg::Column{"failures", INT4OID},
    pg::Column{"last_error", TEXTOID, true}, pg::Column{"failing_since", TIMESTAMPTZOID, true},
};
constexpr std::array key_columns{static_cast<int>(Field::kind), static_cast<int>(Field::due_at),
                                 static_cast<int>(Field::timer_id)};
constexpr std::array by_time{static_cast<int>(Field::kind), static_cast<int>(Field::due_at)};
constexpr std::array by_subject{static_cast<int>(Field::kind), static_cast<int>(Field::subject_id)};

constexpr pg::TableDefinition definition{.name = "timer", .columns = columns, .key = key_columns};

constinit pg::Table timer_table{definition};
constinit pg::Sequence timer_ids{"timer_id_seq"};

// For each kind how far this session has seen that nothing is left. Clocks can be set back, and a session with a clock of its own can set a timer
// behind that point; so it is forgotten when time runs backwards, and in any case now and then.
constexpr std::int64_t memory_us = 60'000'000;
// A timer whose work fails is broken in a way that a person has to look at; until then it is tried again at a rate that harms nobody.
constexpr core::RetryPolicy after_failure{
    .attempts_max = 0, .base_ms = 5'000, .factor = 2, .cap_ms = 600'000, .jitter = 0.2};

struct Front {
    pg::Frontier frontier;
    std::int64_t since = 0;
    std::int64_t last_now = 0;
};
constexpr std::size_t kinds_max = 14;
constinit std::array<Front, kinds_max> fronts{};
constinit Oid timer_relation = InvalidOid;

Datum kind_datum(Kind kind) { return Int32GetDatum(static_cast<std::int32_t>(kind)); }

Due read(const pg::Row& row) {
    return {
        .id = {DatumGetInt64(row.value(Field::timer_id))},
        .kind = static_cast<Kind>(DatumGetInt32(row.value(Field::kind))),
        .subject_id = DatumGetInt64(row.value(Field::subject_id)),
        .due_at = DatumGetTimestampTz(row.value(Field::due_at)),
        .data = row.is_null(Field::data) ? nullptr : DatumGetJsonbPCopy(row.value(Field::data)),
        .failures = DatumGetInt32(row.value(Field::failures)),
        .failing_since = row.is_null(Field::failing_since) ? 0 : DatumGetTimestampTz(row.value(Field::failing_since))};
}

std::int64_t beginning() { return std::numeric_limits<std::int64_t>::min(); }

// Takes what is due until `now` without the session's memory: under a fixed clock, or with a snapshot that is not of now.
void take_plainly(Kind kind, std::int64_t now, std::size_t limit, pg::Array<Due>& taken) {
    Snapshot snapshot = pg::register_snapshot();
    const std::array equal{kind_datum(kind)};
    pg::walk(timer_table, {.columns = by_time, .equal = equal, .to = now}, snapshot, [&](pg::Row& row) {
        Due due = read(row);
        if (row.try_remove()) taken.push(due);
        return taken.size() < limit;
    });
    pg::unregister_snapshot(snapshot);
}

void take(Kind kind, std::size_t limit, pg::Array<Due>& taken) {
    std::int64_t now = pg::now_us();
    if (pg::now_is_fixed() || pg::has_transaction_snapshot()) return take_plainly(kind, now, limit, taken);
    Front& front = fronts[static_cast<std::size_t>(kind)];
    if (!front.frontier.is_set() || now < front.last_now || now - front.since > memory_us) {
        timer_relation = pg::relation_oid(definition.name);
        front.frontier.reset(beginning());
        front.since = now;
    }
    front.last_now = now;
    // Timers that transactions to come will set are due later than now, which was read before their ids are given out.
    Snapshot snapshot = front.frontier.begin_look(now - 1);
    std::int64_t passed_until = now - 1;
    const std::array equal{kind_datum(kind)};
    pg::walk(timer_table, {.columns = by_time, .equal = equal, .from = front.frontier.from(), .to = now}, snapshot,
             [&](pg::Row& row) {
                 Due due = read(row);
                 if (row.try_remove()) {
                     front.frontier.took(due.due_at);
                     taken.push(due);
                 } else {
                     // Also when nobody has it any more: whoever had it may just have rolled back.
                     front.frontier.met_holder(due.due_at, row.holder());
                 }
                 // Others may be due at the same microsecond.
                 if (taken.size() == limit) passed_until = due.due_at - 1;
                 return taken.size() < limit;
             });
    front.frontier.end_look(snapshot, passed_until);
}

}  // namespace

namespace {

core::TimerId insert(const Due& due, std::string_view error) {
    pg::RowValues row;
    row.set(Field::timer_id, Int64GetDatum(due.id.value));
    row.set(Field::kind, kind_datum(due.kind));
    row.set(Field::subject_id, Int64GetDatum(due.subject_id));
    row.set(Field::due_at, TimestampTzGetDatum(due.due_at));
    if (due.data == nullptr) {
        row.set_null(Field::data);
    } else {
        row.set(Field::data, pg::jsonb_datum(due.data));
    }
    row.set(Field::failures, Int32GetDatum(due.failures));
    if (error.empty()) {
        row.set_null(Field::last_error);
    } else {
        row.set(Field::last_error, pg::text_datum(error));
    }
    if (due.failing_since == 0) {
        row.set_null(Field::failing_since);
    } else {
        row.set(Field::failing_since, TimestampTzGetDatum(due.failing_since));
    }
    timer_table.insert(row);
    ring_at_commit(due.due_at);
    return due.id;
}

}  // namespace

core::TimerId set(Kind kind, std::int64_t subject_id, std::int64_t due_at, Jsonb* data) {
    pg::assign_transaction_id();  // before the clock is read: see take()
    return insert({.id = {timer_ids.next()},
                   .kind = kind,
                   .subject_id = subject_id,
                   .due_at = std::max(due_at, pg::now_us()),
                   .data = data,
                   .failures = 0,
                   .failing_since = 0},
                  {});
}

void set_again(const Due& due, std::string_view error) {
    pg::assign_transaction_id();
    Due again = due;
    if (again.failures++ == 0) again.failing_since = due.due_at;
    std::uint64_t seed = static_cast<std::uint64_t>(due.id.value);
    again.due_at = pg::now_us() + core::backoff_ms(after_failure, again.failures, seed) * 1000;
    insert(again, error);
}

std::span<const Due> take_of_subject(Kind kind, std::int64_t subject_id) {
    pg::end_of_command();  // timers of this very transaction count too
    pg::Array<Due> taken;
    Snapshot snapshot = pg::register_snapshot();
    const std::array equal{kind_datum(kind)};
    pg::walk(timer_table, {.columns = by_subject, .equal = equal, .from = subject_id, .to = subject_id}, snapshot,
             [&](pg::Row& row) {
                 Due due = read(row);
                 if (row.try_remove()) taken.push(due);
                 return true;
             });
    pg::unregister_snapshot(snapshot);
    return taken.span();
}

void cancel(Kind kind, std::int64_t subject_id) { (void)take_of_subject(kind, subject_id); }

std::span<const Due> take_due(Kind kind, int limit) {
    pg::Array<Due> taken;
    if (limit > 0) take(kind, static_cast<std::size_t>(limit), taken);
    return taken.span();
}

std::span<const Due> take_due(int limit) {
    // A kind of which more than the limit is always due must not starve the others: each gets its part, then what is left over.
    pg::Array<Due> taken;
    std::size_t all = static_cast<std::size_t>(std::max(limit, 0));
    for (std::size_t share : {all / (kinds_max - 1) + 1, all}) {
        for (std::size_t kind = 1; kind < kinds_max && taken.size() < all; ++kind) {
            take(static_cast<Kind>(kind), std::min(taken.size() + share, all), taken);
        }
        if (taken.size() > 0) pg::end_of_command();
    }
    return taken.span();
}

std::optional<std::int64_t> next_due() {
    std::optional<std::int64_t> first;
    Snapshot snapshot = pg::register_snapshot();
    for (std::size_t kind = 1; kind < kinds_max; ++kind) {
        // Where the clock has been there is nothing that the next take would not find at once.
        const Front& front = fronts[kind];
        bool remembered = front.frontier.is_set() && !pg::now_is_fixed() && !pg::has_transaction_snapshot();
        const std::array equal{kind_datum(static_cast<Kind>(kind))};
        pg::WalkRange range{.columns = by_time, .equal = equal};
        if (remembered) range.from = front.frontier.settled();
        pg::walk(timer_table, range, snapshot, [&](pg::Row& row) {
            std::int64_t due = DatumGetTimestampTz(row.value(Field::due_at));
            first = first ? std::min(*first, due) : due;
            return false;
        });
    }
    pg::unregister_snapshot(snapshot);
    return first;
}

void relation_changed(Oid relation) {
    if (relation != InvalidOid && relation != timer_relation) return;
    for (Front& front : fronts) front.frontier.forget();
}

pg::Table& table() { return timer_table; }

}  // namespace oms::timers
