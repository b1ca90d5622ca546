// Creating and dropping readers.
#include <optional>

#include "log/log.hpp"
#include "log/reader_batch.hpp"
#include "log/reader_session.hpp"
#include "pg/plan.hpp"
#include "pg/raise.hpp"
#include "pg/settings.hpp"

#include "pg/poison.hpp"

namespace oms::log {

namespace {

constinit pg::Plan insert_reader{
    "INSERT INTO oms.reader (name, topics, start_at, start_life, start_snapshot, created_at) VALUES ($1, $2, $3, $4, "
    "$5::pg_snapshot, $6) "
    "ON CONFLICT (name) DO NOTHING",
    {TEXTOID, TEXTARRAYOID, TEXTOID, INT4OID, TEXTOID, TIMESTAMPTZOID}};
constinit pg::Plan select_same{
    "SELECT topics IS NOT DISTINCT FROM $2 AND start_at = $3, start_at, coalesce(topics::text, 'all that have one') "
    "FROM oms.reader WHERE name = $1",
    {TEXTOID, TEXTARRAYOID, TEXTOID}};
constinit pg::Plan delete_positions{"DELETE FROM oms.reader_position WHERE reader = $1", {TEXTOID}};
constinit pg::Plan delete_reader{"DELETE FROM oms.reader WHERE name = $1", {TEXTOID}};

const char* start_name(StartAt start) { return start == StartAt::beginning ? "beginning" : "now"; }

// What is running now may have drawn any id. Where another reader stands, its bounds say more: they are kept for every transaction it has not
// seen the end of.
View view_from_now() {
    View view;
    Note note = take_note();
    Life life = current_life();
    std::optional<Cursor> furthest = furthest_cursor(life.number);
    pg::with_read_snapshot([&](const pg::ReadSnapshot& snapshot) { view = view_of(snapshot, note); });
    View known = nothing_shown(life.first_id - 1);
    if (furthest) {
        const View& seen = furthest->paging ? furthest->to : furthest->from;
        if (!is_older(view, seen)) known = seen;
    }
    set_bounds(view, known);
    return view;
}

Cursor first_cursor(StartAt start) {
    if (start == StartAt::now) return {.life = current_life().number, .from = view_from_now()};
    Life first = first_life();
    return {.life = first.number, .from = nothing_shown(first.first_id - 1)};
}

pg::Parameter topics_parameter(const Topics& topics) {
    if (topics.wanted == Wanted::deliverable) return {Datum{0}, true};
    std::span<Datum> list = pg::allocate<Datum>(topics.list.size());
    for (std::size_t i = 0; i < list.size(); ++i) list[i] = pg::text_datum(topics.list[i]);
    return {pg::text_array_datum(list)};
}

void require_same(std::string_view name, pg::Parameter topics, const char* start) {
    pg::Result rows = select_same.run(pg::Access::writes, {{pg::text_datum(name)}, topics, {pg::text_datum(start)}});
    if (!rows.empty() && DatumGetBool(rows.value(0, 0))) return;
    pg::raise(pg::Error::reader_exists,
              {.message = pg::format("reader %s exists with another definition", pg::quoted(name)),
               .detail = rows.empty() ? "It was created by a transaction that this one does not see."
                                      : pg::format("It starts at \"%s\" and reads these topics: %s.",
                                                   pg::c_string(pg::text_view(rows.value(0, 1))),
                                                   pg::c_string(pg::text_view(rows.value(0, 2)))),
               .hint = "Use another name, or drop the reader first; its position goes with it."});
}

}  // namespace

void create_reader(std::string_view name, const Topics& topics, StartAt start) {
    require_primary();
    ensure_life();
    Cursor cursor = first_cursor(start);
    pg::Parameter stored_topics = topics_parameter(topics);
    pg::Result inserted = insert_reader.run(pg::Access::writes, {{pg::text_datum(name)},
                                                                 stored_topics,
                                                                 {pg::text_datum(start_name(start))},
                                                                 {Int32GetDatum(cursor.life)},
                                                                 {pg::text_datum(snapshot_text(cursor.from))},
                                                                 {TimestampTzGetDatum(pg::now_us())}});
    if (inserted.count == 0) return require_same(name, stored_topics, start_name(start));
    store_position(name, 1, cursor);
}

void drop_reader(std::string_view name) {
    require_primary();
    Reading& reading = acquire(name);
    pg::Parameter parameter{pg::text_datum(name)};
    delete_positions.run(pg::Access::writes, {parameter});
    delete_reader.run(pg::Access::writes, {parameter});
    // The transaction keeps the name until it has ended, the session does not.
    lock_reader(name, pg::LockDuration::transaction);
    if (reading.attached) {
        detach(name);
    } else {
        forget(reading);
    }
}

}  // namespace oms::log
