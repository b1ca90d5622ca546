// Index scans in order, over one plain table or one partition.
#include "pg/table_walk.hpp"

#include <algorithm>

#include "pg/memory.hpp"
#include "pg/raise.hpp"

namespace oms::pg {

Snapshot register_snapshot() { return RegisterSnapshot(GetTransactionSnapshot()); }
Snapshot register_newest_snapshot() { return RegisterSnapshot(GetLatestSnapshot()); }
void unregister_snapshot(Snapshot snapshot) { UnregisterSnapshot(snapshot); }

namespace {

Datum bound(Oid type, std::int64_t value) {
    if (type != INT4OID) return Int64GetDatum(value);
    return Int32GetDatum(static_cast<std::int32_t>(std::clamp<std::int64_t>(value, PG_INT32_MIN, PG_INT32_MAX)));
}

void compare_with(ScanKey key, Relation index, int column, StrategyNumber strategy, Datum value) {
    Oid type = index->rd_opcintype[column];
    RegProcedure comparison =
        get_opcode(get_opfamily_member(index->rd_opfamily[column], type, type, static_cast<int16>(strategy)));
    ScanKeyEntryInitialize(key, 0, static_cast<AttrNumber>(column + 1), strategy, type, index->rd_indcollation[column],
                           comparison, value);
}

}  // namespace

const IndexShape& TableWalk::index_for(const WalkRange& range) const {
    for (int i = 0; i < row_.shape_.index_count; ++i) {
        const IndexShape& candidate = row_.shape_.indexes[static_cast<std::size_t>(i)];
        bool serves = candidate.columns >= static_cast<int>(range.columns.size());
        for (std::size_t k = 0; serves && k < range.columns.size(); ++k) {
            serves = candidate.attributes[k] == range.columns[k] + 1;
        }
        if (serves) return candidate;
    }
    raise(
        Error::layout_changed,
        {.message = format("relation \"%s\" lacks an index of the extension", RelationGetRelationName(row_.relation_)),
         .detail = format("It must begin with column \"%s\".",
                          row_.table_->definition().columns[static_cast<std::size_t>(range.columns[0])].name),
         .hint = "Create the index again, as the extension's script has it."});
}

TableWalk::TableWalk(Table& table, const WalkRange& range, Snapshot snapshot) {
    row_.table_ = &table;
    const RelationShape* shape;
    row_.relation_ = table.open(range.routing, RowExclusiveLock, &shape);
    row_.shape_ = *shape;
    if (table.parent_watches_update_) row_.shape_.update_direct = false;
    const IndexShape& chosen = index_for(range);
    index_ = version::open_index_of_locked_table(chosen.oid);
    row_.slot_ = table_slot_create(row_.relation_, nullptr);
    ScanKeyData keys[index_columns_max + 1];
    int count = 0;
    for (; count < static_cast<int>(range.equal.size()); ++count) {
        compare_with(&keys[count], index_, count, BTEqualStrategyNumber, range.equal[static_cast<std::size_t>(count)]);
    }
    if (range.equal.size() < range.columns.size()) {
        int ordered = count;
        Oid type = index_->rd_opcintype[ordered];
        compare_with(&keys[count++], index_, ordered, BTGreaterEqualStrategyNumber, bound(type, range.from));
        compare_with(&keys[count++], index_, ordered, BTLessEqualStrategyNumber, bound(type, range.to));
    }
    scan_ = version::begin_index_scan(row_.relation_, index_, snapshot == nullptr ? SnapshotAny : snapshot, count);
    index_rescan(scan_, keys, count, nullptr, 0);
}

bool TableWalk::next() {
    CHECK_FOR_INTERRUPTS();
    if (!index_getnext_slot(scan_, ForwardScanDirection, row_.slot_)) return false;
    slot_getallattrs(row_.slot_);
    return true;
}

void TableWalk::finish() {
    index_endscan(scan_);
    index_close(index_, NoLock);
    row_.table_->release(row_);
}

}  // namespace oms::pg
