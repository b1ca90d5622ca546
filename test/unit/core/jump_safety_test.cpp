// Every type of the core may be jumped over: it has no destructor and, but for the callables of its caller, no state
// that needs one. And it may be copied byte by byte into memory of any owner.
#include <gtest/gtest.h>

#include <type_traits>

#include "core/fingerprint.hpp"
#include "core/ids.hpp"
#include "core/money.hpp"
#include "core/order_machine.hpp"
#include "core/other_machines.hpp"
#include "core/retry.hpp"

using namespace oms::core;

namespace {

template <class... Types>
constexpr bool all_jump_safe = ((std::is_trivially_destructible_v<Types> && std::is_trivially_copyable_v<Types>)&&...);

static_assert(all_jump_safe<Transition, OrderFacts, Decision, RefundDecision, Edge, MinorUnit, OrderId, EventId, TaskId,
                            Fingerprint, FingerprintBuilder, RetryPolicy>);
static_assert(sizeof(OrderId) == 16 && alignof(OrderId) == 1, "laid over the 16 bytes of a uuid");
static_assert(alignof(FingerprintBuilder) == 64);

TEST(JumpSafety, IsProvedWhenThisFileCompiles) { SUCCEED(); }

}  // namespace
