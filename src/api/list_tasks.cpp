// oms.list_tasks and oms.get_task: tasks for people to look at.
#include "api/filter.hpp"
#include "api/task_request.hpp"
#include "pg/json.hpp"
#include "pg/plan.hpp"
#include "pg/raise.hpp"
#include "tasks/tasks.hpp"

#include "pg/poison.hpp"

namespace oms::api {
namespace {

enum Argument : int { filter, cursor, limit };
constexpr std::array known{
    FilterMember{"queue", FilterKind::text_or_list, " AND queue = ANY (%d)"},
    FilterMember{"kind", FilterKind::text_or_list, " AND kind = ANY (%d)"},
    FilterMember{"status", FilterKind::text_or_list, " AND status = ANY (%d)"},
    FilterMember{"created_from", FilterKind::time, " AND created_at >= %d"},
    FilterMember{"created_to", FilterKind::time, " AND created_at < %d"},
};

constinit pg::Plan one_task{"SELECT to_jsonb(t) - 'position' - 'lease_owner' FROM oms.task t WHERE task_id = $1",
                            {INT8OID},
                            pg::Planned::by_index};

}  // namespace

OMS_FUNCTION(oms_list_tasks) {
    pg::Call call{fcinfo};
    Query query{
        "SELECT task_id, queue, kind, status, priority, run_at, attempt, lease_epoch, lease_until, deadline_at, "
        "step_id, "
        "provider_key, last_error, created_at, updated_at, task_id::text AS next_cursor FROM oms.task WHERE true"};
    append_conditions(query, call.jsonb(filter), known);
    if (std::optional<std::string_view> position = call.text(cursor)) {
        query.append(" AND task_id < %d", INT8OID, Int64GetDatum(number_of_cursor(*position)));
    }
    query.append(" ORDER BY task_id DESC");
    return answer_page(call, query, limit);
}

OMS_FUNCTION(oms_get_task) {
    pg::Call call{fcinfo};
    core::TaskId task = required_task(call, 0);
    pg::Result rows = one_task.run(pg::Access::reads, {{Int64GetDatum(task.value)}});
    if (rows.empty()) tasks::raise_no_task(task);
    return rows.value(0, 0);
}

}  // namespace oms::api
