// The saga commands: key -> the room does it -> answer.
#include <algorithm>

#include "api/fulfilment.hpp"
#include "api/request.hpp"
#include "audit/audit.hpp"
#include "pg/function.hpp"
#include "pg/json_object.hpp"
#include "pg/memory.hpp"
#include "pg/plan.hpp"
#include "pg/raise.hpp"
#include "pg/settings.hpp"
#include "pg/trigger.hpp"
#include "saga/saga.hpp"

#include "pg/poison.hpp"

namespace oms::api {
namespace {

constexpr std::size_t name_bytes_max = 64;
constexpr std::size_t key_bytes_max = 255;

core::SagaId required_saga(const pg::Call& call, int position) {
    if (std::optional<std::int64_t> id = call.bigint(position)) return {*id};
    pg::raise(pg::Error::invalid_argument, {.message = "saga_id is missing",
                                            .detail = "The argument saga_id is NULL.",
                                            .hint = "Pass the id that oms.start_saga answered."});
}

std::string_view new_definition_name(const pg::Call& call, int position) {
    std::string_view name = required_bounded_text(call, position, "name", name_bytes_max);
    auto is_letter = [](char c) { return c >= 'a' && c <= 'z'; };
    bool is_name = is_letter(name.front()) && std::ranges::all_of(name, [&](char c) {
                       return is_letter(c) || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
                   });
    if (is_name) return name;
    pg::raise(pg::Error::invalid_argument,
              {.message = pg::format("%s is not the name of a saga", pg::quoted(name)),
               .detail = "It has small letters, digits, dots, hyphens and underscores, and begins with a letter.",
               .hint = "Choose another name for the saga."});
}

// A saga's data is an object; the results of its steps will stand in it under "steps".
Jsonb* data_of(const pg::Call& call, int position) {
    Jsonb* data = call.required_jsonb(position, "data");
    if (pg::kind_of(data) != pg::JsonKind::object) {
        pg::raise(pg::Error::invalid_argument, {.message = "data must be an object",
                                                .detail = pg::format("It is %s.", pg::kind_name(pg::kind_of(data))),
                                                .hint = "Wrap it into an object."});
    }
    if (pg::member_of(&data->root, "steps").kind != pg::JsonKind::missing) {
        pg::raise(pg::Error::invalid_argument, {.message = "data must not have a member \"steps\"",
                                                .detail = "The results of the saga's steps are kept under that name.",
                                                .hint = "Give the member another name."});
    }
    return data;
}

constinit pg::Plan may_compensate{
    "SELECT has_function_privilege($1, 'oms.compensate_saga(bigint, text, text)', 'EXECUTE')", {OIDOID}};

// Whoever may undo every role's sagas may also cancel them.
bool may_undo_all() {
    pg::Result row = may_compensate.run(pg::Access::reads, {{ObjectIdGetDatum(pg::current_role())}});
    return DatumGetBool(row.value(0, 0));
}

// What asks a running saga for something and says why.
template <class Ask>
Datum ask(const pg::Call& call, std::string_view operation, Ask&& fn) {
    enum : int { saga_id, reason, idempotency_key };
    core::SagaId id = required_saga(call, saga_id);
    std::string_view why = required_bounded_text(call, reason, "reason", reason_bytes_max);
    RequestFingerprint request{operation};
    request.add(std::optional{id.value}).add(why);
    return run_command(call, idempotency_key, operation, request, saga::decode, [&] { return fn(id, why); });
}

}  // namespace

OMS_FUNCTION(oms_define_saga) {
    enum : int { name, definition };
    pg::Call call{fcinfo};
    std::string_view called = new_definition_name(call, name);
    std::int32_t version = saga::define(called, call.required_jsonb(definition, "definition"));
    pg::end_of_command();
    return Int32GetDatum(version);
}

OMS_FUNCTION(oms_start_saga) {
    enum : int { definition, data, idempotency_key, key, version };
    pg::Call call{fcinfo};
    saga::NewSaga wanted{.definition = required_bounded_text(call, definition, "definition", name_bytes_max)};
    wanted.data = data_of(call, data);
    wanted.key = bounded_text(call, key, "key", key_bytes_max);
    wanted.version = call.integer(version).value_or(0);
    saga::require_allowed(wanted.definition, wanted.version);
    RequestFingerprint request{"start_saga"};
    request.add(wanted.definition).add(wanted.data).add(call.text(key)).add(call.integer(version));
    return run_command(call, idempotency_key, "start_saga", request, saga::decode, [&] { return saga::start(wanted); });
}

OMS_FUNCTION(oms_signal_saga) {
    enum : int { saga_id, name, payload, idempotency_key };
    pg::Call call{fcinfo};
    core::SagaId id = required_saga(call, saga_id);
    std::string_view called = required_bounded_text(call, name, "name", name_bytes_max);
    Jsonb* sent = call.jsonb(payload);
    saga::require_allowed(id);
    RequestFingerprint request{"signal_saga"};
    request.add(std::optional{id.value}).add(called).add(sent);
    return run_command(call, idempotency_key, "signal_saga", request, saga::decode,
                       [&] { return saga::signal(id, called, sent); });
}

OMS_FUNCTION(oms_cancel_saga) {
    pg::Call call{fcinfo};
    core::SagaId id = required_saga(call, 0);
    if (!may_undo_all()) saga::require_allowed(id);
    return ask(call, "cancel_saga", saga::cancel);
}

OMS_FUNCTION(oms_compensate_saga) {
    pg::Call call{fcinfo};
    return ask(call, "compensate_saga", [](core::SagaId id, std::string_view why) {
        mark_undoing(id, Undoing::begins);
        return saga::compensate(id, why);
    });
}

OMS_FUNCTION(oms_resume_saga) {
    enum : int { saga_id, reason, idempotency_key, by_hand };
    pg::Call call{fcinfo};
    bool undone_by_hand = call.boolean(by_hand).value_or(false);
    return ask(call, undone_by_hand ? "resume_saga by hand" : "resume_saga",
               [&](core::SagaId id, std::string_view why) {
                   mark_undoing(id, Undoing::goes_on);
                   saga::State after = saga::resume(id, undone_by_hand, why);
                   pg::JsonObject before;
                   before.text("status", "parked");
                   pg::JsonObject found;
                   found.text("status", core::saga::name_of(after.status));
                   found.boolean("by_hand", undone_by_hand);
                   audit::record({.actor = pg::settings::actor(),
                                  .operation = "resume_saga",
                                  .object = pg::format("saga " INT64_FORMAT, id.value),
                                  .reason = why,
                                  .before = before.finish(),
                                  .after = found.finish()});
                   return after;
               });
}

OMS_FUNCTION(oms_saga_graph) {
    enum : int { definition, format, version };
    pg::Call call{fcinfo};
    std::string_view wanted = call.required_text(format, "format");
    if (wanted != "mermaid" && wanted != "dot") {
        pg::raise(pg::Error::invalid_argument,
                  {.message = pg::format("no graph format %s is known", pg::quoted(wanted)),
                   .detail = "A saga is drawn as text.",
                   .hint = "Known: mermaid, dot."});
    }
    return pg::text_datum(
        saga::graph(call.required_text(definition, "definition"), call.integer(version).value_or(0), wanted == "dot"));
}

// A definition that a saga may be pinned to does not change, and goes only when no saga needs it.
OMS_FUNCTION(oms_saga_definition_changed) {
    pg::Trigger trigger{fcinfo};
    if (!trigger.is_insert() && !trigger.during_extension_script()) {
        pg::raise(pg::Error::protected_row, {.message = "a saga's definition is neither changed nor removed",
                                             .detail = "Sagas that were started with it go on with it.",
                                             .hint = "Register another version with oms.define_saga."});
    }
    trigger.announce_change();
    return trigger.proceed();
}

}  // namespace oms::api
