// The built-in saga order_fulfilment: what its steps do to an order. The saga itself is data, in the install script.
#pragma once

#include <optional>
#include <string_view>

#include "orders/orders.hpp"
#include "saga/saga.hpp"

namespace oms::api {

inline constexpr std::string_view fulfilment = "order_fulfilment";

// Locks an order by its id as text, for the sagas that belong to one. Raises not_found, also for what is no id.
void lock_order(std::string_view order_id);

// Marks an order as taken by a saga's work, or as free again when `action` is empty.
void set_pending(const core::OrderId& id, std::string_view action);

// The order's newest fulfilment; nothing when it has none. The order is locked.
std::optional<saga::State> fulfilment_of(const core::OrderId& id);

// Raises illegal_transition unless the order can be canceled; that its own saga has it is no obstacle.
void require_cancelable(const orders::Order& order);

// Before a saga is undone, or its undoing goes on: locks its order, if it is a fulfilment's that has not ended, and marks it as being canceled, so that
// nothing leaves the house while the money goes back. Beginning it raises what require_cancelable() raises; whoever goes on with it is stopped by the
// step before the first that returns money.
enum class Undoing : bool { begins, goes_on };
void mark_undoing(core::SagaId saga, Undoing undoing);

// operation_in_progress: whatever the order's pending_action names has it, so that it cannot `verb` now; the saga behind it is named. `order` is locked.
[[noreturn]] void raise_busy(const orders::Order& order, std::string_view verb);
// The same where it is this saga, whatever the order says.
[[noreturn]] void raise_busy(const core::OrderId& id, std::string_view verb, const saga::State& saga, const char* hint);

}  // namespace oms::api
