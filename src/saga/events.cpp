// What sagas say in the log: aggregate saga, one sequence for each.
#include "pg/raise.hpp"
#include "saga/instance.hpp"

#include "pg/poison.hpp"

namespace oms::saga {

namespace {

std::string_view id_text(const Instance& saga) { return pg::copied(pg::format(INT64_FORMAT, saga.id.value)); }

void add(Instance& saga, std::string_view type, const pg::JsonObject& payload) {
    saga.events.push(log::NewEvent{.id = {},
                                   .aggregate_type = aggregate_type,
                                   .aggregate_id = id_text(saga),
                                   .seq = 0,
                                   .type = type,
                                   .payload = payload.finish(),
                                   .occurred_at = saga.now});
}

void write_common(pg::JsonObject& json, const Instance& saga) {
    json.number("saga_id", saga.id.value);
    json.text("definition", saga.definition->name);
    json.number("version", saga.definition->version);
    json.text_or_null("key", saga.key);
    json.text("status", core::saga::name_of(saga.status));
    json.time("occurred_at", saga.now);
}

}  // namespace

void say(Instance& saga, std::string_view type, std::string_view reason) {
    pg::JsonObject json;
    write_common(json, saga);
    json.text_or_null("reason", reason);
    add(saga, type, json);
}

void say_step(Instance& saga, std::int32_t i, std::string_view type, std::string_view error) {
    const bool as_it_should = type == "step.started" || type == "step.completed" || type == "step.skipped";
    if (as_it_should && saga.definition->says_turns_only) return;
    pg::JsonObject json;
    write_common(json, saga);
    json.text("step", saga.spec(i).name);
    json.number("step_id", saga.step_id(i));
    json.text("kind", core::saga::name_of(saga.definition->node(i).kind));
    json.number("attempt", saga.row(i).attempts);
    json.text_or_null("error", error);
    add(saga, type, json);
}

}  // namespace oms::saga
