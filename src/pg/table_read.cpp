// Finding rows directly: by key, locked or not; and probing for a row of which an unfinished transaction may be the writer.
#include "pg/btree.hpp"
#include "pg/memory.hpp"
#include "pg/raise.hpp"
#include "pg/table.hpp"

namespace oms::pg {

namespace {

void equal_to(ScanKey key, Relation index, const IndexShape& shape, int column, Datum value) {
    ScanKeyEntryInitialize(key, 0, static_cast<AttrNumber>(column + 1), BTEqualStrategyNumber,
                           index->rd_opcintype[column], index->rd_indcollation[column],
                           shape.equals[static_cast<std::size_t>(column)], value);
}

[[noreturn]] void raise_not_visible(const TableDefinition& definition) {
    raise_serialization_failure(
        format("could not serialize access: a row of oms.%s was changed by a transaction that this "
               "transaction's snapshot does not see",
               definition.name));
}

// Raises 40001 when the transaction has one snapshot for all of its commands, and that does not show the row's writer.
void require_seen(const TableDefinition& definition, TupleTableSlot* slot) {
    if (!IsolationUsesXactSnapshot()) return;
    bool own_memory;
    TransactionId writer = HeapTupleHeaderGetXmin(ExecFetchSlotHeapTuple(slot, false, &own_memory)->t_data);
    if (!TransactionIdIsNormal(writer) || TransactionIdIsCurrentTransactionId(writer)) return;
    if (XidInMVCCSnapshot(writer, GetTransactionSnapshot())) raise_not_visible(definition);
}

// A version that this transaction wrote is locked by that: nobody sees it before the commit, and a rollback to a savepoint takes the version away
// together with the wish to have it.
bool is_our_version(TupleTableSlot* slot) {
    bool own_memory;
    HeapTupleHeader header = ExecFetchSlotHeapTuple(slot, false, &own_memory)->t_data;
    return (header->t_infomask & HEAP_XMAX_INVALID) != 0 &&
           TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(header));
}

// Locks the row in `slot` in its newest version; false when it was deleted.
bool lock_row(const TableDefinition& definition, Relation relation, TupleTableSlot* slot, Snapshot snapshot) {
    if (is_our_version(slot)) return true;
    TM_FailureData failure;
    // A transaction with one snapshot must not act on a version that the snapshot cannot see; others follow the row to its newest one.
    int flags = IsolationUsesXactSnapshot() ? 0 : TUPLE_LOCK_FLAG_FIND_LAST_VERSION;
    ItemPointerData tid = slot->tts_tid;
    TM_Result result = table_tuple_lock(relation, &tid, snapshot, slot, GetCurrentCommandId(false),
                                        LockTupleNoKeyExclusive, LockWaitBlock, static_cast<uint8>(flags), &failure);
    switch (result) {
    case TM_Ok: return true;
    case TM_Deleted:
    case TM_Updated:
        if (IsolationUsesXactSnapshot()) raise_not_visible(definition);
        return false;
    default: elog(ERROR, "cannot lock a row of oms.%s (%d)", definition.name, result);
    }
}

}  // namespace

bool Table::find(std::span<const Datum> key, RowLock lock, Row& row) {
    std::int64_t routing = 0;
    for (std::size_t i = 0; i < key.size(); ++i) {
        if (definition_.key[i] == definition_.routing_column) routing = DatumGetInt64(key[i]);
    }
    row.table_ = this;
    const RelationShape* opened;
    row.relation_ = open(routing, lock == RowLock::for_update ? RowExclusiveLock : AccessShareLock, &opened);
    row.shape_ = *opened;
    if (parent_watches_update_) row.shape_.update_direct = false;
    const IndexShape* shape = nullptr;
    for (int i = 0; i < row.shape_.index_count; ++i) {
        if (row.shape_.indexes[static_cast<std::size_t>(i)].is_key)
            shape = &row.shape_.indexes[static_cast<std::size_t>(i)];
    }
    if (shape == nullptr) {
        raise(Error::layout_changed, {.message = format("relation \"%s\" has no unique index on the key of oms.%s",
                                                        RelationGetRelationName(row.relation_), definition_.name),
                                      .detail = "Rows are found through that index.",
                                      .hint = "Create the index again, as the parent table has it."});
    }
    // Under READ COMMITTED a command sees what has been committed by now, not by the start of the statement it is part of.
    Snapshot snapshot = RegisterSnapshot(GetTransactionSnapshot());
    row.slot_ = table_slot_create(row.relation_, nullptr);
    row.place_ = place_name(RelationGetRelid(row.relation_), definition_, key);
    bool found = fetch_where_it_was(row.place_, row.relation_, definition_, key, snapshot, row.slot_) ||
                 find_by_index(*shape, key, snapshot, row);
    if (found && lock == RowLock::for_update) found = lock_row(definition_, row.relation_, row.slot_, snapshot);
    UnregisterSnapshot(snapshot);
    if (!found) {
        release(row);
        return false;
    }
    slot_getallattrs(row.slot_);
    remember_place(row.place_, RelationGetRelid(row.relation_), row.slot_->tts_tid);
    return true;
}

bool Table::find_by_index(const IndexShape& shape, std::span<const Datum> key, Snapshot snapshot, Row& row) {
    Relation index = version::open_index_of_locked_table(shape.oid);
    ScanKeyData keys[index_columns_max];
    for (std::size_t i = 0; i < key.size(); ++i) equal_to(&keys[i], index, shape, static_cast<int>(i), key[i]);
    IndexScanDesc scan = version::begin_index_scan(row.relation_, index, snapshot, static_cast<int>(key.size()));
    index_rescan(scan, keys, static_cast<int>(key.size()), nullptr, 0);
    bool found = index_getnext_slot(scan, ForwardScanDirection, row.slot_);
    index_endscan(scan);
    index_close(index, NoLock);
    return found;
}

