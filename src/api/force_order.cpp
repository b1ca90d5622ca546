// oms.force_order: an operator's last resort. It sets the status against the machine, and leaves who did it and why. It moves no money; the goods
// follow as far as they can. While a saga is at work the order is not its own: a step that comes later would undo what was forced.
#include "api/fulfilment.hpp"
#include "api/goods.hpp"
#include "api/request.hpp"
#include "audit/audit.hpp"
#include "commands/commands.hpp"
#include "pg/memory.hpp"
#include "pg/raise.hpp"

#include "pg/poison.hpp"

namespace oms::api {
namespace {

enum Argument : int { order_id, status, reason, actor, idempotency_key };

constexpr std::size_t actor_bytes_max = 255;

// The order as the audit shows it.
Jsonb* picture(const orders::Order& order) {
    pg::JsonObject json;
    json.text("status", order.status);
    json.number("version", order.version);
    json.boolean("on_hold", order.on_hold);
    json.text_or_null("pending_action", order.pending_action);
    json.number("total_minor", order.total_minor);
    json.number("paid_minor", order.paid_minor);
    json.number("refunded_minor", order.refunded_minor);
    return json.finish();
}

void require_no_saga_at_work(const core::OrderId& id) {
    std::optional<saga::State> saga = fulfilment_of(id);
    if (!saga || saga->status == core::saga::SagaStatus::parked || core::saga::is_final(saga->status)) return;
    raise_busy(id, "be forced", *saga, "Cancel the order; when its saga has ended or is parked, it can be forced.");
}

// What a status says about the goods holds for a forced one too: none stay reserved behind an order that is done with them.
void goods_obey(const orders::Order& order, orders::Change& change, std::string_view reason) {
    std::string_view to = change.next.status;
    if (to == core::order_status::shipped || to == core::order_status::completed) consume_goods(order);
    if (to == core::order_status::pending) {
        release_goods(order, change, reason, shipments::of_order(order.id));
    } else {
        goods_follow(order, change, reason, Decided::by_force);
    }
}

}  // namespace

OMS_FUNCTION(oms_force_order) {
    pg::Call call{fcinfo};
    core::OrderId id = call.required_uuid(order_id, "order_id");
    std::string_view to = core::normalize_status(call.required_text(status, "status"));
    std::string_view why = required_bounded_text(call, reason, "reason", reason_bytes_max);
    std::string_view who = required_bounded_text(call, actor, "actor", actor_bytes_max);
    if (!orders::status_exists(to)) {
        pg::raise(pg::Error::invalid_argument, {.message = pg::format("no status %s is known", pg::quoted(to)),
                                                .detail = "oms.order_status has no such row.",
                                                .hint = "SELECT status FROM oms.order_status."});
    }
    RequestFingerprint request{"force_order"};
    request.add(id).add(to).add(why).add(who);
    return change_order(call, "force_order", {idempotency_key}, id, request,
                        [&](const orders::Order& order, orders::Change& change) {
                            require_no_saga_at_work(id);
                            Jsonb* before = picture(order);
                            change.next.status = to;
                            change.next.pending_action = {};
                            if (!order.pending_action.empty()) commands::order_is_free(id);
                            change.say({.type = "order.forced", .reason = why, .actor = who});
                            goods_obey(order, change, why);
                            orders::Order after = change.next;
                            after.version = order.version + 1;
                            audit::record({.actor = who,
                                           .operation = "force_order",
                                           .object = pg::format("order %s", orders::id_text(id).data()),
                                           .reason = why,
                                           .before = before,
                                           .after = picture(after)});
                        });
}

}  // namespace oms::api
