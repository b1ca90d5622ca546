// Opening a table of ours for a row: which partition, does it look as we expect, may it be written directly.
#include "pg/table.hpp"

#include <cstring>

#include "pg/catalog.hpp"
#include "pg/memory.hpp"
#include "pg/raise.hpp"

namespace oms::pg {

namespace {

// Every table of the extension that is written directly; a bound, not a tuning knob.
constexpr std::size_t tables_max = 32;
constinit std::array<Table*, tables_max> watched{};
constinit std::size_t watched_count = 0;

void relation_changed_anywhere(Oid relation) {
    forget_places();
    for (std::size_t i = 0; i < watched_count; ++i) watched[i]->relation_changed(relation);
}

// A partition and the routing values that it takes.
struct Destination {
    Oid partition = InvalidOid;
    std::int64_t low = PG_INT64_MIN, high = PG_INT64_MAX;
};

// The partition for a routing value; none when there is not even a default.
Destination route(Relation parent, std::int64_t value) {
    Destination destination;
    PartitionDesc partitions = RelationGetPartitionDesc(parent, true);
    PartitionBoundInfo bounds = partitions->boundinfo;
    if (bounds == nullptr || bounds->strategy != PARTITION_STRATEGY_RANGE) return destination;
    // The first bound above the value; indexes[n] is the partition below bound n.
    int low = 0;
    int high = bounds->ndatums;
    while (low < high) {
        int middle = (low + high) / 2;
        PartitionRangeDatumKind kind = bounds->kind[middle][0];
        bool not_above = kind == PARTITION_RANGE_DATUM_MINVALUE ||
                         (kind == PARTITION_RANGE_DATUM_VALUE && DatumGetInt64(bounds->datums[middle][0]) <= value);
        if (not_above) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low > 0 && bounds->kind[low - 1][0] == PARTITION_RANGE_DATUM_VALUE) {
        destination.low = DatumGetInt64(bounds->datums[low - 1][0]);
    }
    if (low < bounds->ndatums && bounds->kind[low][0] == PARTITION_RANGE_DATUM_VALUE) {
        destination.high = DatumGetInt64(bounds->datums[low][0]) - 1;
    }
    int partition = bounds->indexes[low];
    if (partition < 0) partition = bounds->default_index;
    if (partition >= 0) destination.partition = partitions->oids[partition];
    return destination;
}

[[noreturn]] void raise_layout(const TableDefinition& definition, Relation relation, const char* found) {
    raise(Error::layout_changed,
          {.message = format("relation \"%s\" does not have the layout of oms.%s", RelationGetRelationName(relation),
                             definition.name),
           .detail = found,
           .hint = "Undo the change, or update the extension; columns of your own belong behind the extension's."});
}

void check_columns(const TableDefinition& definition, Relation relation) {
    TupleDesc descriptor = RelationGetDescr(relation);
    if (descriptor->natts < static_cast<int>(definition.columns.size())) {
        raise_layout(definition, relation,
                     format("It has %d columns, not %zu.", descriptor->natts, definition.columns.size()));
    }
    for (std::size_t i = 0; i < definition.columns.size(); ++i) {
        const Column& wanted = definition.columns[i];
        Form_pg_attribute found = TupleDescAttr(descriptor, static_cast<int>(i));
        if (found->attisdropped || found->atttypid != wanted.type ||
            std::strcmp(NameStr(found->attname), wanted.name) != 0) {
            raise_layout(definition, relation,
                         format("Column %zu is \"%s\" of type %s, not \"%s\" of type %s.", i + 1,
                                NameStr(found->attname), found->attisdropped ? "-" : format_type_be(found->atttypid),
                                wanted.name, format_type_be(wanted.type)));
        }
    }
}

// Says whether a row formed from our columns alone is a whole row, and whether nothing but us watches over it.
bool has_only_our_rules(const TableDefinition& definition, Relation relation) {
    TupleDesc descriptor = RelationGetDescr(relation);
    if (descriptor->natts != static_cast<int>(definition.columns.size())) return false;
    if (relation->rd_rel->relam != HEAP_TABLE_AM_OID) return false;
    const TupleConstr* constraints = descriptor->constr;
    if (constraints == nullptr) return definition.checks == 0;
    return constraints->num_check == definition.checks && !constraints->has_generated_stored;
}

bool insert_is_watched(const TriggerDesc* triggers) {
    return triggers != nullptr && (triggers->trig_insert_before_row || triggers->trig_insert_after_row ||
                                   triggers->trig_insert_instead_row || triggers->trig_insert_before_statement ||
                                   triggers->trig_insert_after_statement || triggers->trig_insert_new_table);
}

bool update_is_watched(const TriggerDesc* triggers) {
    return triggers != nullptr &&
           (triggers->trig_update_before_row || triggers->trig_update_after_row || triggers->trig_update_instead_row ||
            triggers->trig_update_before_statement || triggers->trig_update_after_statement ||
            triggers->trig_update_new_table || triggers->trig_update_old_table);
}

bool delete_is_watched(const TriggerDesc* triggers) {
    return triggers != nullptr && (triggers->trig_delete_before_row || triggers->trig_delete_after_row ||
                                   triggers->trig_delete_instead_row || triggers->trig_delete_before_statement ||
                                   triggers->trig_delete_after_statement || triggers->trig_delete_old_table);
}

// Describes one index; false when only the executor knows how to keep it.
bool describe_index(Relation index, IndexShape* shape) {
    const FormData_pg_index* form = index->rd_index;
    if (index->rd_rel->relam != BTREE_AM_OID || form->indnatts > index_columns_max || !form->indimmediate ||
        !heap_attisnull(index->rd_indextuple, Anum_pg_index_indexprs, nullptr) ||
        !heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, nullptr)) {
        return false;
    }
    shape->oid = RelationGetRelid(index);
    shape->unique = form->indisunique;
    shape->columns = form->indnatts;
    for (int i = 0; i < form->indnatts; ++i) {
        auto k = static_cast<std::size_t>(i);
        if (form->indkey.values[i] <= 0) return false;
        shape->attributes[k] = form->indkey.values[i];
        if (i >= form->indnkeyatts) continue;
        Oid type = index->rd_opcintype[i];
        shape->equals[k] = get_opcode(get_opfamily_member(index->rd_opfamily[i], type, type, BTEqualStrategyNumber));
    }
    return true;
}

bool serves_key(const TableDefinition& definition, const FormData_pg_index* form) {
    if (!form->indisunique || !form->indisvalid || form->indnkeyatts != static_cast<int>(definition.key.size()))
        return false;
    for (std::size_t i = 0; i < definition.key.size(); ++i) {
        if (form->indkey.values[i] != definition.key[i] + 1) return false;
    }
    return true;
}

}  // namespace

