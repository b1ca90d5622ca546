// The direct way into our tables: insert, find by key, lock, update, through the table and index access methods, without the executor.
//
// What it owes to whoever looks at the tables (each a test in sql/direct_write.sql):
//  - the columns that the C++ side writes are compared with the catalog when a relation is first used in a session and again after every
//    change to it; a relation that lost them is refused with layout_changed;
//  - it is only used where it cannot be told from SQL. A relation with triggers for the operation, columns of its user's, CHECK constraints,
//    generated columns, expression or partial indexes, or another access method is written with a plain SQL statement instead;
//  - NOT NULL is checked here; the CHECK constraints of our own are kept by the callers and counted here;
//  - a concurrent duplicate waits and then conflicts, as it does for SQL: the index access method sees to that;
//  - under REPEATABLE READ and SERIALIZABLE a row that the snapshot cannot see is a 40001, and rows read are known to SSI.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "pg/jump.hpp"
#include "pg/postgres.hpp"
#include "pg/row_places.hpp"

namespace oms::pg {

struct Column {
    const char* name;
    Oid type;
    bool nullable = false;
};

// What the C++ side knows of a table of ours. Columns stand in the order of the table and start at its first column.
struct TableDefinition {
    const char* name;
    std::span<const Column> columns;
    std::span<const int> key;  // the columns of the unique index that find() uses, in index order
    int routing_column = -1;   // the partition key, a bigint or timestamptz column; -1 for a plain table
    int checks = 0;            // CHECK constraints of ours, which the callers keep
};

inline constexpr int columns_max = 24;
inline constexpr int indexes_max = 8;
inline constexpr int index_columns_max = 4;

// The values of one row, in the order of the definition.
struct RowValues {
    std::array<Datum, columns_max> values{};
    std::array<bool, columns_max> nulls{};

    void set(int column, Datum value) {
        values[static_cast<std::size_t>(column)] = value;
        nulls[static_cast<std::size_t>(column)] = false;
    }
    void set_null(int column) { nulls[static_cast<std::size_t>(column)] = true; }
};

struct IndexShape {
    Oid oid;
    bool unique;
    bool is_key;
    int columns;
    std::array<AttrNumber, index_columns_max> attributes;
    std::array<RegProcedure, index_columns_max> equals;
};

// What is cached of one plain relation: a partition, or a table that has none.
struct RelationShape {
    Oid oid = InvalidOid;  // InvalidOid: nothing cached here, or no longer true
    bool insert_direct = false;
    bool update_direct = false;
    bool delete_direct = false;
    int index_count = 0;
    std::array<IndexShape, indexes_max> indexes{};
};

class Table;

// A row that was found, open until the callable it was given to returns.
class Row {
  public:
    Datum value(int column) const { return slot_->tts_values[column]; }
    bool is_null(int column) const { return slot_->tts_isnull[column]; }

    // Raises 40001 when the transaction has one snapshot for all of its commands, and that does not show this row.
    void require_seen() const;

    // Locks exactly the version that was found, without waiting; false when it is locked, or no longer the newest. For a row that was found
    // without a lock: what its values said can be acted on then.
    bool lock_if_free();

    // Writes the row's next version. `changed` names the columns that `row` sets; all others stay as they are, also those of the user's own.
    void update(const RowValues& row, std::span<const int> changed);

    // The same for a row that a walk found and nobody locked: does not wait, and answers whether the row was there to be had.
    bool try_update(const RowValues& row, std::span<const int> changed);
    // Deletes such a row.
    bool try_remove();
    // Who was in the way of the last try: a running transaction, or nothing when it is not one alone, or not running.
    TransactionId holder() const;

  private:
    friend class Table;
    friend class TableWalk;
    HeapTuple next_version(const RowValues& row, std::span<const int> changed) const;
    bool try_lock();
    bool is_locked_by_us() const;
    Table* table_;
    Relation relation_;
    RelationShape shape_;  // a copy: the cache may be refilled while the row is open
    TupleTableSlot* slot_;
    PlaceName place_ = 0;
};
static_assert(JumpSafe<Row>);

// A row as a probe shows it.
struct FoundRow {
    const Datum* values;
};

// What a probe for a row found: nothing, a row that counts, or one whose writer has not finished.
enum class Probe : unsigned char { nothing, found, unfinished };

enum class RowLock : bool { none, for_update };

// Partitions come and go while a session lives; more than this many are looked up again when they are used again.
inline constexpr std::size_t shapes_cached = 16;

// A table of ours. A global, one for each definition; what it caches is dropped when PostgreSQL announces a change.
class Table {
  public:
    explicit constexpr Table(const TableDefinition& definition) : definition_(definition) {}

