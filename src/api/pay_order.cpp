// oms.pay_order: starts the built-in saga and returns; and the policy that it goes by.
#include <algorithm>

#include "api/fulfilment.hpp"
#include "api/request.hpp"
#include "pg/memory.hpp"
#include "pg/plan.hpp"
#include "pg/raise.hpp"

#include "pg/poison.hpp"

namespace oms::api {
namespace {

// A policy is complete once it was read: what the caller leaves out is what the shop has set, and what the shop has not set is this.
#define OMS_POLICY                                                                                                     \
    "'{\"auth_only\": false, \"stock\": true, \"checks\": [], \"verify_above_minor\": null, \"capture_delay_ms\": 0, " \
    "\"shipping\": false}'::jsonb"

constinit pg::Plan select_policy{"SELECT " OMS_POLICY
                                 " || coalesce((SELECT policy FROM oms.fulfilment_policy), '{}') || coalesce($1, '{}')",
                                 {JSONBOID}};
constinit pg::Plan update_policy{
    "INSERT INTO oms.fulfilment_policy (policy) VALUES ($1) "
    "ON CONFLICT (only_row) DO UPDATE SET policy = fulfilment_policy.policy || $1 RETURNING " OMS_POLICY " || policy",
    {JSONBOID}};

#undef OMS_POLICY

struct Member {
    std::string_view name;
    pg::JsonKind kind;
    const char* wanted;
};
constexpr std::array known{
    Member{"auth_only", pg::JsonKind::boolean, "true or false"},
    Member{"stock", pg::JsonKind::boolean, "true or false"},
    Member{"shipping", pg::JsonKind::boolean, "true or false"},
    Member{"capture_delay_ms", pg::JsonKind::number, "a number of milliseconds"},
    Member{"verify_above_minor", pg::JsonKind::number, "an amount in minor units, or null"},
    Member{"checks", pg::JsonKind::array, "an array of \"credit\", \"fraud\", \"shipping_cost\""},
    Member{"provider", pg::JsonKind::text, "a provider's name"},
    Member{"queue", pg::JsonKind::text, "the queue of the payment tasks"},
};

void require_policy(Jsonb* policy) {
    if (pg::kind_of(policy) != pg::JsonKind::object) {
        pg::raise(pg::Error::invalid_argument, {.message = "policy must be an object",
                                                .detail = pg::format("It is %s.", pg::kind_name(pg::kind_of(policy))),
                                                .hint = "For example {\"auth_only\": true}."});
    }
    pg::for_each_member(&policy->root, [](std::string_view name, const pg::JsonMember& member) {
        for (const Member& each : known) {
            if (each.name != name) continue;
            const bool off = member.kind == pg::JsonKind::null && name == "verify_above_minor";
            if (member.kind == each.kind || off) return;
            pg::raise(pg::Error::invalid_argument,
                      {.message = pg::format("policy member %s has the wrong type", pg::quoted(name)),
                       .detail = pg::format("It is %s.", pg::kind_name(member.kind)),
                       .hint = pg::format("Give %s.", each.wanted)});
        }
        pg::raise(
            pg::Error::invalid_argument,
            {.message = pg::format("policy has an unknown member %s", pg::quoted(name)),
             .detail = "A misspelled member must not be silently without effect.",
             .hint =
                 "Known: auth_only, stock, shipping, capture_delay_ms, verify_above_minor, checks, provider, queue."});
    });
}

bool is_in(std::string_view status, std::initializer_list<std::string_view> statuses) {
    return std::ranges::find(statuses, status) != statuses.end();
}

// The order must be one that can be paid now: pending or reserved, not held, and nobody else's.
void require_payable(const orders::Order& order) {
    core::OrderFacts facts = order.facts();
    if (!facts.pending_action.empty())
        raise_refusal(order, core::order_action::pay, core::Refusal::operation_in_progress);
    if (!is_in(order.status, {core::order_status::pending, core::order_status::reserved})) {
        raise_refusal(order, core::order_action::pay, core::Refusal::illegal_transition);
    }
    if (order.on_hold) raise_refusal(order, core::order_action::pay, core::Refusal::on_hold);
}

Jsonb* data_of(const orders::Order& order, Jsonb* policy, Jsonb* method) {
    pg::JsonObject json;
    json.text("order_id", orders::id_text(order.id));
    json.text("customer_id", order.customer_id);
    json.text("currency", order.currency);
    json.number("total_minor", order.total_minor);
    json.json("policy", policy);
    if (method != nullptr) json.json("method", method);
    return json.finish();
}

constinit pg::Plan select_queue{"SELECT policy ->> 'queue' FROM oms.fulfilment_policy WHERE policy ? 'queue'", {}};

}  // namespace

std::string_view payment_queue() {
    pg::Result found = select_queue.run(pg::Access::writes, {});
    return found.empty() ? std::string_view{} : pg::text_view(found.value(0, 0));
}

OMS_FUNCTION(oms_pay_order) {
    enum : int { order_id, idempotency_key, policy, method, expected_version };
    pg::Call call{fcinfo};
    core::OrderId id = call.required_uuid(order_id, "order_id");
    Jsonb* wanted = call.jsonb(policy);
    if (wanted != nullptr) require_policy(wanted);
    RequestFingerprint request{"pay_order"};
    request.add(id).add(wanted).add(call.jsonb(method));
    return run_command(call, idempotency_key, "pay_order", request, orders::decode, [&] {
        orders::Order order = orders::lock(id);
        std::optional<std::int32_t> expected = call.integer(expected_version);
        if (expected && *expected != order.version) orders::raise_version_conflict(order, *expected);
        require_payable(order);
        pg::Result effective = select_policy.run(pg::Access::writes, {{pg::jsonb_datum(wanted), wanted == nullptr}});
        saga::start({.definition = fulfilment,
                     .key = orders::id_text(id),
                     .data = data_of(order, DatumGetJsonbP(effective.value(0, 0)), call.jsonb(method))});
        return orders::lock(id);
    });
}

OMS_FUNCTION(oms_set_fulfilment_policy) {
    pg::Call call{fcinfo};
    Jsonb* policy = call.required_jsonb(0, "policy");
    require_policy(policy);
    return update_policy.run(pg::Access::writes, {{pg::jsonb_datum(policy)}}).value(0, 0);
}

}  // namespace oms::api
