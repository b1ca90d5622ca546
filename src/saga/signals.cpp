// The rows of signals. Whoever reads or writes them holds the saga's lock, so a signal and a wait for it cannot miss each other.
#include "saga/signals.hpp"

#include "pg/plan.hpp"
#include "pg/settings.hpp"
#include "pg/transaction.hpp"

#include "pg/poison.hpp"

namespace oms::saga {

namespace {

constinit pg::Plan insert_signal{
    "INSERT INTO oms.saga_signal (saga_id, name, payload, sent_at, taken_by) VALUES ($1, $2, $3, $4, $5)",
    {INT8OID, TEXTOID, JSONBOID, TIMESTAMPTZOID, INT8OID}};
constinit pg::Plan take_earliest{
    "UPDATE oms.saga_signal SET taken_by = $3 WHERE signal_id = (SELECT min(signal_id) FROM oms.saga_signal "
    "WHERE saga_id = $1 AND name = $2 AND taken_by IS NULL) RETURNING payload",
    {INT8OID, TEXTOID, INT8OID},
    pg::Planned::by_index};

}  // namespace

void keep_signal(const Instance& saga, std::string_view name, Jsonb* payload, std::int64_t taken_by) {
    insert_signal.run(pg::Access::writes, {{Int64GetDatum(saga.id.value)},
                                           {pg::text_datum(name)},
                                           {pg::jsonb_datum(payload), payload == nullptr},
                                           {TimestampTzGetDatum(pg::now_us())},
                                           {Int64GetDatum(taken_by), taken_by == 0}});
}

std::optional<Jsonb*> take_signal(Instance& saga, std::int32_t i) {
    pg::Result taken = take_earliest.run(
        pg::Access::writes,
        {{Int64GetDatum(saga.id.value)}, {pg::text_datum(saga.spec(i).signal)}, {Int64GetDatum(saga.step_id(i))}});
    if (taken.empty()) return std::nullopt;
    --saga.signals;
    return taken.is_null(0, 0) ? nullptr : DatumGetJsonbPCopy(taken.value(0, 0));
}

}  // namespace oms::saga
