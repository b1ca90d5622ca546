// oms.create_task: work for a queue, outside any saga.
#include "api/request.hpp"
#include "api/task_request.hpp"
#include "pg/json.hpp"
#include "pg/raise.hpp"
#include "tasks/tasks.hpp"

#include "pg/poison.hpp"

namespace oms::api {
namespace {

enum Argument : int { queue, kind, payload, idempotency_key, run_at, priority, retry, deadline_at, provider_key };

constexpr std::size_t provider_key_bytes_max = 255;

int checked_priority(std::optional<std::int32_t> priority) {
    int wanted = priority.value_or(0);
    if (wanted >= -tasks::priority_limit && wanted <= tasks::priority_limit) return wanted;
    pg::raise(pg::Error::invalid_argument,
              {.message = pg::format("priority %d is out of range", wanted),
               .detail = pg::format("It must lie between %d and %d.", -tasks::priority_limit, tasks::priority_limit),
               .hint = "The lower the number, the sooner the task; 0 is usual."});
}

// Far past or far future, not a moment that anybody means.
std::int64_t checked_time(const pg::Call& call, int position, const char* name) {
    std::optional<std::int64_t> time = call.time(position);
    if (!time) return 0;
    if (!TIMESTAMP_NOT_FINITE(*time)) return *time;
    pg::raise(pg::Error::invalid_argument, {.message = pg::format("%s is infinite", name),
                                            .detail = "A task has to be tried, or given up, at some time.",
                                            .hint = "Leave it out, or pass a moment."});
}

std::string_view encode(core::TaskId id) { return {pg::format(INT64_FORMAT, id.value)}; }

}  // namespace

OMS_FUNCTION(oms_create_task) {
    pg::Call call{fcinfo};
    tasks::NewTask task{
        .queue = task_name(call, queue, "queue"),
        .kind = task_name(call, kind, "kind"),
        .payload = call.required_jsonb(payload, "payload"),
        .run_at = checked_time(call, run_at, "run_at"),
        .priority = checked_priority(call.integer(priority)),
        .deadline_at = checked_time(call, deadline_at, "deadline_at"),
        .provider_key = bounded_text(call, provider_key, "provider_key", provider_key_bytes_max),
    };
    if (Jsonb* given = call.jsonb(retry)) task.policy = parse_policy(given, tasks::default_policy(task.queue));
    RequestFingerprint request{"create_task"};
    request.add(task.queue).add(task.kind).add(task.payload).add(call.time(run_at)).add(call.integer(priority));
    request.add(call.jsonb(retry)).add(call.time(deadline_at)).add(call.text(provider_key));
    idempotency::Ticket ticket = idempotency::begin(call.text(idempotency_key), "create_task", request.finish());
    if (ticket.replayed) return Int64GetDatum(strtoll(pg::c_string(ticket.answer), nullptr, 10));
    core::TaskId id = tasks::create(task);
    idempotency::finish(ticket, encode(id));
    pg::end_of_command();
    return Int64GetDatum(id.value);
}

}  // namespace oms::api