void watch(Table& table) {
    if (watched_count == tables_max) elog(ERROR, "more than %zu tables are written directly", tables_max);
    if (watched_count == 0) on_relation_change(relation_changed_anywhere);
    watched[watched_count++] = &table;
}

void Table::relation_changed(Oid relation) {
    if (relation == InvalidOid || relation == oid_) {
        oid_ = InvalidOid;
        ++changes_;
    }
    if (relation == InvalidOid || relation == describing_) description_is_stale_ = true;
    for (RelationShape& shape : shapes_) {
        if (relation == InvalidOid || shape.oid == relation) {
            shape.oid = InvalidOid;
            ++changes_;
        }
    }
}

Oid Table::oid() {
    if (!OidIsValid(oid_)) oid_ = relation_oid(definition_.name);
    return oid_;
}

RelationShape Table::describe(Relation relation) {
    check_columns(definition_, relation);
    RelationShape shape;
    bool direct = has_only_our_rules(definition_, relation);
    List* index_oids = RelationGetIndexList(relation);
    bool all_indexes_known = list_length(index_oids) <= indexes_max;
    ListCell* cell;
    foreach (cell, index_oids) {
        Relation index = index_open(lfirst_oid(cell), AccessShareLock);
        IndexShape described{};
        bool known = describe_index(index, &described);
        described.is_key = serves_key(definition_, index->rd_index);
        // An index that is still being built concurrently announces when it wants to be fed.
        bool ready = index->rd_index->indisready;
        index_close(index, NoLock);
        if (!known) all_indexes_known = false;
        if (known && ready && shape.index_count < indexes_max) {
            shape.indexes[static_cast<std::size_t>(shape.index_count++)] = described;
        }
    }
    list_free(index_oids);
    shape.insert_direct = direct && all_indexes_known && !insert_is_watched(relation->trigdesc);
    shape.update_direct = direct && all_indexes_known && !update_is_watched(relation->trigdesc);
    shape.delete_direct = !delete_is_watched(relation->trigdesc);
    shape.oid = RelationGetRelid(relation);
    return shape;
}

const RelationShape* Table::shape_of(Relation relation) {
    RelationShape& cached = shapes_[RelationGetRelid(relation) % shapes_cached];
    if (cached.oid == RelationGetRelid(relation)) return &cached;
    // Looking at the indexes takes locks, and taking a lock can deliver the news that what was seen before is out of date.
    RelationShape shape;
    do {
        describing_ = RelationGetRelid(relation);
        description_is_stale_ = false;
        shape = describe(relation);
    } while (description_is_stale_);
    cached = shape;  // published last: everything above can raise
    return &cached;
}

bool Table::is_current(const Route& route, std::int64_t routing_value) const {
    return OidIsValid(route.relation) && route.changes == changes_ &&
           route.transaction == version::local_transaction() && route.subtransaction == GetCurrentSubTransactionId() &&
           route.low <= routing_value && routing_value <= route.high;
}

Relation Table::open(std::int64_t routing_value, LOCKMODE mode, const RelationShape** shape) {
    if (mode == RowExclusiveLock && is_current(route_, routing_value)) {
        Relation relation = table_open(route_.relation, NoLock);
        *shape = shape_of(relation);
        return relation;
    }
    // A partition may be attached or detached between choosing and locking it; then the choice is made again.
    for (;;) {
        CHECK_FOR_INTERRUPTS();
        Relation parent = table_open(oid(), mode);
        if (definition_.routing_column < 0) {
            *shape = shape_of(parent);
            return parent;
        }
        std::uint64_t changes = changes_;
        Destination destination = route(parent, routing_value);
        parent_watches_insert_ = insert_is_watched(parent->trigdesc);
        parent_watches_update_ = update_is_watched(parent->trigdesc);
        table_close(parent, NoLock);
        if (!OidIsValid(destination.partition)) {
            raise(Error::layout_changed,
                  {.message = format("oms.%s has no partition for the row", definition_.name),
                   .detail = format("The partition key is " INT64_FORMAT ", and there is no default partition.",
                                    routing_value),
                   .hint = "Restore the default partition."});
        }
        Relation relation = table_open(destination.partition, mode);
        if (relation->rd_rel->relkind != RELKIND_RELATION) {
            raise_layout(definition_, relation, "It is partitioned itself, or is not a plain table.");
        }
        *shape = shape_of(relation);
        if (changes == changes_) {
            if (mode == RowExclusiveLock) {
                route_ = {destination.partition,
                          destination.low,
                          destination.high,
                          changes,
                          version::local_transaction(),
                          GetCurrentSubTransactionId()};
            }
            return relation;
        }
        table_close(relation, NoLock);
    }
}

}  // namespace oms::pg
