// oms.saga_status, oms.saga_history, oms.list_sagas, oms.saga_metrics: looking at sagas.
#include "api/filter.hpp"
#include "api/request.hpp"
#include "api/saga_totals.hpp"
#include "pg/memory.hpp"
#include "pg/raise.hpp"
#include "pg/settings.hpp"
#include "saga/saga.hpp"

#include "pg/poison.hpp"

namespace oms::api {
namespace {

constinit pg::Plan select_status{
    "SELECT to_jsonb(s) - '{last_seq, first_event_id, last_event_id, position, completions}'::text[] || "
    "jsonb_build_object("
    "'steps', (SELECT coalesce(jsonb_agg(to_jsonb(t) - '{saga_id}'::text[] ORDER BY t.step_id), '[]') FROM "
    "oms.saga_step t"
    " WHERE t.step_id BETWEEN s.saga_id << 14 AND (s.saga_id << 14) + 16383),"
    "'signals', (SELECT coalesce(jsonb_agg(to_jsonb(g) - '{saga_id}'::text[] ORDER BY g.signal_id), '[]')"
    " FROM oms.saga_signal g WHERE g.saga_id = s.saga_id)) FROM oms.saga s WHERE s.saga_id = $1",
    {INT8OID},
    pg::Planned::by_index};

constinit pg::Plan select_history{
    "SELECT e.seq, e.type, e.payload ->> 'step', (e.payload ->> 'attempt')::int,"
    " coalesce(e.payload ->> 'error', e.payload ->> 'reason'), e.occurred_at, e.payload, e.id"
    " FROM oms.saga s JOIN oms.event e ON e.id BETWEEN s.first_event_id AND s.last_event_id"
    " AND e.aggregate_id = s.saga_id::text AND e.aggregate_type = 'saga' WHERE s.saga_id = $1 ORDER BY e.seq",
    {INT8OID},
    pg::Planned::by_index};

pg::Result query_saga(pg::Plan& plan, const pg::Call& call) {
    std::int64_t id = call.bigint(0).value_or(0);
    pg::Result rows = plan.run(pg::Access::reads, {{Int64GetDatum(id)}});
    if (rows.empty()) saga::raise_saga_not_found({id});
    return rows;
}

constexpr std::array known{
    FilterMember{"definition", FilterKind::text, " AND definition = %d"},
    FilterMember{"key", FilterKind::text, " AND key = %d"},
    FilterMember{"status", FilterKind::text_or_list, " AND status = ANY (%d)"},
    FilterMember{"canceled", FilterKind::boolean, " AND canceled = %d"},
    FilterMember{"created_from", FilterKind::time, " AND created_at >= %d"},
    FilterMember{"created_to", FilterKind::time, " AND created_at < %d"},
};

}  // namespace

OMS_FUNCTION(oms_saga_status) {
    pg::Call call{fcinfo};
    return query_saga(select_status, call).value(0, 0);
}

OMS_FUNCTION(oms_saga_history) {
    pg::Call call{fcinfo};
    pg::Result rows = query_saga(select_history, call);
    pg::RowSet answer{call};
    answer.add(rows);
    return Datum{0};
}

OMS_FUNCTION(oms_list_sagas) {
    enum : int { filter, cursor, limit };
    pg::Call call{fcinfo};
    Query query{
        "SELECT saga_id, definition, version, key, status, waits_for, failure, canceled, deadline_at, wake_at, "
        "created_at, "
        "updated_at, "
        "finished_at, completed_at, saga_id::text AS next_cursor FROM oms.saga WHERE true"};
    append_conditions(query, call.jsonb(filter), known);
    if (std::optional<std::string_view> position = call.text(cursor)) {
        query.append(" AND saga_id < %d", INT8OID, Int64GetDatum(number_of_cursor(*position)));
    }
    query.append(" ORDER BY saga_id DESC");
    return answer_page(call, query, limit);
}

OMS_FUNCTION(oms_saga_metrics) {
    pg::Call call{fcinfo};
    pg::RowSet answer{call};
    answer.add(saga_metrics());
    return Datum{0};
}

OMS_FUNCTION(oms_clock_time) {
    (void)fcinfo;
    return TimestampTzGetDatum(pg::now_us());
}

}  // namespace oms::api
