// oms.reserve and oms.release: an order's goods, held and given back by hand.
#include "api/goods.hpp"
#include "api/request.hpp"
#include "pg/memory.hpp"
#include "pg/raise.hpp"
#include "pg/settings.hpp"

#include "pg/poison.hpp"

namespace oms::api {
namespace {

std::int64_t expiry_after(std::optional<std::int64_t> interval_us) {
    if (!interval_us) return stock::never;
    // A hundred years: what is longer is a mistake, and sums of moments must not overflow.
    constexpr std::int64_t longest_us = 36'525 * USECS_PER_DAY;
    if (*interval_us > 0 && *interval_us <= longest_us) return pg::now_us() + *interval_us;
    pg::raise(pg::Error::invalid_argument, {.message = "expires_in must be positive and at most 100 years",
                                            .detail = pg::format("It is " INT64_FORMAT " microseconds.", *interval_us),
                                            .hint = "Leave it out for a reservation that does not expire."});
}

}  // namespace

OMS_FUNCTION(oms_reserve) {
    enum : int { order_id, idempotency_key, expires_in, expected_version };
    pg::Call call{fcinfo};
    core::OrderId id = call.required_uuid(order_id, "order_id");
    std::optional<std::int64_t> after = call.interval_us(expires_in);
    std::int64_t expires_at = expiry_after(after);
    RequestFingerprint request{"reserve"};
    request.add(id).add(after);
    return change_order(call, "reserve", {idempotency_key, expected_version}, id, request,
                        [&](const orders::Order& order, orders::Change& change) {
                            // An order that is reserved and holds nothing (its goods were released by hand) reserves again without a transition.
                            core::Decision decision{};
                            if (order.status != core::order_status::reserved || !stock::held(id).empty() ||
                                order.on_hold || !order.pending_action.empty()) {
                                constexpr std::string_view action = core::order_action::reserve;
                                decision = core::decide(order.facts(), action, orders::owner_transitions());
                                if (decision.refusal != core::Refusal::none)
                                    raise_refusal(order, action, decision.refusal);
                                change.next.status = decision.taken->to;
                            }
                            std::span<const stock::Shortage> shortages = reserve_goods(order, change, expires_at);
                            if (!shortages.empty()) raise_shortage(order, shortages);
                            // The goods first, then the order, as the built-in saga does it.
                            for (unsigned i = 0; i < decision.event_count; ++i)
                                change.say({.type = decision.events[i]});
                        });
}

OMS_FUNCTION(oms_release) {
    enum : int { order_id, reason, idempotency_key, expected_version };
    pg::Call call{fcinfo};
    core::OrderId id = call.required_uuid(order_id, "order_id");
    std::string_view why = bounded_text(call, reason, "reason", reason_bytes_max);
    RequestFingerprint request{"release"};
    request.add(id).add(call.text(reason));
    return change_order(
        call, "release", {idempotency_key, expected_version}, id, request,
        [&](const orders::Order& order, orders::Change& change) {
            if (!order.pending_action.empty())
                raise_refusal(order, "release its goods", core::Refusal::operation_in_progress);
            // Goods that money was taken for are released by giving the money back: cancel or refund.
            bool paid_for = order.paid_minor > order.refunded_minor;
            if (!paid_for) release_goods(order, change, why, shipments::of_order(id));
            if (change.event_count > 0) return;
            pg::raise(
                pg::Error::illegal_transition,
                {.message = pg::format("order %s has nothing to release", orders::id_text(id).data()),
                 .detail = paid_for
                               ? pg::format("It is %s, and its goods are paid for.", pg::c_string(order.status))
                               : pg::format("It is %s, and nothing is reserved for it.", pg::c_string(order.status)),
                 .hint = paid_for ? "Cancel or refund the order: the goods follow the money."
                                  : "oms.get_order shows an order's reservations."});
        });
}

}  // namespace oms::api
