// Writing rows directly: form the tuple, insert it, insert its index entries; or leave it to SQL where somebody else has a say.
#include <algorithm>
#include <cstring>

#include "pg/catalog.hpp"
#include "pg/memory.hpp"
#include "pg/plan.hpp"
#include "pg/raise.hpp"
#include "pg/table.hpp"

namespace oms::pg {

namespace {

std::int64_t routing_value(const TableDefinition& definition, const RowValues& row) {
    return definition.routing_column < 0
               ? 0
               : DatumGetInt64(row.values[static_cast<std::size_t>(definition.routing_column)]);
}

void insert_index_entries(Relation relation, const RelationShape& shape, ItemPointer tid, const Datum* values,
                          const bool* nulls) {
    for (int i = 0; i < shape.index_count; ++i) {
        const IndexShape& index = shape.indexes[static_cast<std::size_t>(i)];
        Datum key_values[INDEX_MAX_KEYS];
        bool key_nulls[INDEX_MAX_KEYS];
        for (int k = 0; k < index.columns; ++k) {
            int column = index.attributes[static_cast<std::size_t>(k)] - 1;
            key_values[k] = values[column];
            key_nulls[k] = nulls[column];
        }
        Relation open_index = version::open_index_of_locked_table(index.oid);
        index_insert(open_index, key_values, key_nulls, tid, relation,
                     index.unique ? UNIQUE_CHECK_YES : UNIQUE_CHECK_NO, false, nullptr);
        index_close(open_index, NoLock);
    }
}

// "a, b, c": every column of the definition.
void append_names(StringInfo text, const TableDefinition& definition) {
    for (std::size_t i = 0; i < definition.columns.size(); ++i) {
        appendStringInfo(text, "%s%s", i == 0 ? "" : ", ", quote_identifier(definition.columns[i].name));
    }
}

// How many rows share a WAL record at the most. The slots are made once: each pins the tuple descriptor, and a hundred thousand pins of one descriptor
// take the server's bookkeeping seconds to undo.
constexpr std::size_t rows_together = 256;

void insert_together(Relation relation, const RelationShape& shape, std::span<const RowValues> rows) {
    std::span<TupleTableSlot*> slots = allocate<TupleTableSlot*>(std::min(rows.size(), rows_together));
    for (TupleTableSlot*& slot : slots) slot = MakeSingleTupleTableSlot(RelationGetDescr(relation), &TTSOpsHeapTuple);
    for (std::size_t done = 0; done < rows.size(); done += slots.size()) {
        CHECK_FOR_INTERRUPTS();
        std::span<const RowValues> part = rows.subspan(done, std::min(slots.size(), rows.size() - done));
        for (std::size_t i = 0; i < part.size(); ++i) {
            HeapTuple tuple = heap_form_tuple(RelationGetDescr(relation), const_cast<Datum*>(part[i].values.data()),
                                              const_cast<bool*>(part[i].nulls.data()));
            ExecStoreHeapTuple(tuple, slots[i], false);
        }
        heap_multi_insert(relation, slots.data(), static_cast<int>(part.size()), GetCurrentCommandId(true), 0, nullptr);
        for (std::size_t i = 0; i < part.size(); ++i) {
            insert_index_entries(relation, shape, &slots[i]->tts_tid, part[i].values.data(), part[i].nulls.data());
        }
    }
    for (TupleTableSlot* slot : slots) ExecDropSingleTupleTableSlot(slot);
}

}  // namespace

void Table::require_complete(const RowValues& row) const {
    for (std::size_t i = 0; i < definition_.columns.size(); ++i) {
        if (row.nulls[i] && !definition_.columns[i].nullable) {
            elog(ERROR, "null in column \"%s\" of oms.%s", definition_.columns[i].name, definition_.name);
        }
    }
}

void Table::remember(Relation relation, const RowValues& row, ItemPointerData tid) const {
    if (definition_.key.empty()) return;
    Datum key[index_columns_max];
    for (std::size_t i = 0; i < definition_.key.size(); ++i) {
        key[i] = row.values[static_cast<std::size_t>(definition_.key[i])];
    }
    const Oid oid = RelationGetRelid(relation);
    remember_place(place_name(oid, definition_, {key, definition_.key.size()}), oid, tid);
}

void Table::insert(const RowValues& row) {
    require_complete(row);
    const RelationShape* shape;
    Relation relation = open(routing_value(definition_, row), RowExclusiveLock, &shape);
    if (shape->insert_direct && !parent_watches_insert_) {
        HeapTuple tuple = heap_form_tuple(RelationGetDescr(relation), const_cast<Datum*>(row.values.data()),
                                          const_cast<bool*>(row.nulls.data()));
        heap_insert(relation, tuple, GetCurrentCommandId(true), 0, nullptr);
        insert_index_entries(relation, *shape, &tuple->t_self, row.values.data(), row.nulls.data());
        remember(relation, row, tuple->t_self);
    } else {
        insert_by_sql(row);
    }
    table_close(relation, NoLock);
}

void Table::insert_many(std::span<const RowValues> rows) {
    if (rows.size() == 1) return insert(rows[0]);
    std::size_t done = 0;
    while (done < rows.size()) {
        CHECK_FOR_INTERRUPTS();
        const RelationShape* opened;
        Relation relation = open(routing_value(definition_, rows[done]), RowExclusiveLock, &opened);
        // The next partition may take this one's place among the remembered shapes.
        const RelationShape shape = *opened;
        // The longest run of rows that belong to this partition: routing again is what tells.
        std::size_t end = done;
        do {
            require_complete(rows[end]);
            ++end;
            if (end == rows.size() || definition_.routing_column < 0) continue;
            if (routing_value(definition_, rows[end]) == routing_value(definition_, rows[end - 1])) continue;
            const RelationShape* next_shape;
            Relation next = open(routing_value(definition_, rows[end]), RowExclusiveLock, &next_shape);
            bool same = RelationGetRelid(next) == RelationGetRelid(relation);
            table_close(next, NoLock);
            if (!same) break;
        } while (end < rows.size());

        std::size_t count = end - done;
        if (!shape.insert_direct || parent_watches_insert_) {
            for (std::size_t i = done; i < end; ++i) insert_by_sql(rows[i]);
        } else {
            insert_together(relation, shape, rows.subspan(done, count));
        }
        table_close(relation, NoLock);
        done = end;
    }
}

void Table::insert_by_sql(const RowValues& row) {
    StringInfoData text;
    initStringInfo(&text);
    appendStringInfo(&text, "INSERT INTO %s.%s (", schema_name, definition_.name);
    append_names(&text, definition_);
    appendStringInfoString(&text, ") VALUES (");
    std::array<Oid, columns_max> types{};
    for (std::size_t i = 0; i < definition_.columns.size(); ++i) {
        appendStringInfo(&text, "%s$%zu", i == 0 ? "" : ", ", i + 1);
        types[i] = definition_.columns[i].type;
    }
    appendStringInfoChar(&text, ')');
    std::size_t count = definition_.columns.size();
    run_once(Access::writes, text.data, {types.data(), count}, {row.values.data(), count}, {row.nulls.data(), count});
}

namespace {

void update_by_sql(const TableDefinition& definition, const Row& current, const RowValues& row,
                   std::span<const int> changed) {
    StringInfoData text;
    initStringInfo(&text);
    appendStringInfo(&text, "UPDATE %s.%s SET ", schema_name, definition.name);
    std::array<Oid, columns_max> types{};
    RowValues parameters;
    std::size_t count = 0;
    for (std::size_t i = 0; i < changed.size(); ++i) {
        auto column = static_cast<std::size_t>(changed[i]);
        types[count] = definition.columns[column].type;
        parameters.values[count] = row.values[column];
        parameters.nulls[count] = row.nulls[column];
        ++count;
        appendStringInfo(&text, "%s%s = $%zu", i == 0 ? "" : ", ", quote_identifier(definition.columns[column].name),
                         count);
    }
    for (std::size_t i = 0; i < definition.key.size(); ++i) {
        auto column = static_cast<std::size_t>(definition.key[i]);
        types[count] = definition.columns[column].type;
        parameters.set(static_cast<int>(count), current.value(definition.key[i]));
        ++count;
        appendStringInfo(&text, "%s%s OPERATOR(pg_catalog.=) $%zu", i == 0 ? " WHERE " : " AND ",
                         quote_identifier(definition.columns[column].name), count);
    }
    run_once(Access::writes, text.data, {types.data(), count}, {parameters.values.data(), count},
             {parameters.nulls.data(), count});
}

void delete_by_sql(const TableDefinition& definition, const Row& current) {
    StringInfoData text;
    initStringInfo(&text);
    appendStringInfo(&text, "DELETE FROM %s.%s", schema_name, definition.name);
    std::array<Oid, columns_max> types{};
    RowValues parameters;
    std::size_t count = 0;
    for (std::size_t i = 0; i < definition.key.size(); ++i) {
        auto column = static_cast<std::size_t>(definition.key[i]);
        types[count] = definition.columns[column].type;
        parameters.set(static_cast<int>(count), current.value(definition.key[i]));
        ++count;
        appendStringInfo(&text, "%s%s OPERATOR(pg_catalog.=) $%zu", i == 0 ? " WHERE " : " AND ",
                         quote_identifier(definition.columns[column].name), count);
    }
    run_once(Access::writes, text.data, {types.data(), count}, {parameters.values.data(), count},
             {parameters.nulls.data(), count});
}

}  // namespace

HeapTuple Row::next_version(const RowValues& row, std::span<const int> changed) const {
    const TableDefinition& definition = table_->definition();
    for (int column : changed) {
        if (row.nulls[static_cast<std::size_t>(column)] &&
            !definition.columns[static_cast<std::size_t>(column)].nullable) {
            elog(ERROR, "null in column \"%s\" of oms.%s", definition.columns[static_cast<std::size_t>(column)].name,
                 definition.name);
        }
    }
    TupleDesc descriptor = RelationGetDescr(relation_);
    auto width = static_cast<std::size_t>(descriptor->natts);
    std::span<Datum> values = allocate<Datum>(width);
    std::span<bool> nulls = allocate<bool>(width);
    std::memcpy(values.data(), slot_->tts_values, sizeof(Datum) * width);
    std::memcpy(nulls.data(), slot_->tts_isnull, sizeof(bool) * width);
    for (int column : changed) {
        auto i = static_cast<std::size_t>(column);
        values[i] = row.values[i];
        nulls[i] = row.nulls[i];
    }
    return heap_form_tuple(descriptor, values.data(), nulls.data());
}

namespace {

void insert_entries_of_version(Relation relation, const RelationShape& shape, HeapTuple tuple) {
    Datum values[columns_max];
    bool nulls[columns_max];
    heap_deform_tuple(tuple, RelationGetDescr(relation), values, nulls);
    insert_index_entries(relation, shape, &tuple->t_self, values, nulls);
}

}  // namespace

void Row::update(const RowValues& row, std::span<const int> changed) {
    const TableDefinition& definition = table_->definition();
    HeapTuple tuple = next_version(row, changed);
    if (!shape_.update_direct) {
        update_by_sql(definition, *this, row, changed);
        return;
    }
    TM_FailureData failure;
    bool needs_index_entries;
    TM_Result result = version::update(relation_, &slot_->tts_tid, tuple, GetCurrentCommandId(true), true, &failure,
                                       &needs_index_entries);
    // The row was locked by find(): nobody else can have changed it.
    if (result != TM_Ok) elog(ERROR, "locked row of oms.%s changed underneath (%d)", definition.name, result);
    remember_place(place_, RelationGetRelid(relation_), tuple->t_self);
    if (needs_index_entries) insert_entries_of_version(relation_, shape_, tuple);
}

bool Row::try_lock() {
    TM_FailureData failure;
    ItemPointerData tid = slot_->tts_tid;
    TupleTableSlot* locked = table_slot_create(relation_, nullptr);
    TM_Result result = table_tuple_lock(relation_, &tid, GetActiveSnapshot(), locked, GetCurrentCommandId(false),
                                        LockTupleExclusive, LockWaitSkip, 0, &failure);
    ExecDropSingleTupleTableSlot(locked);
    return result == TM_Ok;
}

// A version that this transaction wrote over one that it had locked is locked by it too. To the heap that is somebody in the way, unless it may
// wait; and for ourselves it does not.
bool Row::is_locked_by_us() const {
    bool own_memory;
    HeapTupleHeader header = ExecFetchSlotHeapTuple(slot_, false, &own_memory)->t_data;
    return !(header->t_infomask & (HEAP_XMAX_INVALID | HEAP_XMAX_IS_MULTI)) &&
           HEAP_XMAX_IS_LOCKED_ONLY(header->t_infomask) &&
           TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetRawXmax(header));
}

