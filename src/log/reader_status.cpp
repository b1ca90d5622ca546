// Where readers stand, without counting rows and without touching them.
#include "log/log.hpp"
#include "log/reader_batch.hpp"
#include "log/reader_session.hpp"
#include "pg/plan.hpp"
#include "pg/raise.hpp"
#include "pg/settings.hpp"
#include "pg/wal.hpp"

#include "pg/poison.hpp"

namespace oms::log {

namespace {

// How far the oldest unread event is searched for. Whoever has to pass more rows that are not for the reader is told the age of the last of
// them: the event sought is no older.
constexpr int examined_max = 10'000;

constinit pg::Plan select_names{
    "SELECT r.name, r.topics, p.committed_at FROM oms.reader r CROSS JOIN LATERAL (SELECT * FROM oms.reader_position p "
    "WHERE p.reader = r.name ORDER BY p.generation DESC LIMIT 1) p WHERE r.name = $1 OR $1 IS NULL ORDER BY r.name",
    {TEXTOID}};
// nextval keeps a lock on the sequence until its transaction ends, so these are the transactions that have written to the log. Only they delay
// anything, and each only its own events.
constinit pg::Plan select_slowest{
    "SELECT l.pid, coalesce(a.xact_start, x.prepared) FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid "
    "LEFT JOIN pg_locks t ON l.pid IS NULL AND t.pid IS NULL AND t.locktype = 'transactionid' "
    "AND t.virtualtransaction = l.virtualtransaction "
    "LEFT JOIN pg_prepared_xacts x ON x.transaction = t.transactionid "
    "WHERE l.locktype = 'relation' AND l.relation = 'oms.event_id_seq'::regclass AND l.mode = 'RowExclusiveLock' AND "
    "l.granted "
    "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
    "AND l.pid IS DISTINCT FROM pg_backend_pid() ORDER BY 2 LIMIT 1",
    {}};

struct Oldest {
    bool exists = false;
    std::int64_t occurred_at = 0;
};

Oldest oldest_in(const pg::ReadSnapshot& snapshot, const Batch& batch, const Topics& topics) {
    Oldest oldest;
    pg::OrderedScan scan{table(), snapshot, batch.cursor.page_id, batch.up_to};
    for (int examined = 1; !oldest.exists && scan.next(); ++examined) {
        if (examined < examined_max && (!belongs(batch, scan) || !is_wanted(topics, scan))) continue;
        oldest = {true, DatumGetTimestampTz(scan.value(event_field::occurred_at))};
    }
    scan.close();
    return oldest;
}

Oldest oldest_unread(const Cursor& cursor, const Topics& topics) {
    Oldest oldest;
    Note note = take_note();
    Life life = peek_at_life();
    pg::with_read_snapshot([&](const pg::ReadSnapshot& snapshot) {
        Batch batch = batch_behind(cursor, life, snapshot, note);
        oldest = oldest_in(snapshot, batch, topics);
        while (!oldest.exists && !batch.is_fresh) {
            batch = batch_behind(batch.end, life, snapshot, note);
            oldest = oldest_in(snapshot, batch, topics);
        }
    });
    return oldest;
}

const char* position_text(const Cursor& cursor, Life current) {
    const char* from = snapshot_text(cursor.from).data();
    const char* text = cursor.paging ? pg::format("event " INT64_FORMAT " (snapshot %s to %s)", cursor.page_id, from,
                                                  snapshot_text(cursor.to).data())
                                     : pg::format("event " INT64_FORMAT " (snapshot %s)", cursor.from.above_id, from);
    // The reader still has to finish what another cluster wrote.
    return cursor.life == current.number ? text : pg::format("life %d of the log, %s", cursor.life, text);
}

}  // namespace

void report_readers(std::optional<std::string_view> name, pg::RowSet& answer) {
    pg::Result readers = select_names.run(
        pg::Access::reads, {name ? pg::Parameter{pg::text_datum(*name)} : pg::Parameter{Datum{0}, true}});
    if (readers.empty()) return;
    pg::Result slowest = select_slowest.run(pg::Access::reads, {});
    Id drawn = event_ids().last();
    Life life = peek_at_life();
    for (std::size_t i = 0; i < readers.count; ++i) {
        std::string_view reader = pg::text_view(readers.value(i, 0));
        std::optional<StoredReader> stored = load_reader(reader, Purpose::look);
        if (!stored) continue;
        const Cursor& cursor = stored->position.cursor;
        bool on_standby = pg::is_standby();
        Oldest oldest;
        if (!on_standby) oldest = oldest_unread(cursor, stored->reader.topics);
        std::int64_t lag_us = oldest.exists ? std::max<std::int64_t>(pg::now_us() - oldest.occurred_at, 0) : 0;
        std::int32_t owner = owner_of(reader);
        bool delayed = !slowest.empty();
        const Datum values[] = {
            readers.value(i, 0),
            readers.value(i, 1),
            Int32GetDatum(owner),
            Int64GetDatum(std::max<Id>(drawn - (cursor.paging ? cursor.page_id : cursor.from.above_id), 0)),
            Float8GetDatum(static_cast<double>(lag_us) / USECS_PER_SEC),
            TimestampTzGetDatum(oldest.occurred_at),
            delayed ? slowest.value(0, 0) : Datum{0},
            delayed ? slowest.value(0, 1) : Datum{0},
            pg::text_datum(position_text(cursor, life)),
            readers.value(i, 2),
        };
        const bool nulls[] = {
            false,
            readers.is_null(i, 1),
            owner == 0,
            false,
            on_standby,
            !oldest.exists,
            !delayed || slowest.is_null(0, 0),
            !delayed || slowest.is_null(0, 1),
            false,
            false,
        };
        answer.add(values, nulls);
    }
}

}  // namespace oms::log
