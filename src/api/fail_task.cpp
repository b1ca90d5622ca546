// oms.fail_task: the work could not be done; and oms.heartbeat_task: it takes longer.
#include "api/request.hpp"
#include "api/task_outcome.hpp"
#include "api/task_request.hpp"
#include "pg/raise.hpp"
#include "pg/transaction.hpp"

#include "pg/poison.hpp"

namespace oms::api {
namespace {

enum Argument : int { task_id, lease_epoch, error, retryable, nothing_done };
enum HeartbeatArgument : int { lease = 2 };

}  // namespace

OMS_FUNCTION(oms_fail_task) {
    pg::Call call{fcinfo};
    core::TaskId task = required_task(call, task_id);
    std::int64_t epoch = required_epoch(call, lease_epoch);
    std::string_view why = required_bounded_text(call, error, "error", error_bytes_max);
    lock_behind(tasks::purpose_of(task));
    std::optional<tasks::Closed> closed = tasks::fail(task, epoch,
                                                      {.error = why,
                                                       .retryable = call.boolean(retryable).value_or(true),
                                                       .nothing_done = call.boolean(nothing_done).value_or(false)});
    if (closed && !closed->replayed) task_closed(*closed);
    pg::end_of_command();
    return pg::text_datum(closed ? "dead" : "ready");
}

OMS_FUNCTION(oms_heartbeat_task) {
    pg::Call call{fcinfo};
    core::TaskId task = required_task(call, task_id);
    std::int64_t until = tasks::heartbeat(task, required_epoch(call, lease_epoch), lease_us(call, lease));
    pg::end_of_command();
    return TimestampTzGetDatum(until);
}

}  // namespace oms::api