bool Row::try_update(const RowValues& row, std::span<const int> changed) {
    HeapTuple tuple = next_version(row, changed);
    if (!shape_.update_direct) {
        if (!try_lock()) return false;
        update_by_sql(table_->definition(), *this, row, changed);
        return true;
    }
    TM_FailureData failure;
    bool needs_index_entries;
    TM_Result result = version::update(relation_, &slot_->tts_tid, tuple, GetCurrentCommandId(true), is_locked_by_us(),
                                       &failure, &needs_index_entries);
    if (result != TM_Ok) return false;
    if (needs_index_entries) insert_entries_of_version(relation_, shape_, tuple);
    return true;
}

bool Row::try_remove() {
    if (!shape_.delete_direct) {
        if (!try_lock()) return false;
        delete_by_sql(table_->definition(), *this);
        return true;
    }
    TM_FailureData failure;
    return heap_delete(relation_, &slot_->tts_tid, GetCurrentCommandId(true), InvalidSnapshot, is_locked_by_us(),
                       &failure, false) == TM_Ok;
}

TransactionId Row::holder() const {
    // The slot shows the page's own tuple, so this is who has it by now.
    bool own_memory;
    HeapTupleHeader header = ExecFetchSlotHeapTuple(slot_, false, &own_memory)->t_data;
    if (header->t_infomask & (HEAP_XMAX_INVALID | HEAP_XMAX_IS_MULTI)) return InvalidTransactionId;
    TransactionId holder = HeapTupleHeaderGetRawXmax(header);
    if (!TransactionIdIsNormal(holder) || !TransactionIdIsInProgress(holder)) return InvalidTransactionId;
    return SubTransGetTopmostTransaction(holder);
}

}  // namespace oms::pg
