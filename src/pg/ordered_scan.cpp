// The walk: two sorted sequences, the ranged partitions and the default one, merged row by row.
#include "pg/ordered_scan.hpp"

#include "pg/raise.hpp"

namespace oms::pg {

OrderedScan::OrderedScan(Table& table, const ReadSnapshot& snapshot, std::int64_t above, std::int64_t up_to)
    : table_(table),
      snapshot_(snapshot),
      above_(above),
      up_to_(up_to),
      parent_(table_open(table.oid(), AccessShareLock)),
      partitions_(RelationGetPartitionDesc(parent_, true)) {
    PartitionBoundInfo bounds = partitions_->boundinfo;
    if (bounds == nullptr) return;
    if (bounds->default_index >= 0) open(default_, partitions_->oids[bounds->default_index]);
    fill_ranged();
}

// The next partition whose range reaches into the wanted one; bounds->indexes[n] is the partition below bound n.
Oid OrderedScan::next_partition() {
    PartitionBoundInfo bounds = partitions_->boundinfo;
    for (; bound_ < bounds->ndatums; ++bound_) {
        int partition = bounds->indexes[bound_];
        bool ends_below = bounds->kind[bound_][0] == PARTITION_RANGE_DATUM_VALUE &&
                          DatumGetInt64(bounds->datums[bound_][0]) - 1 <= above_;
        if (partition < 0 || ends_below) continue;
        bool starts_above = bound_ > 0 && bounds->kind[bound_ - 1][0] == PARTITION_RANGE_DATUM_VALUE &&
                            DatumGetInt64(bounds->datums[bound_ - 1][0]) > up_to_;
        if (starts_above) break;
        ++bound_;
        return partitions_->oids[partition];
    }
    return InvalidOid;
}

void OrderedScan::fill_ranged() {
    while (!ranged_.has_row) {
        if (ranged_.scan != nullptr) close(ranged_);
        Oid partition = next_partition();
        if (!OidIsValid(partition)) return;
        open(ranged_, partition);
    }
}

void OrderedScan::open(Walk& walk, Oid partition) {
    walk.relation = table_open(partition, AccessShareLock);
    const RelationShape* shape = table_.shape_of(walk.relation);
    int column = table_.definition().routing_column;
    walk.index = index_open(table_.index_on(walk.relation, *shape, column).oid, AccessShareLock);
    ScanKeyData keys[2];
    ScanKeyEntryInitialize(&keys[0], 0, 1, BTGreaterStrategyNumber, INT8OID, InvalidOid, F_INT8GT,
                           Int64GetDatum(above_));
    ScanKeyEntryInitialize(&keys[1], 0, 1, BTLessEqualStrategyNumber, INT8OID, InvalidOid, F_INT8LE,
                           Int64GetDatum(up_to_));
    walk.slot = table_slot_create(walk.relation, nullptr);
    walk.scan = version::begin_index_scan(walk.relation, walk.index, snapshot_.raw_, 2);
    index_rescan(walk.scan, keys, 2, nullptr, 0);
    step(walk);
}

void OrderedScan::step(Walk& walk) {
    walk.has_row = index_getnext_slot(walk.scan, ForwardScanDirection, walk.slot);
    if (!walk.has_row) return;
    int column = table_.definition().routing_column;
    bool null;
    walk.key = DatumGetInt64(slot_getattr(walk.slot, column + 1, &null));
}

// The locks on what was read stay until the transaction ends, as they do for a query.
void OrderedScan::close(Walk& walk) {
    index_endscan(walk.scan);
    index_close(walk.index, NoLock);
    ExecDropSingleTupleTableSlot(walk.slot);
    table_close(walk.relation, NoLock);
    walk = {};
}

bool OrderedScan::next() {
    CHECK_FOR_INTERRUPTS();
    if (current_ != nullptr) {
        step(*current_);
        if (current_ == &ranged_) fill_ranged();
    }
    if (ranged_.has_row && (!default_.has_row || ranged_.key < default_.key)) {
        current_ = &ranged_;
    } else if (default_.has_row) {
        current_ = &default_;
    } else {
        current_ = nullptr;
        return false;
    }
    row_ = current_->slot;
    return true;
}

std::size_t OrderedScan::bytes(int column) {
    if (is_null(column)) return 0;
    const auto* stored = reinterpret_cast<varlena*>(DatumGetPointer(value(column)));
    if (VARATT_IS_EXTERNAL(stored) || VARATT_IS_COMPRESSED(stored)) return toast_raw_datum_size(value(column));
    return VARSIZE_ANY(stored);
}

std::uint64_t OrderedScan::inserted_by() const {
    bool own_memory;
    HeapTuple tuple = ExecFetchSlotHeapTuple(row_, false, &own_memory);
    if (HeapTupleHeaderXminFrozen(tuple->t_data)) return 0;
    return snapshot_.widened(HeapTupleHeaderGetRawXmin(tuple->t_data));
}

void OrderedScan::close() {
    if (ranged_.scan != nullptr) close(ranged_);
    if (default_.scan != nullptr) close(default_);
    table_close(parent_, NoLock);
}

}  // namespace oms::pg
