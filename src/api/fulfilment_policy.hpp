// What a shop, or one order, wants of the built-in saga.
#pragma once

#include <string_view>

#include "pg/json.hpp"

namespace oms::api {

// Raises invalid_argument unless this is an object whose members are known and can be used.
void require_policy(Jsonb* policy);

// The policy for an order that is to be paid now: what is wanted for it (nullptr: nothing special), else what the shop has set, else the defaults.
Jsonb* policy_with(Jsonb* wanted);

// The queue of the payments' tasks, as the shop has set it; empty: the default one.
std::string_view payment_queue();

}  // namespace oms::api