void Table::release(Row& row) {
    ExecDropSingleTupleTableSlot(row.slot_);
    table_close(row.relation_, NoLock);
}

void Row::require_seen() const { oms::pg::require_seen(table_->definition(), slot_); }

bool Row::lock_if_free() {
    // As strong as what with_row() takes for a row that it locks, and kept until the transaction ends.
    LockRelationOid(RelationGetRelid(relation_), RowExclusiveLock);
    Snapshot snapshot = RegisterSnapshot(GetTransactionSnapshot());
    TM_FailureData failure;
    ItemPointerData tid = slot_->tts_tid;
    TM_Result result = table_tuple_lock(relation_, &tid, snapshot, slot_, GetCurrentCommandId(false),
                                        LockTupleNoKeyExclusive, LockWaitSkip, 0, &failure);
    UnregisterSnapshot(snapshot);
    if (result != TM_Ok) return false;
    slot_getallattrs(slot_);
    return true;
}

const IndexShape& Table::index_on(Relation relation, const RelationShape& shape, int column) const {
    for (int i = 0; i < shape.index_count; ++i) {
        const IndexShape& candidate = shape.indexes[static_cast<std::size_t>(i)];
        if (candidate.attributes[0] == column + 1) return candidate;
    }
    raise(Error::layout_changed,
          {.message = format("relation \"%s\" has no index on column \"%s\"", RelationGetRelationName(relation),
                             definition_.columns[static_cast<std::size_t>(column)].name),
           .detail = "Rows are found through that index.",
           .hint = "Create the index again, as the parent table has it."});
}

bool Table::may_contain(int column, Datum value, std::int64_t routing_from) {
    bool found = false;
    TableProbe partitions(*this, column, value, routing_from);
    for (Oid next = partitions.next_partition(); OidIsValid(next) && !found; next = partitions.next_partition()) {
        Relation relation = table_open(next, RowExclusiveLock);
        Relation index = version::open_index_of_locked_table(index_on(relation, *shape_of(relation), column).oid);
        found = index_may_contain(index, relation, value);
        index_close(index, NoLock);
        table_close(relation, NoLock);
    }
    table_close(partitions.parent_, NoLock);
    return found;
}

namespace {

// The transaction that the last probe found unfinished. Read by wait_for_writer() before anything else happens.
constinit TransactionId unfinished_writer = InvalidTransactionId;

}  // namespace

TableProbe::TableProbe(Table& table, int column, Datum value, std::int64_t routing_from)
    : table_(table),
      column_(column),
      value_(value),
      routing_from_(routing_from),
      parent_(table_open(table.oid(), RowExclusiveLock)) {
    InitDirtySnapshot(snapshot_);
}

// The partitions in the order of their bounds, the default one last; a plain table is its own only partition.
Oid TableProbe::next_partition() {
    if (table_.definition_.routing_column < 0) return position_++ == 0 ? RelationGetRelid(parent_) : InvalidOid;
    PartitionDesc partitions = RelationGetPartitionDesc(parent_, true);
    PartitionBoundInfo bounds = partitions->boundinfo;
    if (bounds == nullptr) return InvalidOid;
    while (position_ < bounds->ndatums) {
        int bound = position_++;
        bool over = bounds->kind[bound][0] == PARTITION_RANGE_DATUM_MINVALUE ||
                    (bounds->kind[bound][0] == PARTITION_RANGE_DATUM_VALUE &&
                     DatumGetInt64(bounds->datums[bound][0]) <= routing_from_);
        if (!over && bounds->indexes[bound] >= 0) return partitions->oids[bounds->indexes[bound]];
    }
    if (position_++ == bounds->ndatums && bounds->default_index >= 0) return partitions->oids[bounds->default_index];
    return InvalidOid;
}

bool TableProbe::open_next() {
    Oid next = next_partition();
    if (!OidIsValid(next)) return false;
    relation_ = table_open(next, RowExclusiveLock);
    const RelationShape* shape = table_.shape_of(relation_);
    const IndexShape& index = table_.index_on(relation_, *shape, column_);
    index_ = version::open_index_of_locked_table(index.oid);
    ScanKeyData key;
    equal_to(&key, index_, index, 0, value_);
    slot_ = table_slot_create(relation_, nullptr);
    scan_ = version::begin_index_scan(relation_, index_, &snapshot_, 1);
    index_rescan(scan_, &key, 1, nullptr, 0);
    return true;
}

void TableProbe::close_current() {
    index_endscan(scan_);
    index_close(index_, NoLock);
    ExecDropSingleTupleTableSlot(slot_);
    table_close(relation_, NoLock);
    scan_ = nullptr;
}

bool TableProbe::next() {
    for (;;) {
        if (scan_ == nullptr && !open_next()) return false;
        if (index_getnext_slot(scan_, ForwardScanDirection, slot_)) {
            slot_getallattrs(slot_);
            return true;
        }
        close_current();
    }
}

Probe TableProbe::finish(bool matched) {
    Probe result = Probe::nothing;
    if (matched) {
        // The dirty snapshot names the writer of a row that is not committed yet, and nobody for our own rows.
        unfinished_writer = snapshot_.xmin;
        result = TransactionIdIsValid(snapshot_.xmin) ? Probe::unfinished : Probe::found;
        if (result == Probe::found) require_seen(table_.definition_, slot_);
    }
    if (scan_ != nullptr) close_current();
    table_close(parent_, NoLock);
    return result;
}

void wait_for_writer() { XactLockTableWait(unfinished_writer, nullptr, nullptr, XLTW_None); }

}  // namespace oms::pg
