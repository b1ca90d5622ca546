// Composing orders and shipments.
#include "api/shipping.hpp"

#include <algorithm>

#include "api/request.hpp"
#include "api/transition.hpp"
#include "pg/memory.hpp"
#include "pg/raise.hpp"

#include "pg/poison.hpp"

namespace oms::api {

namespace {

using shipments::Line;
using shipments::Shipment;
namespace status = shipments::status;

bool carries(const Shipment& shipment) { return shipment.carries(); }
bool is_out(const Shipment& shipment) { return shipment.is_out(); }
bool is_delivered(const Shipment& shipment) { return shipment.status == status::delivered; }

// Says whether a shipment has, or had, a part in what became of the order.
bool counts(const Shipment& shipment) { return shipment.carries() || shipment.ever_left(); }

const char* name_of(const orders::Order& order) { return orders::id_text(order.id).data(); }

// "2 of \"TEA-100\", 1 of \"CUP-1\"", the first of them when there are many.
const char* names_of(Lines lines) {
    constexpr std::size_t named_max = 10;
    StringInfoData names;
    initStringInfo(&names);
    for (const Line& line : lines.first(std::min(lines.size(), named_max))) {
        appendStringInfo(&names, "%s" INT64_FORMAT " of %s", names.len == 0 ? "" : ", ", line.qty,
                         pg::quoted(line.sku));
    }
    if (lines.size() > named_max) appendStringInfo(&names, " and %zu more", lines.size() - named_max);
    return names.data;
}

[[noreturn]] void raise_in_the_way(const orders::Order& order, const char* verb, const Shipment& shipment,
                                   const char* hint) {
    pg::raise(pg::Error::illegal_transition,
              {.message = pg::format("order %s cannot %s while a shipment of it is %s", name_of(order), verb,
                                     pg::c_string(shipment.status)),
               .detail = pg::format("It is shipment %s.", shipments::id_text(shipment.id).data()),
               .hint = hint});
}

void require_none(const orders::Order& order, const char* verb, Shipments shipments, bool (*unwanted)(const Shipment&),
                  const char* hint) {
    auto found = std::ranges::find_if(shipments, unwanted);
    if (found != shipments.end()) raise_in_the_way(order, verb, *found, hint);
}

void require_covered(const orders::Order& order, Shipments shipments) {
    if (std::ranges::none_of(shipments, counts)) return;
    require_none(
        order, "ship", shipments, [](const Shipment& shipment) { return shipment.status == status::pending; },
        "Wait until whoever was asked for it has answered.");
    Lines open = open_lines(lines_of(order), shipments);
    if (open.empty()) return;
    pg::raise(pg::Error::illegal_transition,
              {.message = pg::format("order %s cannot ship while a part of it is in no shipment", name_of(order)),
               .detail = pg::format("Open: %s.", names_of(open)),
               .hint = "Make a shipment of it with oms.create_shipment."});
}

void move_all(Shipments shipments, std::string_view from, std::string_view to, std::string_view reason) {
    for (const Shipment& shipment : shipments) {
        if (shipment.status == from) shipments::move(shipment, to, reason);
    }
}

void end_waiting(Shipments shipments, std::string_view reason) {
    move_all(shipments, status::pending, status::failed, reason);
    move_all(shipments, status::created, status::canceled, reason);
}

}  // namespace

Lines lines_of(const orders::Order& order) {
    std::span<const orders::Item> items = orders::items_of(order);
    std::span<Line> lines = pg::allocate<Line>(items.size());
    for (std::size_t i = 0; i < lines.size(); ++i)
        lines[i] = {static_cast<std::int32_t>(i + 1), items[i].sku, items[i].qty};
    return lines;
}

Lines lines_left(Lines ordered, Shipments shipments, bool (*counts_here)(const Shipment&)) {
    std::span<Line> left = pg::allocate<Line>(ordered.size());
    std::ranges::copy(ordered, left.begin());
    for (const Shipment& shipment : shipments) {
        if (!counts_here(shipment)) continue;
        for (const Line& line : shipment.lines) {
            auto found = std::ranges::lower_bound(left, line.line_no, {}, &Line::line_no);
            if (found != left.end() && found->line_no == line.line_no) found->qty -= line.qty;
        }
    }
    auto gone = std::ranges::remove_if(left, [](const Line& line) { return line.qty <= 0; });
    return left.first(left.size() - gone.size());
}

Lines open_lines(Lines ordered, Shipments shipments) { return lines_left(ordered, shipments, carries); }

void require_may_ship(const orders::Order& order) {
    constexpr std::string_view action = core::order_action::ship;
    core::Decision decision = core::decide(order.facts(), action, orders::owner_transitions());
    if (decision.refusal == core::Refusal::none) return;
    if (decision.refusal == core::Refusal::illegal_transition && order.status == core::order_status::shipped) {
        if (order.on_hold) raise_refusal(order, action, core::Refusal::on_hold);
        Shipments shipments = shipments::of_order(order.id);
        if (std::ranges::any_of(shipments, counts)) return;
    }
    raise_refusal(order, action, decision.refusal);
}

void require_unshipped(const orders::Order& order) {
    require_none(order, "be amended", shipments::of_order(order.id), counts,
                 "Cancel a shipment that has not left; what has left cannot be exchanged.");
}

std::span<const stock::Line> goods_gone(Shipments shipments) {
    pg::Array<stock::Line> gone;
    for (const Shipment& shipment : shipments) {
        if (!shipment.ever_left()) continue;
        for (const Line& line : shipment.lines) gone.push({line.sku, line.qty});
    }
    return gone.span();
}

bool is_partly_out(Shipments shipments) { return std::ranges::any_of(shipments, is_out); }

void require_nothing_out(const orders::Order& order, Shipments shipments) {
    require_none(order, "cancel", shipments, is_out,
                 "Refund the order, or record with oms.return_shipment that the goods came back.");
}

void shipments_follow(const orders::Order& order, std::string_view next_status, Shipments shipments,
                      std::string_view reason, Decided decided) {
    using namespace core::order_status;
    if (shipments.empty()) return;
    const bool asked = decided == Decided::by_machine;
    if (next_status == core::order_status::shipped) {
        if (asked) require_covered(order, shipments);
        move_all(shipments, status::pending, status::failed, reason);
        move_all(shipments, status::created, status::shipped, reason);
    } else if (next_status == completed) {
        if (asked) {
            require_none(
                order, "complete", shipments, [](const Shipment& shipment) { return shipment.waits(); },
                "Ship it or cancel it first.");
        }
        end_waiting(shipments, reason);
        move_all(shipments, status::shipped, status::delivered, reason);
    } else if (orders::is_final(next_status)) {
        if (asked && next_status == canceled) require_nothing_out(order, shipments);
        end_waiting(shipments, reason);
    }
}

void order_follows(const orders::Order& order, orders::Change& change, Shipments shipments) {
    const bool arriving = order.status == core::order_status::shipped;
    if (!lines_left(lines_of(order), shipments, arriving ? is_delivered : is_out).empty()) return;
    const std::string_view action = arriving ? core::order_action::complete : core::order_action::ship;
    core::Decision decision = core::decide(order.facts(), action, orders::owner_transitions());
    if (decision.refusal != core::Refusal::none) return;
    take_transition(order, change, decision, {});
}

}  // namespace oms::api
