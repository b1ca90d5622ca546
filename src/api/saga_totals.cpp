// Totals over two queries that are put before it: `saga`, and `step` with the definition of each step's saga.
#include "api/saga_totals.hpp"

#include "pg/arrays.hpp"
#include "pg/raise.hpp"

#include "pg/poison.hpp"

namespace oms::api {

namespace {

// A saga counts by how it ended at first; its time is that until then.
constexpr const char* totals =
    ", by_definition AS (SELECT definition, count(*) AS started, count(completed_at) AS completed,"
    " count(*) FILTER (WHERE failure IS NOT NULL AND NOT canceled AND completed_at IS NULL) AS failed,"
    " count(*) FILTER (WHERE canceled) AS canceled, count(*) FILTER (WHERE status = 'compensated') AS compensated,"
    " sum(extract(epoch FROM coalesce(completed_at, finished_at) - created_at)) AS seconds,"
    " count(coalesce(completed_at, finished_at)) AS ended FROM saga GROUP BY 1),"
    " by_step AS (SELECT definition, name, sum(extract(epoch FROM finished_at - started_at)) AS seconds, count(*) AS "
    "ended FROM step WHERE finished_at IS NOT NULL GROUP BY 1, 2),"
    " totals (name, labels, value) AS (SELECT v.name, jsonb_build_object('definition', definition), coalesce(v.value, "
    "0)::float8 FROM by_definition, LATERAL (VALUES ('oms_saga_started_total', started), ('oms_saga_completed_total', "
    "completed), ('oms_saga_failed_total', failed), ('oms_saga_canceled_total', canceled), "
    "('oms_saga_compensated_total', compensated), ('oms_saga_duration_seconds_sum', seconds), "
    "('oms_saga_duration_seconds_count', ended)) v(name, value) UNION ALL SELECT v.name, "
    "jsonb_build_object('definition', definition, 'step', by_step.name), v.value::float8 FROM by_step, LATERAL (VALUES "
    "('oms_saga_step_duration_seconds_sum', seconds), ('oms_saga_step_duration_seconds_count', ended)) v(name, value))";

constexpr const char* of_all =
    "WITH saga AS (SELECT * FROM oms.saga), step AS (SELECT s.definition, t.name, t.started_at, t.finished_at FROM "
    "oms.saga_step t JOIN oms.saga s USING (saga_id))";

constexpr const char* with_purged =
    " SELECT name, labels, sum(value) FROM (TABLE totals UNION ALL SELECT name, labels, value FROM oms.saga_counted) t "
    "GROUP BY 1, 2 UNION ALL SELECT v.name, jsonb_build_object('definition', definition), v.value::float8 FROM (SELECT "
    "definition, count(*) FILTER (WHERE status = 'parked') AS parked, count(*) FILTER (WHERE status NOT IN "
    "('completed', 'compensated')) AS active FROM saga GROUP BY 1) s, LATERAL (VALUES ('oms_saga_parked', parked), "
    "('oms_active_sagas', active)) v(name, value)";

constexpr const char* of_some =
    "WITH saga AS (SELECT * FROM oms.saga WHERE saga_id = ANY ($1)), step AS (SELECT s.definition, t.name, "
    "t.started_at, t.finished_at FROM saga s JOIN oms.saga_step t ON t.step_id BETWEEN s.saga_id << 14 AND (s.saga_id "
    "<< 14) + 16383)";

constexpr const char* keep =
    " INSERT INTO oms.saga_counted AS c (name, labels, value) SELECT name, labels, value FROM totals "
    "ON CONFLICT (name, labels) DO UPDATE SET value = c.value + excluded.value";

}  // namespace

pg::Result saga_metrics() {
    return pg::run_once(pg::Access::reads, pg::format("%s%s%s", of_all, totals, with_purged), {}, {}, {});
}

void keep_saga_totals(std::span<const std::int64_t> sagas) {
    const Oid type = INT8ARRAYOID;
    const Datum ids = pg::bigint_array_datum(sagas);
    const bool null = false;
    pg::run_once(pg::Access::writes, pg::format("%s%s%s", of_some, totals, keep), {&type, 1}, {&ids, 1}, {&null, 1});
}

}  // namespace oms::api
