// From a decision to a change.
#include "api/transition.hpp"

#include "api/goods.hpp"

#include "pg/poison.hpp"

namespace oms::api {

namespace {

void write_paid(pg::JsonObject& json, const orders::Order&, const orders::Order& after) {
    json.number("paid_minor", after.paid_minor);
    json.text("currency", after.currency);
}

// What an event of the machine tells beside the transition itself.
auto details_of(std::string_view event, core::Effect effect) {
    if (event == core::order_event::refunded) return write_refunded;
    return effect == core::Effect::pay_in_full ? write_paid : nullptr;
}

}  // namespace

void write_refunded(pg::JsonObject& json, const orders::Order& before, const orders::Order& after) {
    json.number("amount_minor", after.refunded_minor - before.refunded_minor);
    json.number("refunded_minor", after.refunded_minor);
    json.text("currency", after.currency);
}

void take_transition(const orders::Order& order, orders::Change& change, const core::Decision& decision,
                     std::string_view reason, Jsonb* payload) {
    change.next.status = decision.taken->to;
    change.next.paid_minor = decision.paid_minor;
    change.next.refunded_minor = decision.refunded_minor;
    auto say = [&](std::string_view event) {
        change.say({.type = event,
                    .reason = reason,
                    .details = details_of(event, decision.taken->effect),
                    .payload = payload});
    };
    // First the money, then the goods, then the order's end.
    unsigned said = 0;
    if (decision.event_count > 0 && decision.events[0] == core::order_event::refunded) say(decision.events[said++]);
    goods_follow(order, change, reason);
    while (said < decision.event_count) say(decision.events[said++]);
}

}  // namespace oms::api
