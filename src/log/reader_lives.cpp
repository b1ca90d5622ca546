// oms.log_life. The first transactions of a life may be many, at the same time, and none waits for another one's end: each that finds no
// committed record writes its own, with the id that it sees in the others', committed or not. So all that commit agree.
#include "log/reader_lives.hpp"

#include <array>
#include <optional>

#include "log/log.hpp"
#include "pg/catalog.hpp"
#include "pg/entry.hpp"
#include "pg/plan.hpp"
#include "pg/raise.hpp"
#include "pg/sequence.hpp"
#include "pg/settings.hpp"
#include "pg/transaction.hpp"
#include "pg/wal.hpp"

#include "pg/poison.hpp"

namespace oms::log {

constinit bool life_is_known = false;

namespace {

enum Field : int { life, system_identifier, first_event_id, xid, recorded_at };

constexpr std::array columns{
    pg::Column{"life", INT4OID}, pg::Column{"system_identifier", INT8OID},  pg::Column{"first_event_id", INT8OID},
    pg::Column{"xid", XID8OID},  pg::Column{"recorded_at", TIMESTAMPTZOID},
};
constexpr std::array key_columns{static_cast<int>(Field::life), static_cast<int>(Field::xid)};
constexpr pg::TableDefinition definition{.name = "log_life", .columns = columns, .key = key_columns};

constinit pg::Table lives{definition};
constinit Life known;
constinit Oid lives_relation = InvalidOid;
// The (sub)transaction that recorded the life, until it has committed.
constinit pg::SubtransactionNumber recorded_in = InvalidSubTransactionId;

// Concurrent records of one life agree; the least is named only so that the answer is one row.
constinit pg::Plan select_newest{
    "SELECT life, system_identifier, first_event_id FROM oms.log_life ORDER BY life DESC, first_event_id LIMIT 1", {}};
constinit pg::Plan select_from{
    "SELECT life, first_event_id FROM oms.log_life WHERE life >= $1 ORDER BY life, first_event_id LIMIT 1", {INT4OID}};
constinit pg::Plan select_last_id{"SELECT coalesce(max(id), 0) FROM oms.event", {}};

struct Record {
    Life life;
    std::int64_t cluster;
};

std::optional<Record> newest_record() {
    pg::Result rows = select_newest.run(pg::Access::writes, {});
    if (rows.empty()) return std::nullopt;
    return Record{{DatumGetInt32(rows.value(0, 0)), DatumGetInt64(rows.value(0, 2))}, DatumGetInt64(rows.value(0, 1))};
}

// The id that the cluster's own events start with. A sequence that stands below the log, or below where readers have been, was not restored yet.
Id first_free_id() {
    Id drawn = event_ids().last();
    pg::Result rows = select_last_id.run(pg::Access::writes, {});
    if (Id last = DatumGetInt64(rows.value(0, 0)); last > drawn) raise_restore_incomplete("The log", last, drawn);
    return drawn + 1;
}

void record(Life next) {
    pg::Probe twin = lives.probe(Field::life, Int32GetDatum(next.number), 0, [&](const pg::FoundRow& row) {
        next.first_id = DatumGetInt64(row.values[Field::first_event_id]);
        return true;
    });
    if (twin == pg::Probe::nothing) next.first_id = first_free_id();
    pg::RowValues row;
    row.set(Field::life, Int32GetDatum(next.number));
    row.set(Field::system_identifier, Int64GetDatum(pg::cluster_identifier()));
    row.set(Field::first_event_id, Int64GetDatum(next.first_id));
    row.set(Field::xid, FullTransactionIdGetDatum(pg::assign_transaction_id()));
    row.set(Field::recorded_at, TimestampTzGetDatum(pg::now_us()));
    lives.insert(row);
    pg::end_of_command();
    known = next;
    recorded_in = pg::current_subtransaction();
}

}  // namespace

void raise_restore_incomplete(const char* who, Id seen, Id drawn) {
    pg::raise(pg::Error::restore_incomplete,
              {.message = "the log is not restored completely",
               .detail = pg::format("%s has event " INT64_FORMAT ", but oms.event_id_seq stands at " INT64_FORMAT ".",
                                    who, seen, drawn),
               .hint = "Wait until the restore has ended; it sets the sequence after the data."});
}

void look_up_life() {
    lives_relation = pg::relation_oid(definition.name);
    constexpr std::uint64_t the_log = 0;
    std::int64_t cluster = pg::cluster_identifier();
    std::optional<Record> newest = newest_record();
    if (!newest || newest->cluster != cluster) {
        pg::assign_transaction_id();  // raises where nothing can be written
        pg::lock_name(pg::LockSpace::life, the_log, pg::LockStrength::exclusive, pg::LockDuration::transaction, true);
        newest = newest_record();
        if (!newest || newest->cluster != cluster) {
            record({.number = newest ? newest->life.number + 1 : 1});
            newest.reset();
        }
        // Not kept until the end: who comes next sees the uncommitted record.
        pg::unlock_name(pg::LockSpace::life, the_log, pg::LockStrength::exclusive, pg::LockDuration::transaction);
    }
    if (newest) known = newest->life;
    life_is_known = true;  // published last: everything above can raise
}

Life current_life() { return known; }

Life peek_at_life() {
    if (life_is_known) return known;
    std::optional<Record> newest = newest_record();
    if (newest && newest->cluster == pg::cluster_identifier()) return newest->life;
    return {newest ? newest->life.number + 1 : 1, event_ids().last() + 1};
}

namespace {

std::optional<Life> life_from(std::int32_t number) {
    pg::Result rows = select_from.run(pg::Access::writes, {{Int32GetDatum(number)}});
    if (rows.empty()) return std::nullopt;
    return Life{DatumGetInt32(rows.value(0, 0)), DatumGetInt64(rows.value(0, 1))};
}

}  // namespace

Life life_after(std::int32_t number) { return life_from(number + 1).value_or(peek_at_life()); }

Life first_life() { return life_from(0).value_or(peek_at_life()); }

void life_transaction_ended(pg::Ending ending) {
    if (recorded_in != InvalidSubTransactionId && ending != pg::Ending::committed) life_is_known = false;
    recorded_in = InvalidSubTransactionId;
}

void life_subtransaction_ended(pg::Ending ending, pg::SubtransactionNumber ended, pg::SubtransactionNumber parent) {
    if (recorded_in != ended) return;
    if (ending == pg::Ending::committed) {
        recorded_in = parent;
    } else {
        recorded_in = InvalidSubTransactionId;
        life_is_known = false;
    }
}

void lives_changed(Oid relation) {
    if (relation == InvalidOid || relation == lives_relation) life_is_known = false;
}

pg::Table& life_table() { return lives; }

}  // namespace oms::log
