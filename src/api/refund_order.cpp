// oms.refund_order: what was paid goes back, in part or all of it. Where payments hold the money the provider has to do it first: the refunds are
// begun, and the order counts them when they are done. Where there are none the order's own numbers are all there is.
#include <algorithm>

#include "api/fulfilment_policy.hpp"
#include "api/goods.hpp"
#include "api/request.hpp"
#include "api/transition.hpp"
#include "payments/payments.hpp"
#include "pg/memory.hpp"
#include "pg/raise.hpp"

#include "pg/poison.hpp"

namespace oms::api {
namespace {

[[noreturn]] void raise_exceeds(const orders::Order& order, std::int64_t amount, std::int64_t rest) {
    if (amount <= 0) {
        pg::raise(pg::Error::invalid_argument, {.message = "amount_minor must be at least 1",
                                                .detail = pg::format("It is " INT64_FORMAT ".", amount),
                                                .hint = "Leave it out, or pass NULL, to refund the rest."});
    }
    pg::raise(
        pg::Error::refund_exceeds_captured,
        {.message = pg::format("cannot refund " INT64_FORMAT " of order %s", amount, orders::id_text(order.id).data()),
         .detail = pg::format("Paid is " INT64_FORMAT ", refunded " INT64_FORMAT ", left " INT64_FORMAT ".",
                              order.paid_minor, order.refunded_minor, rest),
         .hint = rest > 0 ? pg::format("Ask for at most " INT64_FORMAT ".", rest) : "Nothing is left to refund."});
}

core::RefundDecision decide(const orders::Order& order, std::optional<std::int64_t> amount) {
    core::RefundDecision decision = core::decide_refund(order.facts(), amount, orders::owner_transitions());
    if (decision.refusal != core::Refusal::none) raise_refusal(order, core::order_action::refund, decision.refusal);
    if (decision.exceeds) raise_exceeds(order, *amount, order.paid_minor - order.refunded_minor);
    return decision;
}

orders::Order refund_at_once(const core::OrderId& id, std::optional<std::int32_t> expected,
                             std::optional<std::int64_t> amount, std::string_view reason) {
    return orders::change(id, expected, [&](const orders::Order& order, orders::Change& change) {
        core::RefundDecision decision = decide(order, amount);
        if (decision.full) change.next.status = decision.taken->to;
        change.next.refunded_minor = decision.refunded_minor;
        change.say({.type = core::refund_event(decision), .reason = reason, .details = write_refunded});
        goods_follow(order, change, reason);
    });
}

// Begins refunds of the order's payments, the oldest first, until the amount is reached.
orders::Order begin_refunds(const orders::Order& order, std::span<const payments::Payment> paid,
                            std::optional<std::int64_t> amount, std::string_view reason) {
    (void)decide(order, amount);
    std::int64_t left = 0;
    for (const payments::Payment& payment : paid) left += payment.refundable();
    std::int64_t wanted = amount.value_or(left);
    if (wanted == 0 || wanted > left)
        raise_exceeds(order, amount.value_or(order.paid_minor - order.refunded_minor), left);
    const payments::Work work = payment_policy(order.id).work;
    for (const payments::Payment& payment : paid) {
        std::int64_t part = std::min(wanted, payment.refundable());
        if (part <= 0) continue;
        payments::refund(payment.id, part, reason, work);
        wanted -= part;
    }
    return orders::lock(order.id);
}

// Money that is only authorized cannot go back: a capture that comes later would take all of it.
void require_nothing_only_authorized(const orders::Order& order) {
    payments::Sums sums = payments::sums_of(order.id);
    if (sums.held_minor == 0) return;
    pg::raise(pg::Error::illegal_transition,
              {.message = pg::format("order %s cannot be refunded while its payments are only authorized",
                                     orders::id_text(order.id).data()),
               .detail = pg::format("They hold " INT64_FORMAT " %s, and captured nothing.", sums.held_minor,
                                    pg::c_string(order.currency)),
               .hint = "Capture the payment first, or cancel the order, which voids it."});
}

}  // namespace

OMS_FUNCTION(oms_refund_order) {
    enum : int { order_id, amount_minor, reason, idempotency_key, expected_version };
    pg::Call call{fcinfo};
    core::OrderId id = call.required_uuid(order_id, "order_id");
    std::optional<std::int64_t> amount = call.bigint(amount_minor);
    std::string_view why = bounded_text(call, reason, "reason", reason_bytes_max);
    RequestFingerprint request{"refund_order"};
    request.add(id).add(amount).add(call.text(reason));
    return run_command(call, idempotency_key, "refund_order", request, orders::decode, [&] {
        std::optional<std::int32_t> expected = call.integer(expected_version);
        orders::Order order = orders::lock(id);
        if (expected && *expected != order.version) orders::raise_version_conflict(order, *expected);
        if (!order.pending_action.empty()) {
            raise_refusal(order, core::order_action::refund, core::Refusal::operation_in_progress);
        }
        std::span<const payments::Payment> paid = payments::of_order(id);
        bool captured =
            std::ranges::any_of(paid, [](const payments::Payment& payment) { return payment.captured_minor > 0; });
        if (captured) return begin_refunds(order, paid, amount, why);
        require_nothing_only_authorized(order);
        return refund_at_once(id, expected, amount, why);
    });
}

}  // namespace oms::api
