// oms.advance_order, the primitive: key -> lock -> the machine decides -> write -> events -> answer; and its named forms.
#include "api/request.hpp"
#include "api/transition.hpp"
#include "payments/payments.hpp"
#include "pg/memory.hpp"
#include "pg/raise.hpp"

#include "pg/poison.hpp"

namespace oms::api {
namespace {

struct Advance {
    core::OrderId id;
    std::string_view action;
    std::optional<std::string_view> reason;
    Jsonb* payload;
};

// Where payments were begun for an order it is paid by them; without any, whoever says "pay" has the money.
void require_payments_suffice(const orders::Order& order) {
    payments::Sums sums = payments::sums_of(order.id);
    if (sums.payments == 0 || sums.secured_minor >= order.total_minor) return;
    const bool asked_for_all = sums.held_minor >= order.total_minor;
    pg::raise(
        pg::Error::illegal_transition,
        {.message = pg::format("order %s cannot pay with what its payments hold", orders::id_text(order.id).data()),
         .detail = pg::format("They hold " INT64_FORMAT " of " INT64_FORMAT " %s.", sums.secured_minor,
                              order.total_minor, pg::c_string(order.currency)),
         .hint = asked_for_all ? "Wait until the provider has answered for the rest."
                               : "Authorize the rest with oms.authorize_payment first."});
}

Datum advance(const pg::Call& call, const Positions& at, const Advance& wanted) {
    RequestFingerprint request{"advance_order"};
    request.add(wanted.id).add(wanted.action).add(wanted.reason).add(wanted.payload);
    return change_order(
        call, "advance_order", at, wanted.id, request, [&](const orders::Order& order, orders::Change& change) {
            core::Decision decision = core::decide(order.facts(), wanted.action, orders::owner_transitions());
            if (decision.refusal != core::Refusal::none) raise_refusal(order, wanted.action, decision.refusal);
            if (decision.taken->effect == core::Effect::pay_in_full) require_payments_suffice(order);
            take_transition(order, change, decision, wanted.reason.value_or(std::string_view{}), wanted.payload);
        });
}

std::optional<std::string_view> reason_of(const pg::Call& call, int position) {
    if (call.is_null(position)) return std::nullopt;
    return bounded_text(call, position, "reason", reason_bytes_max);
}

}  // namespace

OMS_FUNCTION(oms_advance_order) {
    enum : int { order_id, action, idempotency_key, expected_version, reason, payload };
    pg::Call call{fcinfo};
    return advance(call, {idempotency_key, expected_version},
                   {call.required_uuid(order_id, "order_id"), call.required_text(action, "action"),
                    reason_of(call, reason), call.jsonb(payload)});
}

OMS_FUNCTION(oms_ship_order) {
    enum : int { order_id, idempotency_key, expected_version, payload };
    pg::Call call{fcinfo};
    return advance(
        call, {idempotency_key, expected_version},
        {call.required_uuid(order_id, "order_id"), core::order_action::ship, std::nullopt, call.jsonb(payload)});
}

OMS_FUNCTION(oms_complete_order) {
    enum : int { order_id, idempotency_key, expected_version, payload };
    pg::Call call{fcinfo};
    return advance(
        call, {idempotency_key, expected_version},
        {call.required_uuid(order_id, "order_id"), core::order_action::complete, std::nullopt, call.jsonb(payload)});
}

}  // namespace oms::api
