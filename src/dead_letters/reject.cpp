// Rejecting and parking.
#include "dead_letters/dead_letters.hpp"
#include "pg/memory.hpp"
#include "pg/plan.hpp"
#include "pg/raise.hpp"
#include "pg/settings.hpp"

#include "pg/poison.hpp"

namespace oms::dead_letters {

namespace {

// A dead letter that is there already stays as it is: the relay may meet the event again after a crash. Only one that was merely parked becomes a
// failed one.
constinit pg::Plan insert_letter{
    "INSERT INTO oms.dead_letter AS d (reader, event_id, aggregate_type, aggregate_id, topic, key, error, attempts, "
    "status, created_at, updated_at) "
    "SELECT $1, e.id, e.aggregate_type, e.aggregate_id, e.topic, e.key, $3, $4, $5, $6, $6 FROM oms.event e WHERE e.id "
    "= $2 "
    "ON CONFLICT (reader, event_id) DO UPDATE SET status = excluded.status, error = excluded.error, attempts = "
    "excluded.attempts, "
    "updated_at = excluded.updated_at WHERE d.status = 'parked' AND excluded.status = 'failed' RETURNING "
    "dead_letter_id",
    {TEXTOID, INT8OID, TEXTOID, INT4OID, TEXTOID, TIMESTAMPTZOID},
    pg::Planned::by_index};
constinit pg::Plan select_letter{"SELECT dead_letter_id FROM oms.dead_letter WHERE reader = $1 AND event_id = $2",
                                 {TEXTOID, INT8OID},
                                 pg::Planned::by_index};
// The lock keeps whoever holds the key from letting go between this look and the end of this transaction: nothing would ever wake what is parked
// then.
constinit pg::Plan lock_holder{
    "SELECT FROM oms.dead_letter d, oms.event e WHERE e.id = $2 AND d.reader = $1 AND d.topic = e.topic AND d.key = "
    "e.key AND d.event_id <> e.id "
    "AND d.status IN ('failed', 'replaying', 'parked') LIMIT 1 FOR SHARE OF d",
    {TEXTOID, INT8OID},
    pg::Planned::by_index};

Id store(const Rejection& rejection, std::string_view status) {
    pg::Parameter reader{pg::text_datum(rejection.reader)};
    pg::Parameter event{Int64GetDatum(rejection.event_id)};
    pg::Result rows = insert_letter.run(pg::Access::writes, {reader,
                                                             event,
                                                             {pg::text_datum(rejection.error)},
                                                             {Int32GetDatum(rejection.attempts)},
                                                             {pg::text_datum(status)},
                                                             {TimestampTzGetDatum(pg::now_us())}});
    if (rows.empty()) rows = select_letter.run(pg::Access::writes, {reader, event});
    if (!rows.empty()) return DatumGetInt64(rows.value(0, 0));
    pg::raise(pg::Error::not_found, {.message = pg::format("event " INT64_FORMAT " does not exist", rejection.event_id),
                                     .detail = "oms.event has no such row.",
                                     .hint = "Pass the id of an event that was read."});
}

}  // namespace

Id reject(const Rejection& rejection) { return store(rejection, "failed"); }

std::optional<Id> park(const Rejection& rejection) {
    pg::Result holder =
        lock_holder.run(pg::Access::writes, {{pg::text_datum(rejection.reader)}, {Int64GetDatum(rejection.event_id)}});
    if (holder.empty()) return std::nullopt;
    return store(rejection, "parked");
}

}  // namespace oms::dead_letters
