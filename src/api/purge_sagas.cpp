// oms.purge_sagas: sagas that ended long enough ago go, with their steps, signals and timers, a batch at a time. What they count for stays.
//
// One that is not final, or whose order may still come back to it, is not touched. Dead tasks of theirs go with oms.purge_tasks.
#include "api/filter.hpp"
#include "api/purge.hpp"
#include "api/saga_totals.hpp"
#include "pg/arrays.hpp"
#include "pg/memory.hpp"
#include "pg/plan.hpp"
#include "pg/raise.hpp"
#include "pg/settings.hpp"

#include "pg/poison.hpp"

namespace oms::api {
namespace {

enum Argument : int { older_than, limit };

constexpr std::int32_t limit_max = 10'000;
constexpr std::int64_t day_us = std::int64_t{86'400} * USECS_PER_SEC;
constexpr std::int64_t age_max_us = 36'500 * day_us;

constinit pg::Plan last_of_window{
    "SELECT max(saga_id) FROM (SELECT saga_id FROM oms.saga WHERE saga_id >= $1 ORDER BY saga_id LIMIT $2) s",
    {INT8OID, INT4OID}};

// An order that is not over may be canceled yet, and then its saga says what has to be undone. SKIP LOCKED: somebody is undoing it.
constinit pg::Plan lock_purgeable{
    "SELECT s.saga_id FROM oms.saga s JOIN oms.saga_definition d ON d.name = s.definition AND d.version = s.version "
    "WHERE s.saga_id BETWEEN $1 AND $2 AND s.status IN ('completed', 'compensated') AND s.finished_at <= $3 AND NOT "
    "(d.definition ->> 'subject' IS NOT DISTINCT FROM 'order' AND EXISTS (SELECT FROM oms.orders o JOIN "
    "oms.order_status t ON t.status = o.status WHERE o.order_id = CASE WHEN s.key ~ "
    "'^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$' THEN s.key::uuid END AND (NOT t.is_final AND o.status <> "
    "'completed' OR o.pending_action IS NOT NULL OR EXISTS (SELECT FROM oms.payment p JOIN oms.payment_operation q ON "
    "q.payment_id = p.payment_id AND q.created_at = p.created_at WHERE p.order_id = o.order_id AND q.status IN "
    "('pending', 'indeterminate'))))) ORDER BY s.saga_id LIMIT $4 FOR UPDATE OF s SKIP LOCKED",
    {INT8OID, INT8OID, TIMESTAMPTZOID, INT4OID}};

constinit pg::Plan delete_timers{
    "DELETE FROM oms.timer WHERE kind = 6 AND subject_id = ANY ($1)", {INT8ARRAYOID}, pg::Planned::by_index};
constinit pg::Plan delete_signals{
    "DELETE FROM oms.saga_signal WHERE saga_id = ANY ($1)", {INT8ARRAYOID}, pg::Planned::by_index};
constinit pg::Plan delete_steps{
    "DELETE FROM oms.saga_step t USING unnest($1) s(id) WHERE t.step_id BETWEEN s.id << 14 AND (s.id << 14) + 16383",
    {INT8ARRAYOID},
    pg::Planned::by_index};
constinit pg::Plan delete_sagas{"DELETE FROM oms.saga WHERE saga_id = ANY ($1)", {INT8ARRAYOID}, pg::Planned::by_index};

std::int64_t ended_until(const pg::Call& call) {
    std::optional<std::int64_t> age = call.interval_us(older_than);
    if (age && *age >= 0 && *age <= age_max_us) return pg::now_us() - *age;
    pg::raise(pg::Error::invalid_argument,
              {.message = "older_than must be 0 to 100 years",
               .detail = age ? pg::format("It is " INT64_FORMAT " microseconds.", *age) : "It is NULL.",
               .hint = "Pass how long a saga is kept after its end, as '30 days'."});
}

Purged purge_window(std::int64_t from, std::int32_t sagas_max, std::int64_t until) {
    pg::Result last = last_of_window.run(pg::Access::writes, {{Int64GetDatum(from)}, {Int32GetDatum(window_rows)}});
    if (last.is_null(0, 0)) return {.deleted = 0, .last_id = 0};
    std::int64_t last_id = DatumGetInt64(last.value(0, 0));
    pg::Result rows = lock_purgeable.run(
        pg::Access::writes,
        {{Int64GetDatum(from)}, {Int64GetDatum(last_id)}, {TimestampTzGetDatum(until)}, {Int32GetDatum(sagas_max)}});
    if (rows.empty()) return {.deleted = 0, .last_id = last_id};
    std::span<std::int64_t> sagas = pg::allocate<std::int64_t>(rows.count);
    for (std::size_t i = 0; i < sagas.size(); ++i) sagas[i] = DatumGetInt64(rows.value(i, 0));
    keep_saga_totals(sagas);
    Datum ids = pg::bigint_array_datum(sagas);
    for (pg::Plan* plan : {&delete_timers, &delete_signals, &delete_steps, &delete_sagas}) {
        plan->run(pg::Access::writes, {{ids}});
    }
    auto deleted = static_cast<std::int32_t>(sagas.size());
    return {.deleted = deleted, .last_id = deleted == sagas_max ? sagas.back() : last_id};
}

}  // namespace

OMS_FUNCTION(oms_purge_sagas) {
    pg::Call call{fcinfo};
    std::int64_t until = ended_until(call);
    std::int32_t size = checked_count(call, limit, "limit", 1000, limit_max);
    return Int32GetDatum(purge("sagas", [&](std::int64_t from) { return purge_window(from, size, until); }));
}

}  // namespace oms::api
