// oms.get_shipment and oms.list_shipments.
#include "api/filter.hpp"
#include "api/request.hpp"
#include "pg/plan.hpp"
#include "shipments/shipments.hpp"

#include "pg/poison.hpp"

namespace oms::api {
namespace {

enum Argument : int { filter, cursor, limit };
// The row's own first and last event ids prune the log to the partitions that hold the shipment's events.
constinit pg::Plan select_shipment{
    "SELECT to_jsonb(s) - '{created_at, last_seq, first_event_id, last_event_id}'::text[] || jsonb_build_object("
    "'items', (SELECT jsonb_agg(jsonb_build_object('line_no', i.line_no, 'sku', i.sku, 'qty', i.qty) ORDER BY "
    "i.line_no) "
    "FROM oms.shipment_item i WHERE i.order_id = s.order_id AND i.created_at = s.created_at AND i.shipment_id = "
    "s.shipment_id),"
    "'timeline', (SELECT jsonb_agg(jsonb_build_object('seq', e.seq, 'type', e.type, 'occurred_at', e.occurred_at, "
    "'actor', e.headers -> 'actor', 'payload', e.payload) ORDER BY e.seq) FROM oms.event e "
    "WHERE e.id BETWEEN s.first_event_id AND s.last_event_id AND e.aggregate_id = s.shipment_id::text AND "
    "e.aggregate_type = 'shipment' AND e.seq BETWEEN 1 AND s.last_seq))"
    " FROM oms.shipment s WHERE s.shipment_id = $1 AND s.created_at = $2",
    {UUIDOID, TIMESTAMPTZOID},
    pg::Planned::by_index};

constexpr std::array known{
    FilterMember{"order_id", FilterKind::uuid, " AND order_id = %d"},
    FilterMember{"status", FilterKind::text_or_list, " AND status = ANY (%d)"},
    FilterMember{"carrier", FilterKind::text, " AND carrier = %d"},
    FilterMember{"tracking", FilterKind::text, " AND tracking = %d"},
    FilterMember{"assignee", FilterKind::text, " AND assignee = %d"},
    FilterMember{"requested_from", FilterKind::time, " AND requested_at >= %d"},
    FilterMember{"requested_to", FilterKind::time, " AND requested_at < %d"},
};

}  // namespace

OMS_FUNCTION(oms_get_shipment) {
    pg::Call call{fcinfo};
    core::ShipmentId id{call.required_uuid(0, "shipment_id")};
    if (!core::is_order_id(id.value)) shipments::raise_shipment_not_found(id);
    pg::Result rows = select_shipment.run(
        pg::Access::reads, {{pg::uuid_datum(id.value)}, {TimestampTzGetDatum(orders::birth_time(id.value))}});
    if (rows.empty()) shipments::raise_shipment_not_found(id);
    return rows.value(0, 0);
}

OMS_FUNCTION(oms_list_shipments) {
    pg::Call call{fcinfo};
    Query query{
        "SELECT shipment_id, order_id, status, version, carrier, tracking, assignee, metadata, reason, step_id, "
        "requested_at, updated_at, shipped_at, delivered_at, shipment_id::text AS next_cursor FROM oms.shipment WHERE "
        "true"};
    append_conditions(query, call.jsonb(filter), known);
    if (std::optional<std::string_view> position = call.text(cursor)) {
        core::OrderId last;
        if (!core::parse_uuid(*position, last) || !core::is_order_id(last)) raise_bad_cursor(*position);
        query.append(" AND shipment_id < %d", UUIDOID, pg::uuid_datum(last));
        // Says the same of the time in the id, and spares the partitions behind it.
        query.append(" AND created_at <= %d", TIMESTAMPTZOID, TimestampTzGetDatum(orders::birth_time(last)));
    }
    query.append(" ORDER BY shipment_id DESC");
    return answer_page(call, query, limit);
}

}  // namespace oms::api
