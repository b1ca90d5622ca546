// Arguments in, answers out.
#include "pg/entry.hpp"

#include <cstring>

#include "pg/memory.hpp"
#include "pg/raise.hpp"

namespace oms::pg {

std::optional<std::string_view> Call::text(int i) const {
    if (is_null(i)) return std::nullopt;
    return text_view(datum(i));
}

std::optional<std::int32_t> Call::integer(int i) const {
    if (is_null(i)) return std::nullopt;
    return DatumGetInt32(datum(i));
}

std::optional<std::int64_t> Call::bigint(int i) const {
    if (is_null(i)) return std::nullopt;
    return DatumGetInt64(datum(i));
}

std::optional<bool> Call::boolean(int i) const {
    if (is_null(i)) return std::nullopt;
    return DatumGetBool(datum(i));
}

std::optional<core::OrderId> Call::uuid(int i) const {
    if (is_null(i)) return std::nullopt;
    core::OrderId id{};
    std::memcpy(id.bytes.data(), DatumGetUUIDP(datum(i))->data, id.bytes.size());
    return id;
}

std::optional<std::int64_t> Call::interval_us(int i) const {
    if (is_null(i)) return std::nullopt;
    const Interval* interval = DatumGetIntervalP(datum(i));
    std::int64_t days = std::int64_t{interval->month} * DAYS_PER_MONTH + interval->day;
    std::int64_t us;
    if (__builtin_mul_overflow(days, USECS_PER_DAY, &us) || __builtin_add_overflow(us, interval->time, &us)) {
        return days < 0 ? PG_INT64_MIN : PG_INT64_MAX;
    }
    return us;
}

std::optional<std::int64_t> Call::time(int i) const {
    if (is_null(i)) return std::nullopt;
    return DatumGetTimestampTz(datum(i));
}

Jsonb* Call::jsonb(int i) const { return is_null(i) ? nullptr : DatumGetJsonbP(datum(i)); }

namespace {

[[noreturn]] void raise_missing(const char* name) {
    raise(Error::invalid_argument, {.message = format("%s is missing", name),
                                    .detail = format("The argument %s is NULL.", name),
                                    .hint = format("Pass a value for %s.", name)});
}

}  // namespace

std::string_view Call::required_text(int i, const char* name) const {
    if (is_null(i)) raise_missing(name);
    return text_view(datum(i));
}

core::OrderId Call::required_uuid(int i, const char* name) const {
    if (is_null(i)) raise_missing(name);
    return *uuid(i);
}

Jsonb* Call::required_jsonb(int i, const char* name) const {
    if (is_null(i)) raise_missing(name);
    return DatumGetJsonbP(datum(i));
}

RowSet::RowSet(const Call& call) {
#if PG_VERSION_NUM >= 150000
    InitMaterializedSRF(call.raw(), 0);
#else
    auto* info = reinterpret_cast<ReturnSetInfo*>(call.raw()->resultinfo);
    in_context(info->econtext->ecxt_per_query_memory, [&] {
        TupleDesc descriptor;
        if (get_call_result_type(call.raw(), nullptr, &descriptor) != TYPEFUNC_COMPOSITE) {
            elog(ERROR, "return type must be a row type");
        }
        info->returnMode = SFRM_Materialize;
        info->setResult = tuplestore_begin_heap((info->allowedModes & SFRM_Materialize_Random) != 0, false, work_mem);
        info->setDesc = descriptor;
    });
#endif
    auto* result = reinterpret_cast<ReturnSetInfo*>(call.raw()->resultinfo);
    store_ = result->setResult;
    descriptor_ = result->setDesc;
}

void RowSet::add(const Datum* values, const bool* nulls) {
    tuplestore_putvalues(store_, descriptor_, const_cast<Datum*>(values), const_cast<bool*>(nulls));
}

void RowSet::add(const Result& rows) {
    Assert(rows.count == 0 || rows.descriptor->natts == descriptor_->natts);
    for (HeapTuple row : rows.rows) tuplestore_puttuple(store_, row);
}

namespace {

TupleDesc result_descriptor(FunctionCallInfo info) {
    // The lookup walks the catalog caches; the executor keeps fn_extra as long as the statement, so it is done once per statement.
    FmgrInfo* function = info->flinfo;
    if (function->fn_extra == nullptr) {
        TupleDesc descriptor;
        if (get_call_result_type(info, nullptr, &descriptor) != TYPEFUNC_COMPOSITE) {
            elog(ERROR, "function returning a row called in a context that cannot accept it");
        }
        function->fn_extra =
            in_context(function->fn_mcxt, [&] { return BlessTupleDesc(CreateTupleDescCopy(descriptor)); });
    }
    return static_cast<TupleDesc>(function->fn_extra);
}

}  // namespace

Datum composite_result(const Call& call, const Datum* values, const bool* nulls) {
    HeapTuple tuple =
        heap_form_tuple(result_descriptor(call.raw()), const_cast<Datum*>(values), const_cast<bool*>(nulls));
    return HeapTupleGetDatum(tuple);
}

Datum text_datum(std::string_view text) {
    return PointerGetDatum(cstring_to_text_with_len(text.data(), static_cast<int>(text.size())));
}

Datum text_array_datum(std::span<Datum> texts) {
    return PointerGetDatum(
        construct_array(texts.data(), static_cast<int>(texts.size()), TEXTOID, -1, false, TYPALIGN_INT));
}

Datum uuid_datum(const core::OrderId& id) {
    auto* value = static_cast<pg_uuid_t*>(palloc(sizeof(pg_uuid_t)));
    std::memcpy(value->data, id.bytes.data(), id.bytes.size());
    return UUIDPGetDatum(value);
}

std::string_view text_view(Datum datum) {
    const auto* value = DatumGetTextPP(datum);
    return {VARDATA_ANY(value), static_cast<std::size_t>(VARSIZE_ANY_EXHDR(value))};
}

}  // namespace oms::pg
