// oms.list_orders: newest first, by keyset: the order id is the time, so it is the position too.
#include "api/filter.hpp"
#include "orders/orders.hpp"

#include "pg/poison.hpp"

namespace oms::api {
namespace {

enum Argument : int { filter, cursor, limit };
constexpr std::array known{
    FilterMember{"customer_id", FilterKind::text, " AND customer_id = %d"},
    FilterMember{"status", FilterKind::text_or_list, " AND status = ANY (%d)"},
    FilterMember{"currency", FilterKind::text, " AND currency = %d"},
    FilterMember{"external_ref", FilterKind::text, " AND external_ref = %d"},
    FilterMember{"on_hold", FilterKind::boolean, " AND on_hold = %d"},
    FilterMember{"created_from", FilterKind::time, " AND created_at >= %d"},
    FilterMember{"created_to", FilterKind::time, " AND created_at < %d"},
};

}  // namespace

OMS_FUNCTION(oms_list_orders) {
    pg::Call call{fcinfo};
    Query query{
        "SELECT order_id, customer_id, status, on_hold, hold_reason, pending_action, currency, total_minor, "
        "paid_minor, "
        "refunded_minor, version, external_ref, metadata, created_at, updated_at, order_id::text AS next_cursor FROM "
        "oms.orders WHERE true"};
    append_conditions(query, call.jsonb(filter), known);
    if (std::optional<std::string_view> position = call.text(cursor)) {
        core::OrderId last;
        if (!core::parse_uuid(*position, last) || !core::is_order_id(last)) raise_bad_cursor(*position);
        query.append(" AND order_id < %d", UUIDOID, pg::uuid_datum(last));
        // Says the same of the time in the id, and spares the partitions behind it.
        query.append(" AND created_at <= %d", TIMESTAMPTZOID, TimestampTzGetDatum(orders::birth_time(last)));
    }
    query.append(" ORDER BY order_id DESC");
    return answer_page(call, query, limit);
}

}  // namespace oms::api
