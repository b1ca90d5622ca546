// Carrying out what was queued, by the clock.
#pragma once

#include <optional>
#include <string_view>

#include "commands/commands.hpp"
#include "orders/orders.hpp"
#include "pg/json.hpp"

namespace oms::api {

// The timer of an order's queued commands has fired: those whose time is up are given up, and the others carried out, the oldest first, for as long
// as the order is free. Each is a subtransaction, in the name of the role that asked for it.
void look_at_queued(Jsonb* timer_data);
// Whose they are, for those who lock what due timers are about; nothing when the timer does not say.
std::optional<core::OrderId> order_of_queued(Jsonb* timer_data);

// The queue on the order's timeline; the order is locked. `reason`, of one that was not carried out: why.
void say_queued(const commands::Command& command);
void say_refused(const commands::Command& command, std::string_view reason);

}  // namespace oms::api
