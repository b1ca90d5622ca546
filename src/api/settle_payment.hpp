// What a provider's answer means: for the payment, for its order, for the saga that waits.
#pragma once

#include <string_view>

#include "orders/orders.hpp"
#include "payments/payments.hpp"
#include "tasks/tasks.hpp"

namespace oms::api {

// Says whether a task carries out an operation of a payment.
constexpr bool is_payment_task(std::string_view kind) { return kind.starts_with("payment."); }

// The order that a payment's operation belongs to. Nothing for an operation that is not there: anybody can make a task of any kind.
std::optional<core::OrderId> order_of_payment(std::string_view provider_key);

// Locks the order of a payment that is named in a command; raises not_found.
orders::Order lock_order_of(const core::PaymentId& id);

// What an order owes to one of its payments: its total without what the others have taken. Both are locked by the order's lock.
std::int64_t owed_to(const core::PaymentId& payment, const orders::Order& order);

// Settles the operation behind a closed task, and tells whoever waits for it.
void payment_task_closed(const tasks::Closed& closed);

// The same for an answer that did not come from a task. The order is locked.
payments::Settled settle_payment(const core::OperationId& operation, payments::Outcome outcome, Jsonb* result,
                                 std::string_view error);

// The timer capture_due, and the order that it is about.
void capture_due(const Jsonb* timer_data);
std::optional<core::OrderId> order_of_capture(const Jsonb* timer_data);

}  // namespace oms::api
