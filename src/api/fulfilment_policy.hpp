// What a shop, or one order, wants of the built-in saga.
#pragma once

#include <string_view>

#include "core/ids.hpp"
#include "payments/payments.hpp"
#include "pg/json.hpp"
#include "pg/jump.hpp"

namespace oms::api {

// Raises invalid_argument unless this is an object whose members are known and can be used.
void require_policy(Jsonb* policy);

// The policy for an order that is to be paid now: what is wanted for it (nullptr: nothing special), else what the shop has set, else the defaults.
Jsonb* policy_with(Jsonb* wanted);

// With whom an order's payments are made, and in which queue their tasks wait: by the policy that is in force for it, the one that it was last paid
// with, else the shop's. The order is locked; the views live in the current memory context.
struct PaymentPolicy {
    std::string_view provider = payments::default_provider;
    payments::Work work = {};
};
static_assert(pg::JumpSafe<PaymentPolicy>);
PaymentPolicy payment_policy(const core::OrderId& order);

}  // namespace oms::api
