// Cursors as rows: snapshots as pg_snapshot, so that SQL can ask them; bounds as arrays.
#include "log/reader_position.hpp"

#include <charconv>

#include "pg/arrays.hpp"
#include "pg/entry.hpp"
#include "pg/plan.hpp"
#include "pg/raise.hpp"
#include "pg/settings.hpp"
#include "pg/transaction.hpp"

#include "pg/poison.hpp"

namespace oms::log {

namespace {

#define CURSOR_COLUMNS                                                                                         \
    "p.generation, p.life, p.from_snapshot::text, p.from_xid, p.from_id, p.from_bounds, p.to_snapshot::text, " \
    "p.to_xid, p.to_id, p.to_bounds, "                                                                         \
    "p.page_id"

enum Column : int {
    generation,
    life,
    from_snapshot,
    from_xid,
    from_id,
    from_bounds,
    to_snapshot,
    to_xid,
    to_id,
    to_bounds,
    page_id,
    topics
};

constinit pg::Plan select_reader{
    "SELECT " CURSOR_COLUMNS
    ", r.topics FROM oms.reader r CROSS JOIN LATERAL (SELECT * FROM oms.reader_position p WHERE p.reader = r.name "
    "ORDER BY p.generation DESC LIMIT 1) p WHERE r.name = $1",
    {TEXTOID}};
// Under one snapshot for the whole transaction this raises 40001 when the row that the snapshot shows has been replaced.
constinit pg::Plan lock_newest{
    "SELECT FROM oms.reader_position WHERE reader = $1 ORDER BY generation DESC LIMIT 1 FOR UPDATE", {TEXTOID}};
constinit pg::Plan select_best{
    "SELECT " CURSOR_COLUMNS
    " FROM oms.reader r CROSS JOIN LATERAL (SELECT * FROM oms.reader_position p WHERE p.reader = r.name "
    "ORDER BY p.generation DESC LIMIT 1) p WHERE p.life = $1 ORDER BY p.from_id DESC LIMIT 1",
    {INT4OID}};
constinit pg::Plan replace_position{
    "WITH gone AS (DELETE FROM oms.reader_position WHERE reader = $1 AND generation = $2 - 1 RETURNING generation) "
    "INSERT INTO oms.reader_position (reader, generation, life, from_snapshot, from_xid, from_id, from_bounds, "
    "to_snapshot, to_xid, to_id, to_bounds, page_id, passed_id, committed_at) "
    "SELECT $1, $2, $3, $4::pg_snapshot, $5, $6, $7, $8::pg_snapshot, $9, $10, $11, $12, $13, $14 "
    "WHERE $2 = 1 OR EXISTS (SELECT FROM gone)",
    {TEXTOID, INT8OID, INT4OID, TEXTOID, XID8OID, INT8OID, INT8ARRAYOID, TEXTOID, XID8OID, INT8OID, INT8ARRAYOID,
     INT8OID, INT8OID, TIMESTAMPTZOID}};

// The next number of a snapshot's text, and the character behind it.
Xid take_number(std::string_view& text) {
    Xid number = 0;
    const char* end = std::from_chars(text.data(), text.data() + text.size(), number).ptr;
    text.remove_prefix(std::min(text.size(), static_cast<std::size_t>(end - text.data()) + 1));
    return number;
}

View read_view(const pg::Result& rows, int first) {
    View view;
    std::string_view text = pg::text_view(rows.value(0, first));
    (void)take_number(text);  // xmin, which follows from the rest
    view.xmax = take_number(text);
    pg::Array<Xid> running;
    while (!text.empty()) running.push(take_number(text));
    view.running = running.span();
    view.from_xid = DatumGetUInt64(rows.value(0, first + 1));
    view.above_id = DatumGetInt64(rows.value(0, first + 2));
    std::optional<std::span<const Datum>> stored = pg::array_elements(rows.value(0, first + 3), INT8OID);
    if (!stored || stored->size() != running.size() + 1) {
        pg::raise(pg::Error::layout_changed,
                  {.message = "a row of oms.reader_position contradicts itself",
                   .detail = "The number of bounds is not one more than that of running transactions.",
                   .hint = "Undo the change to the row; positions are moved with oms.commit_reader."});
    }
    std::span<Id> bounds = pg::allocate<Id>(running.size());
    for (std::size_t i = 0; i < bounds.size(); ++i) bounds[i] = DatumGetInt64((*stored)[i]);
    view.bounds = bounds;
    view.between = DatumGetInt64(stored->back());
    return view;
}

Position read_position(const pg::Result& rows) {
    Position position;
    position.generation = DatumGetInt64(rows.value(0, Column::generation));
    position.cursor.life = DatumGetInt32(rows.value(0, Column::life));
    position.cursor.from = read_view(rows, Column::from_snapshot);
    position.cursor.paging = !rows.is_null(0, Column::to_snapshot);
    if (position.cursor.paging) {
        position.cursor.to = read_view(rows, Column::to_snapshot);
        position.cursor.page_id = DatumGetInt64(rows.value(0, Column::page_id));
    }
    return position;
}

Topics read_topics(const pg::Result& rows) {
    if (rows.is_null(0, Column::topics)) return {};
    std::span<const Datum> stored =
        pg::array_elements(rows.value(0, Column::topics), TEXTOID).value_or(std::span<const Datum>{});
    std::span<std::string_view> list = pg::allocate<std::string_view>(stored.size());
    for (std::size_t i = 0; i < list.size(); ++i) list[i] = pg::text_view(stored[i]);
    if (list.size() == 1 && list[0] == all_topics) return {.wanted = Wanted::everything};
    return {.wanted = Wanted::listed, .list = list};
}

Datum bounds_of(const View& view) {
    pg::Array<Id> bounds{view.bounds.size() + 1};
    for (Id bound : view.bounds) bounds.push(bound);
    bounds.push(view.between);
    return pg::bigint_array_datum(bounds.span());
}

}  // namespace

std::string_view snapshot_text(const View& view) {
    StringInfoData text;
    initStringInfo(&text);
    Xid xmin = view.running.empty() ? view.xmax : view.running.front();
    appendStringInfo(&text, UINT64_FORMAT ":" UINT64_FORMAT ":", xmin, view.xmax);
    for (std::size_t i = 0; i < view.running.size(); ++i) {
        appendStringInfo(&text, "%s" UINT64_FORMAT, i == 0 ? "" : ",", view.running[i]);
    }
    return {text.data, static_cast<std::size_t>(text.len)};
}

std::optional<StoredReader> load_reader(std::string_view name, Purpose purpose) {
    pg::Parameter reader{pg::text_datum(name)};
    bool moves = purpose == Purpose::move;
    if (moves && pg::has_transaction_snapshot()) lock_newest.run(pg::Access::writes, {reader});
    pg::Result rows = select_reader.run(moves ? pg::Access::writes : pg::Access::reads, {reader});
    if (rows.empty()) return std::nullopt;
    return StoredReader{{name, read_topics(rows)}, read_position(rows)};
}

void store_position(std::string_view reader, std::int64_t generation, const Cursor& cursor) {
    bool paging = cursor.paging;
    pg::Result stored = replace_position.run(pg::Access::writes, {{pg::text_datum(reader)},
                                                                  {Int64GetDatum(generation)},
                                                                  {Int32GetDatum(cursor.life)},
                                                                  {pg::text_datum(snapshot_text(cursor.from))},
                                                                  {UInt64GetDatum(cursor.from.from_xid)},
                                                                  {Int64GetDatum(cursor.from.above_id)},
                                                                  {bounds_of(cursor.from)},
                                                                  {pg::text_datum(snapshot_text(cursor.to)), !paging},
                                                                  {UInt64GetDatum(cursor.to.from_xid), !paging},
                                                                  {Int64GetDatum(cursor.to.above_id), !paging},
                                                                  {bounds_of(cursor.to), !paging},
                                                                  {Int64GetDatum(cursor.page_id), !paging},
                                                                  {Int64GetDatum(cursor.passed_id())},
                                                                  {TimestampTzGetDatum(pg::now_us())}});
    if (stored.count == 1) return;
    pg::raise(pg::Error::reader_busy,
              {.message = pg::format("the position of reader %s was changed by somebody else", pg::quoted(reader)),
               .detail = pg::format("It is not at generation " INT64_FORMAT " any more.", generation - 1),
               .hint = "Detach the reader and read again from the stored position."});
}

std::optional<Cursor> furthest_cursor(std::int32_t life_number) {
    pg::Result rows = select_best.run(pg::Access::writes, {{Int32GetDatum(life_number)}});
    if (rows.empty()) return std::nullopt;
    return read_position(rows).cursor;
}

}  // namespace oms::log
