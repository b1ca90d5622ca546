// oms.amend_order: other items, as long as nothing is shipped; once money is involved, for the same total.
#include "api/goods.hpp"
#include "api/request.hpp"
#include "payments/payments.hpp"
#include "pg/memory.hpp"
#include "pg/raise.hpp"

#include "pg/poison.hpp"

namespace oms::api {
namespace {

enum Argument : int { order_id, items, idempotency_key, expected_version, reason };

// Whatever an owner adds between these, an order that may still be shipped and was not yet may change its items.
bool may_change_items(std::string_view status) {
    return status != core::order_status::shipped && status != core::order_status::completed &&
           !orders::is_final(status);
}

// Also when what was paid is nothing: a free order that is paid owes nothing more.
bool is_paid(const orders::Order& order) {
    return order.paid_minor > 0 || order.status == core::order_status::paid ||
           order.status == core::order_status::confirmed;
}

// What is only authorized is another matter: no more is captured of it than the order owes by then.
void require_covers_what_was_taken(const orders::Order& order, std::int64_t total_minor) {
    if (total_minor >= order.total_minor) return;
    const std::int64_t taken = payments::taken_of(order.id);
    if (total_minor >= taken) return;
    pg::raise(
        pg::Error::invalid_argument,
        {.message = pg::format("the total of order %s cannot be less than its payments have captured",
                               orders::id_text(order.id).data()),
         .detail = pg::format("They have captured " INT64_FORMAT ", the total of the new items is " INT64_FORMAT ".",
                              taken, total_minor),
         .hint = "Refund the difference with oms.refund_payment first."});
}

void write_items_changed(pg::JsonObject& json, const orders::Order& before, const orders::Order& after) {
    json.number("prev_total_minor", before.total_minor);
    json.number("total_minor", after.total_minor);
}

}  // namespace

OMS_FUNCTION(oms_amend_order) {
    pg::Call call{fcinfo};
    core::OrderId id = call.required_uuid(order_id, "order_id");
    Jsonb* given = call.required_jsonb(items, "items");
    std::string_view why = bounded_text(call, reason, "reason", reason_bytes_max);
    RequestFingerprint request{"amend_order"};
    request.add(id).add(given).add(call.text(reason));
    return change_order(
        call, "amend_order", {idempotency_key, expected_version}, id, request,
        [&](const orders::Order& order, orders::Change& change) {
            if (!order.pending_action.empty()) raise_refusal(order, "be amended", core::Refusal::operation_in_progress);
            if (!may_change_items(order.status)) raise_refusal(order, "be amended", core::Refusal::illegal_transition);
            require_unshipped(order);
            orders::ItemList list = orders::parse_items(&given->root, order.currency, "items");
            if (is_paid(order) && list.total_minor != order.total_minor) {
                pg::raise(
                    pg::Error::invalid_argument,
                    {.message = pg::format("order %s is paid: its total cannot change", orders::id_text(id).data()),
                     .detail = pg::format("The total is " INT64_FORMAT ", that of the new items " INT64_FORMAT ".",
                                          order.total_minor, list.total_minor),
                     .hint = "Refund the difference, or cancel the order and create another."});
            }
            require_covers_what_was_taken(order, list.total_minor);
            orders::replace_items(order, list.items);
            change.next.total_minor = list.total_minor;
            change.say({.type = "order.amended", .reason = why, .details = write_items_changed, .items = given});
            exchange_goods(order, change);
        });
}

}  // namespace oms::api
