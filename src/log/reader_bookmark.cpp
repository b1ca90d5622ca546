// Places of readers outside of the database: written down, and gone back to.
//
// A position that is stored in the database shares its fate: in a crash, a promotion or a restore, position and events are lost together. A
// bookmark does not. So it is written only when everything that it depends on cannot be lost to a crash any more, and it is believed only by a
// database whose history has that very place. A standby that was promoted without the last transactions hands their ids out again, to others.
#include "log/reader_bookmark.hpp"

#include "log/log.hpp"
#include "log/reader_batch.hpp"
#include "log/reader_session.hpp"
#include "pg/catalog.hpp"
#include "pg/raise.hpp"
#include "pg/settings.hpp"
#include "pg/wal.hpp"

#include "pg/poison.hpp"

namespace oms::log {

namespace {

constinit pg::Plan select_creation{"SELECT created_at FROM oms.reader WHERE name = $1", {TEXTOID}};

std::int64_t creation_of(std::string_view name) {
    pg::Result rows = select_creation.run(pg::Access::writes, {{pg::text_datum(name)}});
    return rows.empty() ? 0 : DatumGetTimestampTz(rows.value(0, 0));
}

Cursor cursor_at(const Reading& reading, std::optional<Id> last) {
    std::optional<Place> place = last ? place_behind(reading, *last) : place_behind_all(reading);
    if (place) return cursor_behind(*place);
    if (!last || *last == reading.last_confirmed) return reading.stored.cursor;
    pg::raise(pg::Error::position_unknown,
              {.message = pg::format("reader %s did not hand out event " INT64_FORMAT " here",
                                     pg::quoted(reading.reader.name), *last),
               .detail = "This session has not read it, or has confirmed it before.",
               .hint = "Pass the id of an event that was read and not confirmed yet, or NULL for all of them."});
}

// The snapshots of a cursor show transactions as ended. Lost in a crash, their ids would be given to others, which the reader would pass over.
pg::WalPosition durable_end() {
    pg::WalPosition end = pg::wal_end();
    pg::make_durable(end);
    pg::PublishAfter copy = pg::settings::publish_after();
    if (copy == pg::PublishAfter::local || pg::await_standby(end, copy)) return end;
    pg::raise(pg::Error::standby_unconfirmed, {.message = "the synchronous standby has not confirmed the position",
                                               .detail = "The wait that oms.publish_after asks for was canceled.",
                                               .hint = "Ask for the bookmark again."});
}

bool is_of_the_future(const View& view, const Note& now) {
    return view.xmax != beyond_all_xids && (view.xmax > now.from_xid || view.from_xid > now.from_xid);
}

// Why a place is not one of this database and reader; null when it is.
const char* contradiction(const WrittenPlace& place, const Reading& reading) {
    if (place.cluster != pg::cluster_identifier())
        return pg::format("it comes from the cluster " INT64_FORMAT ", this one is " INT64_FORMAT, place.cluster,
                          pg::cluster_identifier());
    if (place.database != pg::database())
        return pg::format("it comes from database %u of this cluster, this one is %u", place.database, pg::database());
    if (place.reader != reading.reader.name) return pg::format("it is one of reader %s", pg::quoted(place.reader));
    if (place.created_at != creation_of(reading.reader.name))
        return "the reader was dropped and created again since it was written";
    if (!pg::history_has(place.timeline, place.wal))
        return pg::format("it was written at %X/%X of timeline %u, which is not part of this server's history",
                          static_cast<unsigned>(place.wal >> 32), static_cast<unsigned>(place.wal), place.timeline);
    if (place.generation > reading.stored.generation)
        return "the reader's stored position is older than the one beside which it was written";
    Note now = take_note();
    const Cursor& cursor = place.cursor;
    if (cursor.life > current_life().number) return "it is of a later life of the log";
    if (cursor.life == current_life().number &&
        (is_of_the_future(cursor.from, now) || (cursor.paging && is_of_the_future(cursor.to, now))))
        return "it has seen transactions that this cluster has not had yet";
    return nullptr;
}

}  // namespace

Bookmark write_bookmark(std::string_view name, std::optional<Id> last) {
    require_primary();
    Reading& reading = acquire(name);
    WrittenPlace place{.cluster = pg::cluster_identifier(),
                       .database = pg::database(),
                       .created_at = creation_of(name),
                       .generation = reading.stored.generation,
                       .cursor = cursor_at(reading, last),
                       .reader = name};
    place.wal = durable_end();
    place.timeline = pg::timeline();
    return {place.cluster, place.database, place.timeline, place.wal, text_of(place)};
}

Resumption resume_reader(std::string_view name, std::string_view bookmark) {
    using enum Resumption::Outcome;
    require_primary();
    Reading& reading = acquire(name);
    ensure_life();
    if (reading.unconfirmed > 0) {
        pg::raise(
            pg::Error::position_unknown,
            {.message = pg::format("reader %s has events on their way", pg::quoted(name)),
             .detail = pg::format("This session has read %zu events that are not confirmed.", reading.unconfirmed),
             .hint = "Resume right after attaching, before the first read."});
    }
    std::optional<WrittenPlace> place = place_of(bookmark);
    if (!place) {
        pg::raise(pg::Error::invalid_argument, {.message = pg::format("bookmark %s is not one", pg::quoted(bookmark)),
                                                .detail = "Its text is not what oms.reader_bookmark writes.",
                                                .hint = "Pass the text as oms.reader_bookmark gave it."});
    }
    if (const char* reason = contradiction(*place, reading)) return {refused, reason};
    const Cursor& stored = reading.stored.cursor;
    if (covers(stored, place->cursor)) return {passed, "the stored position is there, or further on"};
    if (!covers(place->cursor, stored)) return {refused, "the stored position has passed events that it has not"};
    add_page(reading, place->cursor, place->cursor, {});
    confirm(reading, *place_behind_all(reading));
    return {resumed, "the reader goes on behind it"};
}

}  // namespace oms::log
