// A task of a published queue goes out: it is leased, and an event says so to those who read the queue's topic.
#include "api/task_outcome.hpp"
#include "core/saga.hpp"
#include "log/log.hpp"
#include "pg/json_object.hpp"
#include "pg/memory.hpp"
#include "pg/raise.hpp"

#include "pg/poison.hpp"

namespace oms::api {
namespace {

constexpr std::string_view aggregate_type = "task";
constexpr std::string_view type = "task.handed_out";

// Everything that a worker gets from oms.claim_tasks.
Jsonb* command(const tasks::Leased& task) {
    pg::JsonObject json;
    auto time_or_null = [&](std::string_view name, std::int64_t time) {
        time == 0 ? json.null(name) : json.time(name, time);
    };
    json.number("task_id", task.id.value);
    json.number("lease_epoch", task.lease_epoch);
    json.text("queue", task.queue);
    json.text("kind", task.kind);
    json.json("payload", task.payload);
    json.number("attempt", task.attempt);
    json.time("lease_until", task.lease_until);
    time_or_null("deadline_at", task.deadline_at);
    json.text_or_null("provider_key", task.provider_key);
    task.step_id == 0 ? json.null("step_id") : json.number("step_id", task.step_id);
    return json.finish();
}

}  // namespace

void publish_task(core::TaskId id) {
    std::optional<tasks::Leased> task = tasks::take_to_publish(id);
    if (!task) return;
    auto text_of = [](std::int64_t number) { return pg::copied(pg::format(INT64_FORMAT, number)); };
    std::string_view stream = text_of(id.value);
    // What one saga asks for stays in order.
    std::string_view key = task->step_id == 0 ? stream : text_of(core::saga::saga_of(task->step_id));
    const log::StreamEvent event{.type = type,
                                 .payload = command(*task),
                                 .headers = nullptr,
                                 .delivery = log::Delivery::to_topic,
                                 .topic = pg::copied(pg::format("oms.commands.%s", pg::c_string(task->queue))),
                                 .key = key};
    (void)log::append_to_stream(aggregate_type, stream, log::any_version, {&event, 1});
}

}  // namespace oms::api