    void insert(const RowValues& row);

    // Inserts rows together: one WAL record for those that share a page.
    void insert_many(std::span<const RowValues> rows);

    // Calls fn(Row&) with the row whose key columns have these values, and says whether there is one. `key` stands in the order of
    // definition.key and contains the routing column.
    template <class Fn>
    bool with_row(std::span<const Datum> key, RowLock lock, Fn&& fn) {
        Row row;
        if (!find(key, lock, row)) return false;
        fn(row);
        release(row);
        return true;
    }

    // Says whether the index that starts with `column` has an entry equal to `value`, in any partition that ends after `routing_from`. Looks at
    // the index alone: an entry may belong to a dead row. A quarter of the cost of a probe, for the usual answer, which is no.
    bool may_contain(int column, Datum value, std::int64_t routing_from);

    // Calls matches(const FoundRow&) for every row whose `column`, the first of an index, equals `value`, committed or not, until one does. Skips
    // partitions that end at or before `routing_from`.
    template <class Fn>
    Probe probe(int column, Datum value, std::int64_t routing_from, Fn&& matches);

    const TableDefinition& definition() const { return definition_; }

    // Forgets what is cached of a relation; InvalidOid: everything.
    void relation_changed(Oid relation);

  private:
    friend class Row;
    friend class TableProbe;
    friend class OrderedScan;
    friend class TableWalk;

    Oid oid();
    Relation open(std::int64_t routing_value, LOCKMODE mode, const RelationShape** shape);
    const RelationShape* shape_of(Relation relation);
    const IndexShape& index_on(Relation relation, const RelationShape& shape, int column) const;
    RelationShape describe(Relation relation);
    bool find(std::span<const Datum> key, RowLock lock, Row& row);
    bool find_by_index(const IndexShape& shape, std::span<const Datum> key, Snapshot snapshot, Row& row);
    void release(Row& row);
    void insert_by_sql(const RowValues& row);
    void remember(Relation relation, const RowValues& row, ItemPointerData tid) const;
    void require_complete(const RowValues& row) const;

    const TableDefinition& definition_;
    // Where rows of a range of routing values went last, for as long as this (sub)transaction holds the locks that it took for it.
    struct Route {
        Oid relation = InvalidOid;
        std::int64_t low = 0, high = 0;  // low <= routing value <= high
        std::uint64_t changes = 0;
        LocalTransactionId transaction = InvalidLocalTransactionId;
        SubTransactionId subtransaction = InvalidSubTransactionId;
    };
    bool is_current(const Route& route, std::int64_t routing_value) const;

    Oid oid_ = InvalidOid;
    std::uint64_t changes_ = 0;
    Route route_;
    // Triggers for statements are on the parent alone. As true as route_: a change to the parent makes the next open() look again.
    bool parent_watches_insert_ = false;
    bool parent_watches_update_ = false;
    Oid describing_ = InvalidOid;  // the relation that shape_of() is looking at
    bool description_is_stale_ = false;
    std::array<RelationShape, shapes_cached> shapes_{};
};
static_assert(JumpSafe<Table>);

// Walks the partitions of a table through the index that starts with one column, seeing rows as they are now, committed or not.
class TableProbe {
  public:
    TableProbe(Table& table, int column, Datum value, std::int64_t routing_from);
    bool next();
    FoundRow row() const { return {slot_->tts_values}; }

    // Ends the walk at the current row, or after the last one. Remembers whom wait_for_writer() would wait for. Raises 40001 if the row was
    // committed after this transaction took its only snapshot.
    Probe finish(bool matched);

  private:
    friend class Table;

    Oid next_partition();
    bool open_next();
    void close_current();

    Table& table_;
    int column_;
    Datum value_;
    std::int64_t routing_from_;
    SnapshotData snapshot_;
    Relation parent_;
    int position_ = 0;
    Relation relation_ = nullptr;
    Relation index_ = nullptr;
    IndexScanDesc scan_ = nullptr;
    TupleTableSlot* slot_ = nullptr;
};
static_assert(JumpSafe<TableProbe>);

// Waits until the transaction that the last unfinished probe met has ended.
void wait_for_writer();

template <class Fn>
Probe Table::probe(int column, Datum value, std::int64_t routing_from, Fn&& matches) {
    TableProbe walk(*this, column, value, routing_from);
    bool matched = false;
    while (!matched && walk.next()) matched = matches(walk.row());
    return walk.finish(matched);
}

// Makes the table's cache hear of changes. Called once for each table, from _PG_init.
void watch(Table& table);

}  // namespace oms::pg
