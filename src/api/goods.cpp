// Composing orders, stock and payments.
#include "api/goods.hpp"

#include "payments/payments.hpp"
#include "pg/json.hpp"
#include "pg/memory.hpp"
#include "pg/raise.hpp"

#include "pg/poison.hpp"

namespace oms::api {

namespace {

// [{"sku", "qty"}, ...] for an event.
template <class Lines, class Describe>
Jsonb* as_array(Lines lines, Describe&& describe) {
    pg::JsonWriter json;
    json.push(WJB_BEGIN_ARRAY, nullptr);
    for (const auto& line : lines) {
        json.begin_object();
        describe(json, line);
        json.end_object();
    }
    json.push(WJB_END_ARRAY, nullptr);
    return json.finish();
}

Jsonb* lines_json(std::span<const stock::Line> lines) {
    return as_array(lines, [](pg::JsonWriter& json, const stock::Line& line) {
        json.field("sku", line.sku);
        json.field("qty", line.qty);
    });
}

Jsonb* shortages_json(std::span<const stock::Shortage> shortages) {
    return as_array(shortages, [](pg::JsonWriter& json, const stock::Shortage& shortage) {
        json.field("sku", shortage.sku);
        json.field("asked", shortage.asked);
        json.field("available", shortage.available);
    });
}

// Goods that were consumed may still be in the house; once an order is shipped they are the customer's.
bool goods_are_in_the_house(const orders::Order& order, const orders::Change& change) {
    return order.status == core::order_status::confirmed || change.next.status == core::order_status::canceled;
}

void require_money_back(const orders::Order& order) {
    payments::Sums sums = payments::sums_of(order.id);
    if (sums.held_minor == 0) return;
    pg::raise(
        pg::Error::illegal_transition,
        {.message = pg::format("order %s cannot give its goods back while its money is held",
                               orders::id_text(order.id).data()),
         .detail = pg::format("Its payments hold " INT64_FORMAT " %s.", sums.held_minor, pg::c_string(order.currency)),
         .hint = "Void or refund its payments first; the goods follow when the money is back."});
}

}  // namespace

std::span<const stock::Line> goods_of(const orders::Order& order) {
    std::span<const orders::Item> items = orders::items_of(order);
    std::span<stock::Line> lines = pg::allocate<stock::Line>(items.size());
    for (std::size_t i = 0; i < lines.size(); ++i) lines[i] = {items[i].sku, items[i].qty};
    return lines;
}

std::span<const stock::Shortage> reserve_goods(const orders::Order& order, orders::Change& change,
                                               std::int64_t expires_at) {
    std::span<const stock::Line> goods = goods_of(order);
    std::span<const stock::Shortage> shortages = stock::reserve(order.id, goods, expires_at);
    if (shortages.empty()) {
        change.say({.type = "inventory.reserved", .items = lines_json(goods)});
    } else {
        change.say({.type = "inventory.failed", .reason = "insufficient stock", .items = shortages_json(shortages)});
    }
    return shortages;
}

void raise_shortage(const orders::Order& order, std::span<const stock::Shortage> shortages) {
    StringInfoData detail;
    initStringInfo(&detail);
    for (const stock::Shortage& shortage : shortages) {
        appendStringInfo(&detail, "%s%s: asked for " INT64_FORMAT ", available " INT64_FORMAT,
                         detail.len == 0 ? "" : "; ", pg::quoted(shortage.sku), shortage.asked, shortage.available);
    }
    pg::raise(pg::Error::insufficient_stock,
              {.message =
                   pg::format("order %s cannot be reserved: %zu of its items %s short",
                              orders::id_text(order.id).data(), shortages.size(), shortages.size() == 1 ? "is" : "are"),
               .detail = pg::format("%s.", detail.data),
               .hint = "Nothing was reserved; amend the order, wait for more, or cancel it."});
}

void consume_goods(const orders::Order& order) { stock::consume(order.id); }

void release_goods(const orders::Order& order, orders::Change& change, std::string_view reason, Shipments shipments) {
    require_money_back(order);
    std::span<const stock::Line> goods = stock::release(order.id);
    if (goods.empty() && goods_are_in_the_house(order, change))
        goods = stock::take_back(order.id, goods_gone(shipments));
    if (!goods.empty()) change.say({.type = "inventory.released", .reason = reason, .items = lines_json(goods)});
}

void exchange_goods(const orders::Order& order, orders::Change& change) {
    stock::Held held = stock::held(order.id);
    bool was_consumed = held.empty() && order.status == core::order_status::confirmed;
    std::span<const stock::Line> before = was_consumed ? stock::take_back(order.id, {}) : stock::release(order.id);
    if (before.empty()) return;
    std::span<const stock::Shortage> shortages = reserve_goods(order, change, held.expires_at);
    if (!shortages.empty()) raise_shortage(order, shortages);
    if (was_consumed) stock::consume(order.id);
}

void goods_follow(const orders::Order& order, orders::Change& change, std::string_view reason, Decided decided) {
    using namespace core::order_status;
    const std::string_view to = change.next.status;
    if (to == order.status) return;
    if (to == confirmed) consume_goods(order);
    if (to != shipped && to != completed && !orders::is_final(to)) return;
    Shipments of_order = shipments::of_order(order.id);
    shipments_follow(order, to, of_order, reason, decided);
    if (core::is_final(to)) release_goods(order, change, reason, of_order);
}

std::optional<core::OrderId> order_of_reservation(const Jsonb* timer_data) {
    core::OrderId id;
    auto* data = const_cast<JsonbContainer*>(&timer_data->root);
    return core::parse_uuid(pg::text_member(data, "order_id"), id) ? std::optional{id} : std::nullopt;
}

void expire_reservation(const Jsonb* timer_data) {
    const std::optional<core::OrderId> named = order_of_reservation(timer_data);
    if (!named) return;
    const core::OrderId id = *named;
    orders::Order found = orders::lock(id);
    bool spoken_for = found.paid_minor > found.refunded_minor || !found.pending_action.empty();
    if (spoken_for || payments::sums_of(id).held_minor > 0 || stock::held(id).empty()) return;
    constexpr std::string_view reason = "reservation expired";
    orders::change(id, std::nullopt, [&](const orders::Order& order, orders::Change& change) {
        change.say({.type = "inventory.released", .reason = reason, .items = lines_json(stock::expire(id))});
        core::Decision decision = core::decide(order.facts(), core::order_action::cancel, orders::owner_transitions());
        if (decision.refusal != core::Refusal::none) return;
        change.next.status = decision.taken->to;
        for (unsigned i = 0; i < decision.event_count; ++i) change.say({.type = decision.events[i], .reason = reason});
    });
}

}  // namespace oms::api
