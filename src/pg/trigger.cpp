// Reading trigger data.
#include "pg/trigger.hpp"

#include <optional>

#include "pg/catalog.hpp"
#include "pg/entry.hpp"

namespace oms::pg {

Trigger::Trigger(FunctionCallInfo info) : data_(reinterpret_cast<TriggerData*>(info->context)) {
    if (!CALLED_AS_TRIGGER(info)) {
        ereport(ERROR, errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                errmsg("function can only be called as a trigger"));
    }
}

const char* Trigger::relation_name() const { return RelationGetRelationName(data_->tg_relation); }

bool Trigger::is_for_row() const { return TRIGGER_FIRED_FOR_ROW(data_->tg_event); }

bool Trigger::has_new() const {
    return TRIGGER_FIRED_FOR_ROW(data_->tg_event) &&
           (TRIGGER_FIRED_BY_INSERT(data_->tg_event) || TRIGGER_FIRED_BY_UPDATE(data_->tg_event));
}

bool Trigger::is_insert() const { return TRIGGER_FIRED_BY_INSERT(data_->tg_event); }

namespace {

// The value of a column; nothing when it is NULL, which a BEFORE trigger sees even where the column is NOT NULL.
std::optional<Datum> column_of(const TriggerData* data, HeapTuple row, const char* column) {
    bool null;
    TupleDesc descriptor = RelationGetDescr(data->tg_relation);
    int number = SPI_fnumber(descriptor, column);
    Datum value = heap_getattr(row, number, descriptor, &null);
    if (null) return std::nullopt;
    return value;
}

bool flag(std::optional<Datum> value) { return value && DatumGetBool(*value); }

}  // namespace

bool Trigger::old_flag(const char* column) const {
    if (TRIGGER_FIRED_BY_INSERT(data_->tg_event)) return false;
    return flag(column_of(data_, data_->tg_trigtuple, column));
}

bool Trigger::new_flag(const char* column) const {
    if (!has_new()) return false;
    HeapTuple row = TRIGGER_FIRED_BY_UPDATE(data_->tg_event) ? data_->tg_newtuple : data_->tg_trigtuple;
    return flag(column_of(data_, row, column));
}

std::string_view Trigger::new_text(const char* column) const {
    HeapTuple row = TRIGGER_FIRED_BY_UPDATE(data_->tg_event) ? data_->tg_newtuple : data_->tg_trigtuple;
    std::optional<Datum> text = column_of(data_, row, column);
    return text ? text_view(*text) : std::string_view{};
}

bool Trigger::touches_builtin() const {
    return !during_extension_script() && (old_flag("builtin") || new_flag("builtin"));
}

bool Trigger::during_extension_script() const { return creating_extension; }

void Trigger::announce_change() const { announce_relation_change(RelationGetRelid(data_->tg_relation)); }

Datum Trigger::proceed() const {
    if (TRIGGER_FIRED_BY_UPDATE(data_->tg_event)) return PointerGetDatum(data_->tg_newtuple);
    return PointerGetDatum(data_->tg_trigtuple);
}

}  // namespace oms::pg
