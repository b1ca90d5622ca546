// Settling: payment -> order -> saga. And oms.reconcile_payment, for when the answer does not come by itself.
#include "api/settle_payment.hpp"

#include <algorithm>

#include "api/goods.hpp"
#include "api/request.hpp"
#include "pg/memory.hpp"
#include "pg/plan.hpp"
#include "pg/raise.hpp"
#include "saga/saga.hpp"

#include "pg/poison.hpp"

namespace oms::api {
namespace {

std::optional<core::OperationId> operation_named(std::string_view provider_key) {
    core::OperationId id;
    if (!core::parse_uuid(provider_key, id.value)) return std::nullopt;
    return id;
}

void write_refunded(pg::JsonObject& json, const orders::Order& before, const orders::Order& after) {
    json.number("amount_minor", after.refunded_minor - before.refunded_minor);
    json.number("refunded_minor", after.refunded_minor);
    json.text("currency", after.currency);
}

void write_paid(pg::JsonObject& json, const orders::Order& before, const orders::Order& after) {
    json.number("prev_paid_minor", before.paid_minor);
    json.number("paid_minor", after.paid_minor);
    json.text("currency", after.currency);
}

bool counts_as_paid(const orders::Order& order) {
    using namespace core::order_status;
    return order.paid_minor > 0 || order.status == paid || order.status == confirmed || order.status == shipped ||
           order.status == completed;
}

// What an order that is paid counts follows its payments: less was captured than was authorized, an authorization is void, another one took its place.
// Money that went through the order's hands before it was paid is in neither number.
void count_payment(const core::OrderId& id, const payments::Settled& settled) {
    orders::Order found = orders::lock(id);
    if (!counts_as_paid(found) || core::is_final(found.status)) return;
    pg::end_of_command();
    const std::int64_t paid = std::min(found.total_minor, found.refunded_minor + payments::sums_of(id).secured_minor);
    if (paid == found.paid_minor) return;
    orders::change(id, std::nullopt, [&](const orders::Order&, orders::Change& change) {
        change.next.paid_minor = paid;
        change.say({.type = "order.paid_changed", .reason = settled.reason, .details = write_paid});
    });
}

// A refund that nobody's saga asked for: the order counts it, and is refunded with its last part. The customer has the money, so that neither a
// hold nor another operation is in the way of the truth; only the status waits for an operation that has the order.
void count_refund(const core::OrderId& id, const payments::Settled& settled) {
    orders::Order found = orders::lock(id);
    if (found.paid_minor - found.refunded_minor < settled.amount_minor) return;
    orders::change(id, std::nullopt, [&](const orders::Order& order, orders::Change& change) {
        change.next.refunded_minor += settled.amount_minor;
        const bool all = change.next.refunded_minor == order.paid_minor && order.pending_action.empty();
        const core::Transition* refund =
            all ? core::find_transition(order.status, core::order_action::refund, orders::owner_transitions())
                : nullptr;
        if (refund != nullptr) change.next.status = refund->to;
        change.say({.type = refund != nullptr ? refund->event : core::order_event::partially_refunded,
                    .reason = settled.reason,
                    .details = write_refunded});
        goods_follow(order, change, settled.reason);
    });
}

void tell_saga(const payments::Settled& settled) {
    pg::JsonObject json;
    json.text("payment_id", payments::id_text(settled.payment.id.value));
    json.text("operation_id", payments::id_text(settled.operation.value));
    json.text("status", settled.payment.status);
    json.number("amount_minor", settled.amount_minor);
    json.text_or_null("reason", settled.reason);
    // It becomes the reason of the saga, and of its order.
    const bool unexplained = !settled.succeeded && settled.reason.empty();
    const std::string_view error = unexplained ? "refused without a reason" : settled.reason;
    saga::step_closed({.step_id = settled.step_id,
                       .outcome = settled.succeeded ? saga::Outcome::succeeded : saga::Outcome::failed,
                       .result = json.finish(),
                       .error = error});
}

payments::Outcome outcome_of(const tasks::Closed& closed) {
    if (closed.succeeded) return payments::Outcome::succeeded;
    // Only the worker's own word is a no. Attempts that are used up, a lease that ended, a deadline that passed: nobody knows.
    return closed.refused ? payments::Outcome::refused : payments::Outcome::unknown;
}

// An answer given by hand, by somebody who asked the provider.
std::optional<payments::Outcome> outcome_argument(const pg::Call& call, int position) {
    std::optional<std::string_view> name = call.text(position);
    if (!name) return std::nullopt;
    if (*name == "succeeded") return payments::Outcome::succeeded;
    if (*name == "refused") return payments::Outcome::refused;
    pg::raise(pg::Error::invalid_argument, {.message = "outcome is neither \"succeeded\" nor \"refused\"",
                                            .detail = pg::format("It is %s.", pg::quoted(*name)),
                                            .hint = "Leave it out to let the provider be asked."});
}

constinit pg::Plan select_indeterminate{
    "SELECT operation_id FROM oms.payment_operation WHERE payment_id = $1 AND created_at = $2 AND status = "
    "'indeterminate' "
    "AND ($3 IS NULL OR operation_id = $3)",
    {UUIDOID, TIMESTAMPTZOID, UUIDOID},
    pg::Planned::by_index};

// The operations of a payment that are indeterminate, or the one that is meant.
pg::Result indeterminate(const core::PaymentId& id, const std::optional<core::OrderId>& operation) {
    pg::Result rows =
        select_indeterminate.run(pg::Access::writes, {{pg::uuid_datum(id.value)},
                                                      {TimestampTzGetDatum(orders::birth_time(id.value))},
                                                      {operation ? pg::uuid_datum(*operation) : Datum{0}, !operation}});
    if (!rows.empty()) return rows;
    pg::raise(
        pg::Error::illegal_transition,
        {.message = pg::format("payment %s has nothing to reconcile", payments::id_text(id.value).data()),
         .detail = operation ? "That operation of it is not indeterminate." : "No operation of it is indeterminate.",
         .hint = "oms.get_payment shows its operations."});
}

core::OperationId only_one(const pg::Result& rows) {
    if (rows.rows.size() > 1) {
        pg::raise(pg::Error::invalid_argument, {.message = "it is not said which operation the outcome is for",
                                                .detail = pg::format("%zu are indeterminate.", rows.rows.size()),
                                                .hint = "Pass operation_id; oms.get_payment shows the operations."});
    }
    core::OperationId id;
    std::memcpy(id.value.bytes.data(), DatumGetUUIDP(rows.value(0, 0))->data, id.value.bytes.size());
    return id;
}

}  // namespace

orders::Order lock_order_of(const core::PaymentId& id) {
    std::optional<core::OrderId> order = payments::order_of(id);
    if (!order) payments::raise_payment_not_found(id);
    return orders::lock(*order);
}

std::int64_t owed_to(const core::PaymentId& payment, const orders::Order& order) {
    return order.total_minor - payments::taken_of(order.id, payment);
}

std::optional<core::OrderId> order_of_payment(std::string_view provider_key) {
    std::optional<core::OperationId> operation = operation_named(provider_key);
    return operation ? payments::order_of(*operation) : std::nullopt;
}

payments::Settled settle_payment(const core::OperationId& operation, payments::Outcome outcome, Jsonb* result,
                                 std::string_view error) {
    payments::Settled settled = payments::settle(operation, outcome, result, error);
    if (settled.open || settled.repeated) return settled;
    if (settled.step_id != 0) {
        tell_saga(settled);
    } else if (settled.kind != payments::kind::refund) {
        count_payment(settled.payment.order_id, settled);
    } else if (settled.succeeded) {
        count_refund(settled.payment.order_id, settled);
    }
    return settled;
}

void payment_task_closed(const tasks::Closed& closed) {
    std::optional<core::OperationId> operation = operation_named(closed.provider_key);
    if (!operation || !payments::order_of(*operation)) return;
    settle_payment(*operation, outcome_of(closed), closed.result, closed.error);
}

namespace {

core::PaymentId payment_named(JsonbContainer* timer_data) {
    core::PaymentId id{};
    core::parse_uuid(pg::text_member(timer_data, "payment_id"), id.value);
    return id;
}

}  // namespace

std::optional<core::OrderId> order_of_capture(const Jsonb* timer_data) {
    return payments::order_of(payment_named(const_cast<JsonbContainer*>(&timer_data->root)));
}

void capture_due(const Jsonb* timer_data) {
    auto* data = const_cast<JsonbContainer*>(&timer_data->root);
    const core::PaymentId id = payment_named(data);
    std::optional<core::OrderId> order = payments::order_of(id);
    if (order) payments::capture_due(id, owed_to(id, orders::lock(*order)), data);
}

OMS_FUNCTION(oms_reconcile_payment) {
    enum : int { payment_id, idempotency_key, outcome, operation_id, reason };
    pg::Call call{fcinfo};
    core::PaymentId id{call.required_uuid(payment_id, "payment_id")};
    std::optional<payments::Outcome> known = outcome_argument(call, outcome);
    std::optional<core::OrderId> operation = call.uuid(operation_id);
    std::string_view why = bounded_text(call, reason, "reason", reason_bytes_max);
    RequestFingerprint request{"reconcile_payment"};
    request.add(id.value).add(call.text(outcome)).add(operation.value_or(core::OrderId{})).add(call.text(reason));
    return run_command(call, idempotency_key, "reconcile_payment", request, payments::decode, [&] {
        lock_order_of(id);
        pg::Result open = indeterminate(id, operation);
        core::OperationId settled{};
        if (known) {
            settled = only_one(open);
            settle_payment(settled, *known, nullptr, why);
        } else {
            payments::reconcile(id);
        }
        return payments::State{payments::current(id), settled};
    });
}

}  // namespace oms::api
