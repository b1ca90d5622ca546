// oms.replay_tasks and oms.cancel_task: operators bring dead tasks back, and withdraw tasks.
//
// A dead task of a saga's step or of a payment is not brought back: the saga went on without it, and the work would be done with nobody to undo it,
// or to book it.
#include "api/filter.hpp"
#include "api/request.hpp"
#include "api/task_outcome.hpp"
#include "api/task_request.hpp"
#include "audit/audit.hpp"
#include "core/saga.hpp"
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

// Dead tasks, with the payment that a task carries out an operation of; anybody can make a task that looks like one.
constexpr const char* from_dead_tasks =
    " FROM oms.task k LEFT JOIN LATERAL (SELECT o.payment_id FROM oms.payment_operation o WHERE k.kind LIKE "
    "'payment.%' AND o.task_id = k.task_id AND o.operation_id = CASE WHEN k.provider_key ~ "
    "'^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN k.provider_key::uuid END) p ON true WHERE k.status = 'dead'";

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

// Raises illegal_transition for a task whose answer only its saga or its payment could use.
void refuse_owned(Datum task_ids) {
    Query query{
        "SELECT task_id, step_id, payment_id::text, (SELECT s.status FROM oms.saga s WHERE s.saga_id = step_id >> 14)"};
    query.append(from_dead_tasks);
    query.append(" AND (step_id IS NOT NULL OR payment_id IS NOT NULL) AND task_id = ANY (%d)", INT8ARRAYOID, task_ids);
    query.append(" ORDER BY task_id LIMIT 1");
    pg::Result rows = query.run();
    if (rows.empty()) return;
    std::int64_t task = DatumGetInt64(rows.value(0, 0));
    if (rows.is_null(0, 1)) {
        pg::raise(
            pg::Error::illegal_transition,
            {.message = pg::format("task " INT64_FORMAT " belongs to a payment and is not replayed", task),
             .detail = "The payment has booked how the task ended; another answer would not be heard.",
             .hint = pg::format("Look at oms.get_payment('%s'): oms.reconcile_payment asks for what nobody knows; "
                                "what was refused is begun anew by its own command.",
                                pg::c_string(pg::text_view(rows.value(0, 2))))});
    }
    std::int64_t saga = core::saga::saga_of(DatumGetInt64(rows.value(0, 1)));
    bool parked =
        !rows.is_null(0, 3) && pg::text_view(rows.value(0, 3)) == core::saga::name_of(core::saga::SagaStatus::parked);
    pg::raise(pg::Error::illegal_transition,
              {.message =
                   pg::format("task " INT64_FORMAT " belongs to saga " INT64_FORMAT " and is not replayed", task, saga),
               .detail = "The saga went on without it, perhaps back; nobody would undo what the task does.",
               .hint = parked ? pg::format("The saga is parked: SELECT * FROM oms.resume_saga(" INT64_FORMAT
                                           ", reason, key) tries again what could not be undone.",
                                           saga)
                              : pg::format("See oms.saga_status(" INT64_FORMAT
                                           "); to have the work done, start another saga.",
                                           saga)});
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
    if (!call.is_null(ids)) refuse_owned(call.datum(ids));
    Query query{"SELECT task_id, queue, kind, attempt, last_error, updated_at"};
    query.append(from_dead_tasks);
    query.append(" AND step_id IS NULL AND payment_id IS NULL");
    if (!call.is_null(ids)) query.append(" AND task_id = ANY (%d)", INT8ARRAYOID, call.datum(ids));
    append_conditions(query, call.jsonb(filter), known);
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
    lock_behind(tasks::purpose_of(task));
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
