// The order machine: the one table of what may happen to an order, and the pure decisions taken from it.
// Invariant: a decision depends on its arguments alone and names exactly the money and events that the caller writes.
// Amounts come from a row that keeps 0 <= refunded_minor <= paid_minor, so no sum here can overflow.
// Must not: read a clock, touch a row, or know why an owner added a transition.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string_view>

#include "core/status.hpp"

namespace oms::core {

namespace order_action {
inline constexpr std::string_view reserve = "reserve";
inline constexpr std::string_view pay = "pay";
inline constexpr std::string_view confirm = "confirm";
inline constexpr std::string_view ship = "ship";
inline constexpr std::string_view complete = "complete";
inline constexpr std::string_view cancel = "cancel";
inline constexpr std::string_view refund = "refund";
}  // namespace order_action

namespace order_event {
inline constexpr std::string_view reserved = "order.reserved";
inline constexpr std::string_view paid = "order.paid";
inline constexpr std::string_view confirmed = "order.confirmed";
inline constexpr std::string_view shipped = "order.shipped";
inline constexpr std::string_view completed = "order.completed";
inline constexpr std::string_view canceled = "order.canceled";
inline constexpr std::string_view refunded = "order.refunded";
inline constexpr std::string_view partially_refunded = "order.partially_refunded";
}  // namespace order_event

// What a transition does to the order's money.
enum class Effect : unsigned char {
    none,
    pay_in_full,  // paid becomes the total
    refund_rest,  // refunded becomes what was paid
};

struct Transition {
    std::string_view from, action, to;
    bool blocked_by_hold;
    Effect effect;
    std::string_view event;
};

inline constexpr std::array builtin_transitions = [] {
    using namespace order_status;
    using namespace order_action;
    namespace event = order_event;
    constexpr bool hold_blocks = true;
    constexpr bool hold_passes = false;
    // clang-format off
    return std::array{
        //         from       action    to         on hold      money                event
        Transition{pending,   reserve,  reserved,  hold_blocks, Effect::none,        event::reserved},
        Transition{pending,   cancel,   canceled,  hold_passes, Effect::none,        event::canceled},
        Transition{reserved,  pay,      paid,      hold_blocks, Effect::pay_in_full, event::paid},
        Transition{reserved,  cancel,   canceled,  hold_passes, Effect::none,        event::canceled},
        Transition{paid,      confirm,  confirmed, hold_passes, Effect::none,        event::confirmed},
        Transition{paid,      cancel,   canceled,  hold_passes, Effect::refund_rest, event::canceled},
        Transition{paid,      refund,   refunded,  hold_passes, Effect::refund_rest, event::refunded},
        Transition{confirmed, ship,     shipped,   hold_blocks, Effect::none,        event::shipped},
        Transition{confirmed, cancel,   canceled,  hold_passes, Effect::refund_rest, event::canceled},
        Transition{confirmed, refund,   refunded,  hold_passes, Effect::refund_rest, event::refunded},
        Transition{shipped,   complete, completed, hold_passes, Effect::none,        event::completed},
        Transition{shipped,   refund,   refunded,  hold_passes, Effect::refund_rest, event::refunded},
        Transition{completed, refund,   refunded,  hold_passes, Effect::refund_rest, event::refunded},
    };
    // clang-format on
}();

// The order's row, as far as a decision looks at it.
struct OrderFacts {
    std::string_view status;
    bool on_hold;
    std::string_view pending_action;  // empty = none
    std::int64_t total_minor, paid_minor, refunded_minor;
};

enum class Refusal : unsigned char { none, unknown_action, illegal_transition, on_hold, operation_in_progress };

// What to write. A refused decision takes no transition, has no events and keeps the amounts as they are.
struct Decision {
    Refusal refusal;
    const Transition* taken;  // a built-in row, or one of the caller's: lives as long as the span given
    std::int64_t paid_minor, refunded_minor;
    std::array<std::string_view, 2> events;  // in the order in which they happen
    unsigned event_count;
};

struct RefundDecision {
    Refusal refusal;
    bool exceeds;  // asked for nothing, or for more than is left
    std::int64_t amount_minor, refunded_minor;
    bool full;                // nothing is left: the order takes the transition
    const Transition* taken;  // when full
};

// Finds the row for a status and an action; null if there is none. A built-in row wins over an owner's.
constexpr const Transition* find_transition(std::string_view status, std::string_view action,
                                            std::span<const Transition> owner_transitions = {}) {
    const auto matches = [&](const Transition& row) { return row.from == status && row.action == action; };
    for (const std::span<const Transition> rows : {std::span<const Transition>{builtin_transitions}, owner_transitions})
        if (const auto row = std::ranges::find_if(rows, matches); row != rows.end()) return &*row;
    return nullptr;
}

constexpr bool action_known(std::string_view action, std::span<const Transition> owner_transitions = {}) {
    const auto matches = [&](const Transition& row) { return row.action == action; };
    return std::ranges::any_of(builtin_transitions, matches) || std::ranges::any_of(owner_transitions, matches);
}

// Calls fn once with each action that leaves the status, holds aside: what an error may hint at.
template <class Fn>
constexpr void for_each_legal_action(std::string_view status, std::span<const Transition> owner_transitions, Fn&& fn) {
    for (const Transition& row : builtin_transitions)
        if (row.from == status) fn(row.action);
    for (const Transition& row : owner_transitions)
        // Only the row that would be taken: not one behind a built-in or an earlier row for the same action.
        if (row.from == status && find_transition(status, row.action, owner_transitions) == &row) fn(row.action);
}

// Decides one action on one order. The first reason to refuse wins: the action is unknown, another operation is
// under way, the status does not allow it, the order is on hold.
constexpr Decision decide(const OrderFacts& order, std::string_view action,
                          std::span<const Transition> owner_transitions = {}) {
    Decision decision{Refusal::none, nullptr, order.paid_minor, order.refunded_minor, {}, 0};
    const auto refuse = [&](Refusal refusal) {
        decision.refusal = refusal;
        return decision;
    };
    const auto emit = [&](std::string_view event) { decision.events[decision.event_count++] = event; };

    const Transition* row = find_transition(order.status, action, owner_transitions);
    if (row == nullptr && !action_known(action, owner_transitions)) return refuse(Refusal::unknown_action);
    if (!order.pending_action.empty()) return refuse(Refusal::operation_in_progress);
    if (row == nullptr) return refuse(Refusal::illegal_transition);
    if (order.on_hold && row->blocked_by_hold) return refuse(Refusal::on_hold);

    decision.taken = row;
    if (row->effect == Effect::pay_in_full) decision.paid_minor = order.total_minor;
    if (row->effect == Effect::refund_rest) {
        // Money that comes back on the way to another status is an event of its own, and comes first.
        if (order.refunded_minor < order.paid_minor && row->event != order_event::refunded) emit(order_event::refunded);
        decision.refunded_minor = order.paid_minor;
    }
    emit(row->event);
    return decision;
}

// Decides a refund of a part, or of the rest when no amount is given. Legal wherever the action "refund" leads on and gives the rest back; a hold
// does not stop it. The rest may be zero (a free order): it is then refunded in full, like advance_order does.
constexpr RefundDecision decide_refund(const OrderFacts& order, std::optional<std::int64_t> amount_minor,
                                       std::span<const Transition> owner_transitions = {}) {
    const std::int64_t rest = order.paid_minor - order.refunded_minor;
    const std::int64_t amount = amount_minor ? *amount_minor : rest;
    RefundDecision decision{Refusal::none, false, amount, order.refunded_minor, false, nullptr};
    const Transition* row = find_transition(order.status, order_action::refund, owner_transitions);
    if (!order.pending_action.empty()) {
        decision.refusal = Refusal::operation_in_progress;
    } else if (row == nullptr || row->effect != Effect::refund_rest) {
        decision.refusal = Refusal::illegal_transition;
    } else if (amount_minor && (amount <= 0 || amount > rest)) {
        decision.exceeds = true;
    } else {
        decision.refunded_minor += amount;
        decision.full = decision.refunded_minor == order.paid_minor;
        if (decision.full) decision.taken = row;
    }
    return decision;
}

// Names the event of a refund that was neither refused nor too large.
constexpr std::string_view refund_event(const RefundDecision& decision) {
    return decision.full ? decision.taken->event : order_event::partially_refunded;
}

}  // namespace oms::core
