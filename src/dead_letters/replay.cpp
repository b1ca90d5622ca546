// Replays: asked for, taken, settled; and the parked events that follow.
#include <algorithm>

#include "dead_letters/dead_letters.hpp"
#include "pg/arrays.hpp"
#include "pg/memory.hpp"
#include "pg/plan.hpp"
#include "pg/raise.hpp"
#include "pg/settings.hpp"

#include "pg/poison.hpp"

namespace oms::dead_letters {

namespace {

constinit pg::Plan select_due{
    "SELECT a.attempt_id, a.dead_letter_id, e.id, e.aggregate_type, e.aggregate_id, e.seq, e.type, e.topic, e.key, "
    "e.payload, e.headers, e.occurred_at "
    "FROM (SELECT a.attempt_id, a.dead_letter_id, a.not_before, d.event_id, coalesce(p.on_reject, 'skip') AS "
    "on_reject, "
    "row_number() OVER (PARTITION BY d.topic, d.key ORDER BY d.event_id) AS place "
    "FROM oms.replay_attempt a JOIN oms.dead_letter d ON d.dead_letter_id = a.dead_letter_id "
    "LEFT JOIN oms.topic_policy p ON p.topic = d.topic WHERE a.settled_at IS NULL AND d.reader = $1) a "
    "JOIN oms.event e ON e.id = a.event_id WHERE a.not_before <= $3 AND (a.on_reject = 'skip' OR a.place = 1) ORDER BY "
    "e.id LIMIT $2",
    {TEXTOID, INT4OID, TIMESTAMPTZOID}};
constinit pg::Plan mark_taken{
    "UPDATE oms.replay_attempt SET taken_at = $2 WHERE attempt_id = ANY ($1) AND taken_at IS NULL",
    {INT8ARRAYOID, TIMESTAMPTZOID}};
constinit pg::Plan end_attempt{
    "UPDATE oms.replay_attempt SET settled_at = $4, ok = $2, error = $3 WHERE attempt_id = $1 AND settled_at IS NULL "
    "RETURNING dead_letter_id",
    {INT8OID, BOOLOID, TEXTOID, TIMESTAMPTZOID}};
constinit pg::Plan select_attempt{
    "SELECT d.reader, a.ok FROM oms.replay_attempt a JOIN oms.dead_letter d ON d.dead_letter_id = a.dead_letter_id "
    "WHERE a.attempt_id = $1",
    {INT8OID}};
constinit pg::Plan end_letter{
    "UPDATE oms.dead_letter SET status = CASE WHEN $2 THEN 'sent' ELSE 'failed' END, error = CASE WHEN $2 THEN error "
    "ELSE $3 END, "
    "attempts = least(attempts, 2147483646) + 1, updated_at = $4 WHERE dead_letter_id = $1 RETURNING reader, topic, "
    "key",
    {INT8OID, BOOLOID, TEXTOID, TIMESTAMPTZOID}};
// The first that holds the key; if it only waits, its turn has come.
constinit pg::Plan release_next{
    "WITH first AS (SELECT dead_letter_id, status FROM oms.dead_letter WHERE reader = $1 AND topic = $2 AND key = $3 "
    "AND status IN ('failed', 'replaying', 'parked') ORDER BY event_id LIMIT 1), "
    "released AS (UPDATE oms.dead_letter d SET status = 'replaying', updated_at = $4 FROM first f "
    "WHERE d.dead_letter_id = f.dead_letter_id AND f.status = 'parked' AND d.status = 'parked' RETURNING "
    "d.dead_letter_id) "
    "INSERT INTO oms.replay_attempt (dead_letter_id, not_before, requested_at, requested_by, reason) "
    "SELECT dead_letter_id, $4, $4, session_user, 'nothing holds the key any more' FROM released",
    {TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID}};
constinit pg::Plan request_replays{
    "WITH wanted AS (SELECT id, place FROM unnest($1) WITH ORDINALITY w (id, place)), "
    "asked AS (UPDATE oms.dead_letter d SET status = 'replaying', updated_at = $2 FROM wanted w "
    "WHERE d.dead_letter_id = w.id AND d.status = 'failed' RETURNING d.dead_letter_id, w.place) "
    "INSERT INTO oms.replay_attempt (dead_letter_id, not_before, requested_at, requested_by, actor, reason) "
    "SELECT dead_letter_id, $2 + coalesce((row_number() OVER (ORDER BY place) - 1) / $3::float8, 0) * interval '1 "
    "second', $2, "
    "session_user, nullif($4, ''), $5 FROM asked ORDER BY place RETURNING dead_letter_id",
    {INT8ARRAYOID, TIMESTAMPTZOID, INT4OID, TEXTOID, TEXTOID}};
constinit pg::Plan discard_letters{
    "UPDATE oms.dead_letter SET status = 'discarded', updated_at = $2 WHERE dead_letter_id = ANY ($1) AND status IN "
    "('failed', 'parked') "
    "RETURNING dead_letter_id, reader, topic, key",
    {INT8ARRAYOID, TIMESTAMPTZOID}};
constinit pg::Plan select_blocked{
    "SELECT DISTINCT d.topic, d.key FROM oms.dead_letter d JOIN oms.topic_policy p ON p.topic = d.topic "
    "WHERE d.reader = $1 AND p.on_reject = 'block_key' AND d.status IN ('failed', 'replaying', 'parked')",
    {TEXTOID}};
// Of what is above the lowest id that may still come the snapshots know what was read, as in oms.outbox. Parked ones have had no attempt of their
// own.
constinit pg::Plan select_ahead{
    "SELECT d.event_id, d.topic, d.key, d.error, d.attempts = 0 FROM (SELECT p.*, "
    "(SELECT min(l.first_event_id) FROM oms.log_life l WHERE l.life = p.life) AS first_id, "
    "coalesce((SELECT min(l.first_event_id) FROM oms.log_life l WHERE l.life > p.life), 9223372036854775807) AS "
    "next_id "
    "FROM oms.reader_position p WHERE p.reader = $1 ORDER BY p.generation DESC LIMIT 1) p "
    "JOIN oms.dead_letter d ON d.reader = $1 AND d.event_id > p.passed_id JOIN oms.event e ON e.id = d.event_id "
    "WHERE NOT coalesce(e.id < p.first_id OR e.id < p.next_id AND (pg_visible_in_snapshot(e.xid, p.from_snapshot) "
    "OR e.id <= p.page_id AND pg_visible_in_snapshot(e.xid, p.to_snapshot)), false) "
    "ORDER BY d.event_id",
    {TEXTOID}};

// The columns reader, topic and key of a row, from `first` on.
void release_key_of(const pg::Result& rows, std::size_t row, int first) {
    if (rows.is_null(row, first + 1) || rows.is_null(row, first + 2)) return;
    release_next.run(pg::Access::writes, {{rows.value(row, first)},
                                          {rows.value(row, first + 1)},
                                          {rows.value(row, first + 2)},
                                          {TimestampTzGetDatum(pg::now_us())}});
}

Changed first_column(const pg::Result& rows) {
    std::span<Id> ids = pg::allocate<Id>(rows.count);
    for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = DatumGetInt64(rows.value(i, 0));
    std::ranges::sort(ids);
    return ids;
}

[[noreturn]] void raise_no_attempt(Id attempt) {
    pg::raise(pg::Error::not_found, {.message = pg::format("replay attempt " INT64_FORMAT " does not exist", attempt),
                                     .detail = "oms.replay_attempt has no such row.",
                                     .hint = "Pass an attempt_id that oms.take_replays gave."});
}

}  // namespace

void take_replays(std::string_view reader, std::int32_t events_max, pg::RowSet& answer) {
    std::int64_t now = pg::now_us();
    pg::Result due = select_due.run(
        pg::Access::writes, {{pg::text_datum(reader)}, {Int32GetDatum(events_max)}, {TimestampTzGetDatum(now)}});
    if (due.empty()) return;
    std::span<Id> attempts = pg::allocate<Id>(due.count);
    for (std::size_t i = 0; i < attempts.size(); ++i) attempts[i] = DatumGetInt64(due.value(i, 0));
    mark_taken.run(pg::Access::writes, {{pg::bigint_array_datum(attempts)}, {TimestampTzGetDatum(now)}});
    answer.add(due);
}

std::string_view reader_of_attempt(Id attempt) {
    pg::Result rows = select_attempt.run(pg::Access::writes, {{Int64GetDatum(attempt)}});
    if (rows.empty()) raise_no_attempt(attempt);
    return pg::text_view(rows.value(0, 0));
}

void settle_replay(Id attempt, bool ok, std::optional<std::string_view> error) {
    pg::Parameter now{TimestampTzGetDatum(pg::now_us())};
    pg::Parameter why{error ? pg::text_datum(*error) : Datum{0}, !error};
    pg::Result ended = end_attempt.run(pg::Access::writes, {{Int64GetDatum(attempt)}, {BoolGetDatum(ok)}, why, now});
    if (ended.empty()) {
        pg::Result before = select_attempt.run(pg::Access::writes, {{Int64GetDatum(attempt)}});
        if (before.empty()) raise_no_attempt(attempt);
        bool was_ok = DatumGetBool(before.value(0, 1));
        if (was_ok == ok) return;
        pg::raise(pg::Error::dead_letter_state,
                  {.message = pg::format("replay attempt " INT64_FORMAT " has ended otherwise", attempt),
                   .detail = was_ok ? "It was settled as sent." : "It was settled as failed.",
                   .hint = "Ask for another replay with oms.dlq_replay if the event is to be tried again."});
    }
    pg::Parameter reason{error ? pg::text_datum(*error) : pg::text_datum("the replay failed")};
    pg::Result letter = end_letter.run(pg::Access::writes, {{ended.value(0, 0)}, {BoolGetDatum(ok)}, reason, now});
    if (ok) release_key_of(letter, 0, 0);
}

void add_letters_ahead(std::string_view reader, pg::RowSet& answer) {
    answer.add(select_ahead.run(pg::Access::reads, {{pg::text_datum(reader)}}));
}

void add_blocked_keys(std::string_view reader, pg::RowSet& answer) {
    answer.add(select_blocked.run(pg::Access::reads, {{pg::text_datum(reader)}}));
}

Changed replay(std::span<const Id> ids, const Wish& wish) {
    return first_column(request_replays.run(pg::Access::writes, {{pg::bigint_array_datum(ids)},
                                                                 {TimestampTzGetDatum(pg::now_us())},
                                                                 {Int32GetDatum(wish.rate.value_or(0)), !wish.rate},
                                                                 {pg::text_datum(wish.actor)},
                                                                 {pg::text_datum(wish.reason)}}));
}

Changed discard(std::span<const Id> ids) {
    pg::Result rows =
        discard_letters.run(pg::Access::writes, {{pg::bigint_array_datum(ids)}, {TimestampTzGetDatum(pg::now_us())}});
    for (std::size_t i = 0; i < rows.count; ++i) release_key_of(rows, i, 1);
    return first_column(rows);
}

}  // namespace oms::dead_letters
