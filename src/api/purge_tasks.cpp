// oms.purge_tasks: tasks that are done and were kept as long as their queue says go, a batch at a time. Dead ones stay until somebody decides; those
// of sagas that are purged themselves are nobody's any more.
#include "api/filter.hpp"
#include "api/purge.hpp"
#include "pg/entry.hpp"
#include "pg/plan.hpp"
#include "pg/settings.hpp"

#include "pg/poison.hpp"

namespace oms::api {
namespace {

constexpr std::int32_t batch_max = 100'000;

constinit pg::Plan delete_from_window{
    "WITH seen AS MATERIALIZED (SELECT t.task_id, t.status, t.updated_at, t.queue, t.step_id FROM oms.task t WHERE "
    "t.task_id >= $1 ORDER BY t.task_id LIMIT $2), chosen AS MATERIALIZED (SELECT seen.task_id, seen.status FROM seen "
    "LEFT JOIN oms.queue q ON q.queue = seen.queue WHERE seen.updated_at <= $3 - coalesce(q.keep_done, interval '1 "
    "day') AND (seen.status = 'done' OR seen.status = 'dead' AND seen.step_id IS NOT NULL AND NOT EXISTS (SELECT FROM "
    "oms.saga s WHERE s.saga_id = seen.step_id >> 14)) ORDER BY 1 LIMIT $4), gone AS (DELETE FROM oms.task t USING "
    "chosen WHERE t.task_id = chosen.task_id AND t.status = chosen.status RETURNING 1) SELECT (SELECT count(*)::int "
    "FROM gone), CASE WHEN (SELECT count(*) FROM chosen) = $4 THEN (SELECT max(task_id) FROM chosen) ELSE (SELECT "
    "max(task_id) FROM seen) END",
    {INT8OID, INT4OID, TIMESTAMPTZOID, INT4OID}};

}  // namespace

OMS_FUNCTION(oms_purge_tasks) {
    pg::Call call{fcinfo};
    std::int32_t batch = checked_count(call, 0, "batch", 1000, batch_max);
    return Int32GetDatum(purge("tasks", [&](std::int64_t from) {
        pg::Result result = delete_from_window.run(pg::Access::writes, {{Int64GetDatum(from)},
                                                                        {Int32GetDatum(window_rows)},
                                                                        {TimestampTzGetDatum(pg::now_us())},
                                                                        {Int32GetDatum(batch)}});
        return Purged{.deleted = DatumGetInt32(result.value(0, 0)),
                      .last_id = result.is_null(0, 1) ? 0 : DatumGetInt64(result.value(0, 1))};
    }));
}

}  // namespace oms::api
