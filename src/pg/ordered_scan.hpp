// Walks a range-partitioned table of ours in the order of its partition key, under a given snapshot, through the index on that key.
//
// Never a plan of the planner's choosing: on a table of any size, whatever its statistics, the walk starts at the first key that is wanted and
// touches nothing before it. Partitions that end below it are not opened.
#pragma once

#include <array>
#include <cstdint>

#include "pg/jump.hpp"
#include "pg/snapshot.hpp"
#include "pg/table.hpp"

namespace oms::pg {

// The table must have a bigint routing column that is the first of an index in every partition.
class OrderedScan {
  public:
    // Prepares to walk the rows whose key is above `above` and at most `up_to`.
    OrderedScan(Table& table, const ReadSnapshot& snapshot, std::int64_t above, std::int64_t up_to);

    bool next();
    void close();

    Datum value(int column) {
        read_up_to(column);
        return row_->tts_values[column];
    }
    bool is_null(int column) {
        read_up_to(column);
        return row_->tts_isnull[column];
    }

    // How large a variable-length value of the row is when it is taken out of storage.
    std::size_t bytes(int column);

    // The (sub)transaction that inserted the row as it stands here; 0 when that is so long ago that the server has forgotten.
    std::uint64_t inserted_by() const;

  private:
    // One partition being walked, with its next row at hand.
    struct Walk {
        Relation relation = nullptr;
        Relation index = nullptr;
        IndexScanDesc scan = nullptr;
        TupleTableSlot* slot = nullptr;
        std::int64_t key = 0;
        bool has_row = false;
    };

    void read_up_to(int column) {
        if (row_->tts_nvalid <= column) slot_getsomeattrs(row_, column + 1);
    }
    void open(Walk& walk, Oid partition);
    void step(Walk& walk);
    void close(Walk& walk);
    Oid next_partition();
    void fill_ranged();

    Table& table_;
    const ReadSnapshot& snapshot_;
    std::int64_t above_, up_to_;
    Relation parent_;
    PartitionDesc partitions_;  // as it was when the walk began; the server keeps it while the parent is open
    int bound_ = 0;             // of the next partition to open
    Walk ranged_;               // the partitions with bounds, one after the other: their ranges do not overlap
    Walk default_;              // the default partition, whose rows may stand before, between and behind those
    Walk* current_ = nullptr;
    TupleTableSlot* row_ = nullptr;
};
static_assert(JumpSafe<OrderedScan>);

}  // namespace oms::pg
