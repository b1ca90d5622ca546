// oms.pay_order: starts the built-in saga and returns.
#include <algorithm>

#include "api/fulfilment.hpp"
#include "api/fulfilment_policy.hpp"
#include "api/payment_request.hpp"
#include "api/request.hpp"

#include "pg/poison.hpp"

namespace oms::api {
namespace {

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

}  // namespace

OMS_FUNCTION(oms_pay_order) {
    enum : int { order_id, idempotency_key, policy, method, expected_version };
    pg::Call call{fcinfo};
    core::OrderId id = call.required_uuid(order_id, "order_id");
    Jsonb* wanted = call.jsonb(policy);
    if (wanted != nullptr) require_policy(wanted);
    Jsonb* how = checked_method(call, method);
    RequestFingerprint request{"pay_order"};
    request.add(id).add(wanted).add(how);
    return run_command(call, idempotency_key, "pay_order", request, orders::decode, [&] {
        orders::Order order = orders::lock(id);
        std::optional<std::int32_t> expected = call.integer(expected_version);
        if (expected && *expected != order.version) orders::raise_version_conflict(order, *expected);
        require_payable(order);
        saga::start(
            {.definition = fulfilment, .key = orders::id_text(id), .data = data_of(order, policy_with(wanted), how)});
        return orders::lock(id);
    });
}

}  // namespace oms::api
