// oms.purge_tasks: tasks that are done and were kept as long as their queue says go, a batch at a time. Dead ones stay until somebody decides.
//
// It goes over the table from the oldest on, some rows at a time, and begins anew when it comes to the end: what it costs depends on the batch, not
// on how many tasks wait.
#include "api/filter.hpp"
#include "pg/entry.hpp"
#include "pg/plan.hpp"
#include "pg/settings.hpp"

#include "pg/poison.hpp"

namespace oms::api {
namespace {

constexpr std::int32_t batch_max = 100'000;

// Where this session's next batch begins.
constinit std::int64_t next_task = 0;

constinit pg::Plan delete_window{
    "WITH seen AS MATERIALIZED (SELECT t.task_id, t.status, t.updated_at, t.queue FROM oms.task t WHERE t.task_id >= "
    "$1 "
    "ORDER BY t.task_id LIMIT $2), gone AS (DELETE FROM oms.task t USING seen LEFT JOIN oms.queue q ON q.queue = "
    "seen.queue "
    "WHERE t.task_id = seen.task_id AND seen.status = 'done' AND t.status = 'done' "
    "AND seen.updated_at <= $3 - coalesce(q.keep_done, interval '1 day') RETURNING 1) "
    "SELECT (SELECT count(*)::int FROM gone), (SELECT max(task_id) FROM seen)",
    {INT8OID, INT4OID, TIMESTAMPTZOID}};

}  // namespace

OMS_FUNCTION(oms_purge_tasks) {
    pg::Call call{fcinfo};
    std::int32_t batch = checked_count(call, 0, "batch", 1000, batch_max);
    pg::Result result = delete_window.run(
        pg::Access::writes, {{Int64GetDatum(next_task)}, {Int32GetDatum(batch)}, {TimestampTzGetDatum(pg::now_us())}});
    next_task = result.is_null(0, 1) ? 0 : DatumGetInt64(result.value(0, 1)) + 1;
    return Int32GetDatum(DatumGetInt32(result.value(0, 0)));
}

}  // namespace oms::api
