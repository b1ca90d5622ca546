// The steps of the built-in saga: SQL functions that the engine calls, each with the order locked. What cannot be is answered as data ($fail,
// $later), so that the order's timeline keeps what led to it; an error is a failure that may pass.
#include <algorithm>

#include "api/fulfilment.hpp"
#include "api/fulfilment_context.hpp"
#include "api/goods.hpp"
#include "api/request.hpp"
#include "api/settle_payment.hpp"
#include "api/shipping.hpp"
#include "api/transition.hpp"
#include "commands/commands.hpp"
#include "payments/payments.hpp"
#include "pg/memory.hpp"
#include "pg/raise.hpp"
#include "pg/settings.hpp"

#include "pg/poison.hpp"

namespace oms::api {
namespace {

bool policy_flag(const Context& context, std::string_view name) {
    if (context.policy == nullptr) return false;
    pg::JsonMember member = pg::member_of(context.policy, name);
    return member.kind == pg::JsonKind::boolean && member.value.val.boolean;
}

Datum began(core::TaskId task) {
    pg::JsonObject json;
    json.number("$task", task.value);
    return pg::jsonb_datum(json.finish());
}

// Takes the order one action further; a hold puts it off.
template <class Fn>
Datum advance(const pg::Call& call, const Context& context, std::string_view action, Fn&& change_order) {
    core::Decision decision = decide(context, action);
    if (decision.refusal == core::Refusal::on_hold) return say("$later", "the order is on hold");
    if (decision.refusal != core::Refusal::none) return say("$fail", refused(context, action));
    const char* failed = nullptr;
    orders::change(context.order.id, std::nullopt, [&](const orders::Order& order, orders::Change& change) {
        failed = change_order(order, change, decision);
    });
    pg::end_of_command();
    return failed == nullptr ? call.null() : say("$fail", failed);
}

const char* take(const orders::Order& order, orders::Change& change, const core::Decision& decision) {
    take_transition(order, change, decision, {});
    return nullptr;
}

payments::Work work_of(const Context& context) {
    payments::Work work;
    work.step_id = context.step_id;
    if (context.deadline_ms > 0) work.deadline_at = pg::now_us() + context.deadline_ms * 1'000;
    if (context.policy != nullptr) {
        std::string_view queue = pg::text_member(context.policy, "queue");
        if (!queue.empty()) work.queue = queue;
    }
    return work;
}

// What is in the way of canceling the order, for people; nullptr: nothing, or it has ended already. Asked before money moves, and not only when the
// order's turn comes: what cannot be undone is to be found while nothing is.
const char* kept_from_cancel(const Context& context) {
    if (core::is_final(context.order.status)) return nullptr;
    if (is_partly_out(shipments::of_order(context.order.id))) return "a part of the order has left the house";
    const core::Decision decision = decide(context, core::order_action::cancel);
    return decision.refusal == core::Refusal::none ? nullptr : refused(context, core::order_action::cancel);
}

bool is_held(const payments::Payment& payment) {
    return payment.status == "authorized" || payment.status == "capture_pending" ||
           payment.status == "capture_failed" || payment.status == "captured" || payment.status == "partially_refunded";
}

}  // namespace

OMS_FUNCTION(oms_fulfilment_open) {
    pg::Call call{fcinfo};
    Context context = context_of(call);
    if (!context.order.pending_action.empty()) return say("$fail", "another operation has the order");
    set_pending(context.order.id, "paying");
    pg::end_of_command();
    return call.null();
}

// Undoes everything that the saga did to the order itself: the goods go back, and the order is canceled. The money is back by now.
OMS_FUNCTION(oms_fulfilment_cancel) {
    pg::Call call{fcinfo};
    Context context = context_of(call);
    if (core::is_final(context.order.status)) return call.null();
    if (const char* obstacle = kept_from_cancel(context)) return say("$fail", obstacle);
    // An order that counts as paid since its payment was authorized has nothing to be refunded once the authorization is void.
    if (!payments::of_order(context.order.id).empty()) {
        context.order.paid_minor =
            std::min(context.order.paid_minor, payments::sums_of(context.order.id).captured_minor);
    }
    const core::Decision decision = decide(context, core::order_action::cancel);
    orders::change(context.order.id, std::nullopt, [&](const orders::Order& order, orders::Change& change) {
        change.next.pending_action = {};
        take_transition(order, change, decision, context.failure);
    });
    commands::order_is_free(context.order.id);
    pg::end_of_command();
    return call.null();
}

OMS_FUNCTION(oms_fulfilment_reserve) {
    pg::Call call{fcinfo};
    Context context = context_of(call);
    const bool own_stock = policy_flag(context, "stock");
    if (context.order.status == core::order_status::reserved) {
        if (!own_stock || !stock::held(context.order.id).empty()) return call.null();
        return say("$fail", "the order is reserved and holds no goods");
    }
    return advance(
        call, context, core::order_action::reserve,
        [&](const orders::Order& order, orders::Change& change, const core::Decision& decision) -> const char* {
            // Without goods there is no transition, but the timeline tells what was short.
            if (own_stock && !reserve_goods(order, change).empty()) return "insufficient stock";
            return take(order, change, decision);
        });
}

OMS_FUNCTION(oms_fulfilment_authorize) {
    pg::Call call{fcinfo};
    Context context = context_of(call);
    if (context.order.total_minor == 0) return call.null();
    payments::NewPayment payment{
        .order_id = context.order.id, .currency = context.order.currency, .amount_minor = context.order.total_minor};
    for (const payments::Payment& existing : payments::of_order(context.order.id)) {
        // Authorized by hand before: nothing is left to do.
        if (is_held(existing) && existing.authorized_minor >= context.order.total_minor) return call.null();
    }
    if (context.policy != nullptr) {
        std::string_view provider = pg::text_member(context.policy, "provider");
        if (!provider.empty()) payment.provider = provider;
    }
    if (context.data != nullptr) {
        pg::JsonMember method = pg::member_of(context.data, "method");
        if (method.kind == pg::JsonKind::object) payment.method = pg::to_jsonb(method);
    }
    return began(payments::authorize(payment, work_of(context)).task);
}

OMS_FUNCTION(oms_fulfilment_capture) {
    pg::Call call{fcinfo};
    Context context = context_of(call);
    if (context.order.total_minor == 0) return call.null();
    bool captured = false;
    for (const payments::Payment& payment : payments::of_order(context.order.id)) {
        if (payment.busy()) return say("$later", "the payment is busy");
        if (payment.status == "authorized" || payment.status == "capture_failed") {
            const std::int64_t owed = owed_to(payment.id, context.order);
            if (owed > 0) return began(payments::capture(payment.id, std::nullopt, owed, 0, work_of(context)).task);
        }
        captured |= payment.status == "captured";
    }
    return captured ? call.null() : say("$fail", "there is no authorized payment to capture");
}

// Gives the money back, payment by payment: the engine asks again after each until nothing is held. What nobody knows about is waited for. An order that
// cannot be canceled keeps its money: the saga is parked here, behind the barrier.
OMS_FUNCTION(oms_fulfilment_return_money) {
    pg::Call call{fcinfo};
    Context context = context_of(call);
    if (const char* obstacle = kept_from_cancel(context)) return say("$fail", obstacle);
    for (const payments::Payment& payment : payments::of_order(context.order.id)) {
        if (!payment.settled()) return say("$later", "a payment's outcome is not known yet");
        if (payment.status == "authorized" || payment.status == "capture_failed") {
            return began(payments::void_payment(payment.id, context.failure, work_of(context)).task);
        }
        if (payment.refundable() > 0) {
            return began(payments::refund(payment.id, std::nullopt, context.failure, work_of(context)).task);
        }
    }
    return call.null();
}

// The operator's word that the money is back: it counts for the payments as well, so that no step asks the provider for it again.
OMS_FUNCTION(oms_fulfilment_money_returned) {
    pg::Call call{fcinfo};
    Context context = context_of(call);
    for (const payments::Payment& payment : payments::of_order(context.order.id)) {
        if (!payment.settled()) {
            return say("$fail", pg::format("payment %s is %s, and the provider has not answered what it was asked last",
                                           payments::id_text(payment.id.value).data(), pg::c_string(payment.status)));
        }
        if (is_held(payment)) payments::return_by_hand(payment.id, context.reason);
    }
    return call.null();
}

OMS_FUNCTION(oms_fulfilment_pay) {
    pg::Call call{fcinfo};
    Context context = context_of(call);
    if (context.order.status == core::order_status::paid) return call.null();
    // Somebody else captured a part while the saga waited for its time to do it.
    const payments::Sums sums = payments::sums_of(context.order.id);
    if (sums.payments > 0 && sums.secured_minor < context.order.total_minor) {
        return say("$fail", pg::format("the payments hold " INT64_FORMAT " of " INT64_FORMAT, sums.secured_minor,
                                       context.order.total_minor));
    }
    return advance(call, context, core::order_action::pay, take);
}

OMS_FUNCTION(oms_fulfilment_confirm) {
    pg::Call call{fcinfo};
    Context context = context_of(call);
    return advance(call, context, core::order_action::confirm, take);
}

OMS_FUNCTION(oms_fulfilment_close) {
    pg::Call call{fcinfo};
    Context context = context_of(call);
    if (!context.order.pending_action.empty()) {
        set_pending(context.order.id, {});
        commands::order_is_free(context.order.id);
    }
    pg::end_of_command();
    return call.null();
}

}  // namespace oms::api
