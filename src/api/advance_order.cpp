// oms.advance_order, the primitive: key -> lock -> the machine decides -> write -> events -> answer; and its named forms.
#include "api/request.hpp"
#include "pg/memory.hpp"
#include "pg/raise.hpp"

#include "pg/poison.hpp"

namespace oms::api {
namespace {

void write_paid(pg::JsonObject& json, const orders::Order&, const orders::Order& after) {
    json.number("paid_minor", after.paid_minor);
    json.text("currency", after.currency);
}

void write_refunded(pg::JsonObject& json, const orders::Order& before, const orders::Order& after) {
    json.number("amount_minor", after.refunded_minor - before.refunded_minor);
    json.number("refunded_minor", after.refunded_minor);
    json.text("currency", after.currency);
}

// What an event of the machine tells beside the transition itself.
auto details_of(std::string_view event, core::Effect effect) {
    if (event == core::order_event::refunded) return write_refunded;
    return effect == core::Effect::pay_in_full ? write_paid : nullptr;
}

struct Advance {
    core::OrderId id;
    std::string_view action;
    std::optional<std::string_view> reason;
    Jsonb* payload;
};

Datum advance(const pg::Call& call, const Positions& at, const Advance& wanted) {
    RequestFingerprint request{"advance_order"};
    request.add(wanted.id).add(wanted.action).add(wanted.reason).add(wanted.payload);
    return change_order(
        call, "advance_order", at, wanted.id, request, [&](const orders::Order& order, orders::Change& change) {
            core::Decision decision = core::decide(order.facts(), wanted.action, orders::owner_transitions());
            if (decision.refusal != core::Refusal::none) raise_refusal(order, wanted.action, decision.refusal);
            change.next.status = decision.taken->to;
            change.next.paid_minor = decision.paid_minor;
            change.next.refunded_minor = decision.refunded_minor;
            for (unsigned i = 0; i < decision.event_count; ++i) {
                change.say({.type = decision.events[i],
                            .reason = wanted.reason.value_or(std::string_view{}),
                            .details = details_of(decision.events[i], decision.taken->effect),
                            .payload = wanted.payload});
            }
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

OMS_FUNCTION(oms_cancel_order) {
    enum : int { order_id, reason, idempotency_key, expected_version };
    pg::Call call{fcinfo};
    return advance(call, {idempotency_key, expected_version},
                   {call.required_uuid(order_id, "order_id"), core::order_action::cancel,
                    required_bounded_text(call, reason, "reason", reason_bytes_max), nullptr});
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

OMS_FUNCTION(oms_refund_order) {
    enum : int { order_id, amount_minor, reason, idempotency_key, expected_version };
    pg::Call call{fcinfo};
    core::OrderId id = call.required_uuid(order_id, "order_id");
    std::optional<std::int64_t> amount = call.bigint(amount_minor);
    std::optional<std::string_view> why = reason_of(call, reason);
    RequestFingerprint request{"refund_order"};
    request.add(id).add(amount).add(why);
    return change_order(
        call, "refund_order", {idempotency_key, expected_version}, id, request,
        [&](const orders::Order& order, orders::Change& change) {
            core::RefundDecision decision = core::decide_refund(order.facts(), amount, orders::owner_transitions());
            if (decision.refusal != core::Refusal::none)
                raise_refusal(order, core::order_action::refund, decision.refusal);
            if (decision.exceeds && *amount <= 0) {
                pg::raise(pg::Error::invalid_argument, {.message = "amount_minor must be at least 1",
                                                        .detail = pg::format("It is " INT64_FORMAT ".", *amount),
                                                        .hint = "Leave it out, or pass NULL, to refund the rest."});
            }
            if (decision.exceeds) {
                std::int64_t rest = order.paid_minor - order.refunded_minor;
                pg::raise(
                    pg::Error::refund_exceeds_captured,
                    {.message =
                         pg::format("cannot refund " INT64_FORMAT " of order %s", *amount, orders::id_text(id).data()),
                     .detail = pg::format("Paid is " INT64_FORMAT ", refunded " INT64_FORMAT ", left " INT64_FORMAT ".",
                                          order.paid_minor, order.refunded_minor, rest),
                     .hint = pg::format("Ask for at most " INT64_FORMAT ".", rest)});
            }
            if (decision.full) change.next.status = decision.taken->to;
            change.next.refunded_minor = decision.refunded_minor;
            change.say({.type = core::refund_event(decision),
                        .reason = why.value_or(std::string_view{}),
                        .details = write_refunded});
        });
}

}  // namespace oms::api
