// oms.replay_tasks and oms.cancel_task: operators bring dead tasks back, and withdraw tasks.
#include "api/filter.hpp"
#include "api/request.hpp"
#include "api/task_outcome.hpp"
#include "api/task_request.hpp"
#include "audit/audit.hpp"
#include "pg/arrays.hpp"
#include "pg/json_object.hpp"
#include "pg/memory.hpp"
#include "pg/raise.hpp"
#include "pg/settings.hpp"

#include "pg/poison.hpp"

namespace oms::api {
namespace {

enum Argument : int { ids, filter, limit, dry_run, reason };
enum CancelArgument : int { task_id, cancel_reason };

constexpr std::int32_t limit_max = 10'000;

constexpr std::array known{
    FilterMember{"queue", FilterKind::text_or_list, " AND queue = ANY (%d)"},
    FilterMember{"kind", FilterKind::text_or_list, " AND kind = ANY (%d)"},
    FilterMember{"updated_from", FilterKind::time, " AND updated_at >= %d"},
    FilterMember{"updated_to", FilterKind::time, " AND updated_at < %d"},
};

// What a payment's task asked for is settled: it was refused, or done, or done another way. The provider would do it now, with a key that he never
// carried out, and nobody would count it.
constexpr const char* not_settled =
    " AND NOT (kind IN ('payment.authorize', 'payment.capture', 'payment.void', 'payment.refund') AND EXISTS (SELECT "
    "FROM oms.payment_operation o WHERE o.status IN ('succeeded', 'failed') AND o.operation_id = CASE WHEN "
    "provider_key ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN provider_key::uuid END))";

void record(std::string_view operation, core::TaskId task, std::string_view why, std::string_view before,
            std::string_view after) {
    auto picture = [](std::string_view status) {
        pg::JsonObject json;
        json.text("status", status);
        return json.finish();
    };
    audit::record({.actor = pg::settings::actor(),
                   .operation = operation,
                   .object = pg::format("task " INT64_FORMAT, task.value),
                   .reason = why,
                   .before = picture(before),
                   .after = picture(after)});
}

}  // namespace

OMS_FUNCTION(oms_replay_tasks) {
    pg::Call call{fcinfo};
    if (call.is_null(ids) && call.is_null(filter)) {
        pg::raise(pg::Error::invalid_argument,
                  {.message = "neither ids nor filter is given",
                   .detail = "Nothing is replayed by accident.",
                   .hint = "Pass ids => '{1,2}' or filter => '{\"queue\": \"mail\"}'; '{}' means all dead tasks."});
    }
    bool only_shown = call.boolean(dry_run).value_or(true);
    std::string_view why =
        only_shown ? std::string_view{} : required_bounded_text(call, reason, "reason", reason_bytes_max);
    Query query{"SELECT task_id, queue, kind, attempt, last_error, updated_at FROM oms.task WHERE status = 'dead'"};
    if (!call.is_null(ids)) query.append(" AND task_id = ANY (%d)", INT8ARRAYOID, call.datum(ids));
    append_conditions(query, call.jsonb(filter), known);
    query.append(not_settled);
    query.append(" ORDER BY task_id LIMIT %d", INT4OID,
                 Int32GetDatum(checked_count(call, limit, "limit", 100, limit_max)));
    pg::Result rows = query.run();
    pg::RowSet answer{call};
    answer.add(rows);
    for (std::size_t i = 0; i < rows.count && !only_shown; ++i) {
        CHECK_FOR_INTERRUPTS();
        core::TaskId task{DatumGetInt64(rows.value(i, 0))};
        if (tasks::replay(task)) record("replay_tasks", task, why, "dead", "ready");
    }
    return Datum{0};
}

OMS_FUNCTION(oms_cancel_task) {
    pg::Call call{fcinfo};
    core::TaskId task = required_task(call, task_id);
    std::string_view why = required_bounded_text(call, cancel_reason, "reason", reason_bytes_max);
    lock_behind(task);
    tasks::Canceled found = tasks::cancel(task);
    if (found == tasks::Canceled::already_closed) return BoolGetDatum(false);
    record("cancel_task", task, why, found == tasks::Canceled::untouched ? "untouched" : "was leased", "dead");
    tasks::Purpose purpose = tasks::purpose_of(task);
    task_closed({.task = task,
                 .step_id = purpose.step_id,
                 .succeeded = false,
                 .dead = true,
                 .refused = found == tasks::Canceled::untouched,
                 .unknown = found == tasks::Canceled::was_leased,
                 .replayed = false,
                 .result = nullptr,
                 .error = "canceled",
                 .kind = purpose.kind,
                 .provider_key = purpose.provider_key});
    return BoolGetDatum(true);
}

}  // namespace oms::api
