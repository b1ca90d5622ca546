// A walk along an index of one of our tables: the rows behind equal leading columns, in the order of the column that follows.
//
// For tables that are queues: whoever walks takes rows as they come, without waiting for those that somebody else has (Row::try_update,
// Row::try_remove). What a walk passes over it passes over again next time, also dead rows that an old snapshot of somebody else's keeps; a
// Frontier (frontier.hpp) remembers where to begin instead.
//
// And for the rows that hang on another one, of a partitioned table too: they lie in one partition. Whoever has locked that other one may write them.
// Unlike a saved plan it does not depend on what the planner knew of the table on the day it was made.
#pragma once

#include <cstdint>
#include <limits>
#include <span>

#include "pg/jump.hpp"
#include "pg/table.hpp"
#include "pg/transaction.hpp"

namespace oms::pg {

struct WalkRange {
    std::span<const int> columns;  // the leading columns of the index, the ordered one last, if one is meant
    std::span<const Datum> equal;  // the values of the others
    std::int64_t from =
        std::numeric_limits<std::int64_t>::min();  // bounds of the ordered one, a bigint, integer or timestamptz
    std::int64_t to = std::numeric_limits<std::int64_t>::max();
    std::int64_t routing = 0;  // of the rows of a partitioned table, all of which have the same
};

// What this transaction sees by now, and under REPEATABLE READ what it has seen from its beginning; until it is given back.
Snapshot register_snapshot();
// What is committed by now, whatever the transaction's snapshot shows.
Snapshot register_newest_snapshot();
void unregister_snapshot(Snapshot snapshot);

class TableWalk {
  public:
    // `snapshot` decides what is seen; nullptr: everything that is still in the table, dead or alive.
    TableWalk(Table& table, const WalkRange& range, Snapshot snapshot);
    bool next();
    Row& row() { return row_; }
    void finish();

  private:
    const IndexShape& index_for(const WalkRange& range) const;

    Row row_;
    Relation index_;
    IndexScanDesc scan_;
};
static_assert(JumpSafe<TableWalk>);

// Calls fn(Row&) for each row until it answers false; answers whether the walk came to the end of the range.
template <class Fn>
bool walk(Table& table, const WalkRange& range, Snapshot snapshot, Fn&& fn) {
    TableWalk walk(table, range, snapshot);
    bool more = true;
    bool wanted = true;
    while (wanted && (more = walk.next())) wanted = fn(walk.row());
    walk.finish();
    return !more;
}

// The same for everything in the range that is there now, what this very command did among it. For those who have locked what the rows hang on: under
// one snapshot for the whole transaction a row that it does not show raises 40001, lest it be counted as not there.
template <class Fn>
void walk_now(Table& table, const WalkRange& range, Fn&& fn) {
    end_of_command();
    Snapshot snapshot = register_newest_snapshot();
    walk(table, range, snapshot, [&](Row& row) {
        row.require_seen();
        fn(row);
        return true;
    });
    unregister_snapshot(snapshot);
}

}  // namespace oms::pg
