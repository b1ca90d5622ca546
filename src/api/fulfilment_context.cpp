// The argument of the steps of the built-in saga, and what their answers have in common.
#include "api/fulfilment_context.hpp"

#include "pg/json_object.hpp"
#include "pg/memory.hpp"
#include "pg/raise.hpp"

#include "pg/poison.hpp"

namespace oms::api {

JsonbContainer* object_member(JsonbContainer* object, std::string_view name) {
    pg::JsonMember member = pg::member_of(object, name);
    return member.kind == pg::JsonKind::object ? member.container() : nullptr;
}

Context context_of(const pg::Call& call) {
    Context context{};
    context.json = call.required_jsonb(0, "context");
    JsonbContainer* root = &context.json->root;
    core::OrderId id;
    if (!core::parse_uuid(pg::text_member(root, "key"), id)) {
        pg::raise(pg::Error::invalid_argument, {.message = "the saga has no order",
                                                .detail = "Its key is not an order's id.",
                                                .hint = "Start it with oms.pay_order."});
    }
    context.order = orders::lock(id);
    context.step_id = pg::number_member(root, "step_id");
    context.deadline_ms = pg::number_member(root, "deadline_ms");
    context.failure = pg::text_member(root, "failure");
    context.reason = pg::text_member(root, "reason");
    context.data = object_member(root, "data");
    if (context.data != nullptr) context.policy = object_member(context.data, "policy");
    return context;
}

Datum say(std::string_view member, std::string_view text) {
    pg::JsonObject json;
    json.text(member, text);
    return pg::jsonb_datum(json.finish());
}

core::Decision decide(const Context& context, std::string_view action) {
    core::OrderFacts facts = context.order.facts();
    facts.pending_action = {};
    return core::decide(facts, action, orders::owner_transitions());
}

const char* refused(const Context& context, std::string_view action) {
    return pg::format("the order cannot %s while it is %s", pg::c_string(action), pg::c_string(context.order.status));
}

}  // namespace oms::api
