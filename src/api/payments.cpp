// The payment commands. Each begins an operation and answers at once: what the provider says comes later, by settle_payment.cpp.
#include <algorithm>

#include "api/fulfilment_policy.hpp"
#include "api/payment_request.hpp"
#include "api/request.hpp"
#include "api/settle_payment.hpp"
#include "payments/payments.hpp"
#include "pg/memory.hpp"
#include "pg/raise.hpp"
#include "pg/settings.hpp"

#include "pg/poison.hpp"

namespace oms::api {
namespace {

payments::State state_of(const payments::Begun& begun) { return {begun.payment, begun.operation}; }

// What may still be asked for, of an order that may be paid for; raises otherwise.
std::int64_t amount_to_authorize(const orders::Order& order, std::optional<std::int64_t> amount) {
    if (!order.pending_action.empty()) raise_refusal(order, "be paid for", core::Refusal::operation_in_progress);
    if (order.on_hold) raise_refusal(order, "be paid for", core::Refusal::on_hold);
    if (core::is_final(order.status)) raise_refusal(order, "be paid for", core::Refusal::illegal_transition);
    // What was paid without a payment of ours is paid, too.
    std::int64_t held = std::max(payments::sums_of(order.id).held_minor, order.paid_minor);
    std::int64_t open = order.total_minor - held;
    std::int64_t wanted = amount.value_or(open);
    if (wanted >= 1 && wanted <= open) return wanted;
    if (open < 1) {
        pg::raise(pg::Error::illegal_transition,
                  {.message = pg::format("nothing is left to pay of order %s", orders::id_text(order.id).data()),
                   .detail = pg::format("Its total is " INT64_FORMAT ", its payments hold " INT64_FORMAT ".",
                                        order.total_minor, order.total_minor - open),
                   .hint = "Void or refund a payment first, if another one is to take its place."});
    }
    pg::raise(pg::Error::invalid_argument,
              {.message = pg::format("cannot authorize " INT64_FORMAT " for order %s", wanted,
                                     orders::id_text(order.id).data()),
               .detail = pg::format("Its total is " INT64_FORMAT ", its other payments leave " INT64_FORMAT " open.",
                                    order.total_minor, open),
               .hint = pg::format("Ask for 1 to " INT64_FORMAT ".", open)});
}

std::int64_t due_after(std::optional<std::int64_t> delay_us) {
    if (!delay_us || *delay_us == 0) return 0;
    // Authorizations live for days; a year is a mistake.
    constexpr std::int64_t longest_us = 366 * USECS_PER_DAY;
    if (*delay_us > 0 && *delay_us <= longest_us) return pg::now_us() + *delay_us;
    pg::raise(pg::Error::invalid_argument, {.message = "delay must not be negative nor more than a year",
                                            .detail = pg::format("It is " INT64_FORMAT " microseconds.", *delay_us),
                                            .hint = "Leave it out to capture at once."});
}

// Locks the payment's order, and says how its operations are carried out.
payments::Work work_for(const core::PaymentId& id) { return payment_policy(lock_order_of(id).id).work; }

core::PaymentId required_payment(const pg::Call& call, int position) {
    return {call.required_uuid(position, "payment_id")};
}

}  // namespace

OMS_FUNCTION(oms_authorize_payment) {
    enum : int { order_id, amount_minor, idempotency_key, provider, method };
    pg::Call call{fcinfo};
    core::OrderId id = call.required_uuid(order_id, "order_id");
    std::optional<std::int64_t> amount = call.bigint(amount_minor);
    std::optional<std::string_view> whom = checked_provider(call, provider);
    Jsonb* how = checked_method(call, method);
    RequestFingerprint request{"authorize_payment"};
    request.add(id).add(amount).add(whom).add(how);
    return run_command(call, idempotency_key, "authorize_payment", request, payments::decode, [&] {
        orders::Order order = orders::lock(id);
        const PaymentPolicy policy = payment_policy(id);
        return state_of(payments::authorize({.order_id = id,
                                             .currency = order.currency,
                                             .amount_minor = amount_to_authorize(order, amount),
                                             .provider = whom.value_or(policy.provider),
                                             .method = how},
                                            policy.work));
    });
}

OMS_FUNCTION(oms_capture_payment) {
    enum : int { payment_id, amount_minor, delay, idempotency_key, expected_version };
    pg::Call call{fcinfo};
    core::PaymentId id = required_payment(call, payment_id);
    std::optional<std::int64_t> amount = call.bigint(amount_minor);
    std::optional<std::int64_t> after = call.interval_us(delay);
    std::int64_t due_at = due_after(after);
    RequestFingerprint request{"capture_payment"};
    request.add(id.value).add(amount).add(after);
    return run_command(call, idempotency_key, "capture_payment", request, payments::decode, [&] {
        const orders::Order order = lock_order_of(id);
        return state_of(payments::capture(id, amount, owed_to(id, order), due_at, payment_policy(order.id).work,
                                          call.integer(expected_version)));
    });
}

OMS_FUNCTION(oms_void_payment) {
    enum : int { payment_id, reason, idempotency_key, expected_version };
    pg::Call call{fcinfo};
    core::PaymentId id = required_payment(call, payment_id);
    std::string_view why = bounded_text(call, reason, "reason", reason_bytes_max);
    RequestFingerprint request{"void_payment"};
    request.add(id.value).add(call.text(reason));
    return run_command(call, idempotency_key, "void_payment", request, payments::decode, [&] {
        return state_of(payments::void_payment(id, why, work_for(id), call.integer(expected_version)));
    });
}

OMS_FUNCTION(oms_refund_payment) {
    enum : int { payment_id, amount_minor, reason, idempotency_key, expected_version };
    pg::Call call{fcinfo};
    core::PaymentId id = required_payment(call, payment_id);
    std::optional<std::int64_t> amount = call.bigint(amount_minor);
    std::string_view why = bounded_text(call, reason, "reason", reason_bytes_max);
    RequestFingerprint request{"refund_payment"};
    request.add(id.value).add(amount).add(call.text(reason));
    return run_command(call, idempotency_key, "refund_payment", request, payments::decode, [&] {
        return state_of(payments::refund(id, amount, why, work_for(id), call.integer(expected_version)));
    });
}

}  // namespace oms::api
