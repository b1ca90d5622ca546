// oms.hold_order and oms.release_hold: a flag with a reason that blocks reserve, pay and ship.
#include "api/request.hpp"
#include "pg/memory.hpp"
#include "pg/raise.hpp"

#include "pg/poison.hpp"

namespace oms::api {
namespace {

// A hold blocks actions; where none are left it would mean nothing.
void refuse_final(const orders::Order& order, const char* verb) {
    if (!orders::is_final(order.status)) return;
    pg::raise(pg::Error::illegal_transition,
              {.message = pg::format("order %s cannot %s while it is %s", orders::id_text(order.id).data(), verb,
                                     pg::c_string(order.status)),
               .detail = "The status is final.",
               .hint = "Nothing is left to hold back."});
}

}  // namespace

OMS_FUNCTION(oms_hold_order) {
    enum : int { order_id, reason, idempotency_key, expected_version };
    pg::Call call{fcinfo};
    core::OrderId id = call.required_uuid(order_id, "order_id");
    std::string_view why = required_bounded_text(call, reason, "reason", reason_bytes_max);
    RequestFingerprint request{"hold_order"};
    request.add(id).add(why);
    return change_order(call, "hold_order", {idempotency_key, expected_version}, id, request,
                        [&](const orders::Order& order, orders::Change& change) {
                            refuse_final(order, "be held");
                            change.next.on_hold = true;
                            change.next.hold_reason = why;
                            change.say({.type = "order.held", .reason = why});
                        });
}

OMS_FUNCTION(oms_release_hold) {
    enum : int { order_id, idempotency_key, expected_version, reason };
    pg::Call call{fcinfo};
    core::OrderId id = call.required_uuid(order_id, "order_id");
    std::string_view why = bounded_text(call, reason, "reason", reason_bytes_max);
    RequestFingerprint request{"release_hold"};
    request.add(id).add(call.text(reason));
    return change_order(call, "release_hold", {idempotency_key, expected_version}, id, request,
                        [&](const orders::Order& order, orders::Change& change) {
                            if (!order.on_hold) {
                                pg::raise(
                                    pg::Error::illegal_transition,
                                    {.message = pg::format("order %s is not on hold", orders::id_text(order.id).data()),
                                     .detail = pg::format("Its status is %s, its version %d.",
                                                          pg::c_string(order.status), order.version),
                                     .hint = "There is nothing to release."});
                            }
                            change.next.on_hold = false;
                            change.next.hold_reason = {};
                            change.say({.type = "order.hold_released", .reason = why});
                        });
}

}  // namespace oms::api
