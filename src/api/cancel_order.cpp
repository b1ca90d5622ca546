// oms.cancel_order: the transition itself where nothing is held; where the built-in saga has worked for the order, the way back through it.
#include "api/fulfilment.hpp"
#include "api/request.hpp"
#include "api/transition.hpp"
#include "pg/memory.hpp"
#include "pg/raise.hpp"

#include "pg/poison.hpp"

namespace oms::api {
namespace {

using core::saga::SagaStatus;

orders::Order cancel_at_once(const core::OrderId& id, std::optional<std::int32_t> expected, std::string_view reason) {
    return orders::change(id, expected, [&](const orders::Order& order, orders::Change& change) {
        core::Decision decision = core::decide(order.facts(), core::order_action::cancel, orders::owner_transitions());
        if (decision.refusal != core::Refusal::none) raise_refusal(order, core::order_action::cancel, decision.refusal);
        take_transition(order, change, decision, reason);
    });
}

[[noreturn]] void raise_uncancelable(const core::OrderId& id, const saga::State& saga) {
    raise_busy(id, "cancel", saga,
               saga.status == SagaStatus::parked
                   ? "Repair the cause and call oms.resume_saga."
                   : "Wait until the saga has ended; oms.saga_status shows how far it is.");
}

orders::Order cancel(const core::OrderId& id, std::optional<std::int32_t> expected, std::string_view reason) {
    orders::Order order = orders::lock(id);
    if (expected && *expected != order.version) orders::raise_version_conflict(order, *expected);
    std::optional<saga::State> fulfilled = fulfilment_of(id);
    if (!fulfilled || fulfilled->status == SagaStatus::compensated) return cancel_at_once(id, expected, reason);
    require_cancelable(order);
    if (fulfilled->status == SagaStatus::compensating || fulfilled->status == SagaStatus::parked)
        raise_uncancelable(id, *fulfilled);
    if (fulfilled->status == SagaStatus::completed && !order.pending_action.empty()) raise_uncancelable(id, *fulfilled);
    set_pending(id, "canceling");
    pg::end_of_command();
    if (fulfilled->status == SagaStatus::completed) {
        saga::compensate(fulfilled->id, reason);
    } else {
        saga::cancel(fulfilled->id, reason);
    }
    return orders::lock(id);
}

}  // namespace

OMS_FUNCTION(oms_cancel_order) {
    enum : int { order_id, reason, idempotency_key, expected_version };
    pg::Call call{fcinfo};
    core::OrderId id = call.required_uuid(order_id, "order_id");
    std::string_view why = required_bounded_text(call, reason, "reason", reason_bytes_max);
    RequestFingerprint request{"cancel_order"};
    request.add(id).add(why);
    return run_command(call, idempotency_key, "cancel_order", request, orders::decode,
                       [&] { return cancel(id, call.integer(expected_version), why); });
}

}  // namespace oms::api
