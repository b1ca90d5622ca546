// oms.get_order and oms.order_timeline: one order by its id, from the partitions that the id and the order's row name.
#include "api/request.hpp"
#include "pg/memory.hpp"
#include "pg/plan.hpp"

#include "pg/poison.hpp"

namespace oms::api {
namespace {

// The row's own first and last event ids prune the log to the partitions that hold the order's events. The seq, which says nothing new, keeps a
// planner without statistics from reading all events between those ids.
#define OMS_EVENTS_OF_ORDER                                                     \
    "FROM oms.event e WHERE e.id BETWEEN o.first_event_id AND o.last_event_id " \
    "AND e.aggregate_id = o.order_id::text AND e.aggregate_type = 'order' AND e.seq BETWEEN 1 AND o.last_seq"

constinit pg::Plan select_order{
    "SELECT to_jsonb(o) - '{last_seq, first_event_id, last_event_id}'::text[] || jsonb_build_object("
    "'items', (SELECT jsonb_agg(jsonb_build_object('line_no', i.line_no, 'sku', i.sku, 'qty', i.qty, 'price_minor', "
    "i.price_minor)"
    " || coalesce(i.details, '{}') ORDER BY i.line_no)"
    " FROM oms.order_item i WHERE i.order_id = o.order_id AND i.created_at = o.created_at),"
    " 'payments', coalesce((SELECT jsonb_agg(to_jsonb(p) - '{order_id, created_at, last_seq, first_event_id, "
    "last_event_id}'::text[]"
    " ORDER BY p.first_event_id) FROM oms.payment p WHERE p.order_id = o.order_id AND p.created_at = o.created_at), "
    "'[]'),"
    " 'reservations', coalesce((SELECT jsonb_agg(jsonb_build_object('sku', r.sku, 'qty', r.qty, 'status', r.status, "
    "'reserved_at', "
    "r.reserved_at, 'expires_at', r.expires_at, 'closed_at', r.closed_at, 'returned_at', r.returned_at) ORDER BY "
    "r.reservation_id)"
    " FROM oms.reservation r WHERE r.order_id = o.order_id AND r.created_at = o.created_at), '[]'),"
    " 'queued', coalesce((SELECT jsonb_agg(jsonb_build_object('command_id', c.command_id, 'command', c.command, "
    "'arguments', c.arguments, 'asked_at', c.asked_at, 'give_up_at', c.give_up_at, 'attempts', c.attempts, 'error', "
    "c.error) ORDER BY c.command_id)"
    " FROM oms.queued_command c WHERE c.order_id = o.order_id AND c.status = 'waiting'), '[]'),"
    " 'shipments', coalesce((SELECT jsonb_agg(to_jsonb(s) - '{order_id, created_at, last_seq, first_event_id, "
    "last_event_id}'::text[]"
    " || jsonb_build_object('items', (SELECT jsonb_agg(jsonb_build_object('line_no', i.line_no, 'sku', i.sku, 'qty', "
    "i.qty) ORDER BY i.line_no)"
    " FROM oms.shipment_item i WHERE i.order_id = s.order_id AND i.created_at = s.created_at AND i.shipment_id = "
    "s.shipment_id))"
    " ORDER BY s.first_event_id) FROM oms.shipment s WHERE s.order_id = o.order_id AND s.created_at = o.created_at), "
    "'[]'),"
    "'timeline', (SELECT jsonb_agg(jsonb_build_object('seq', e.seq, 'type', e.type, 'occurred_at', e.occurred_at,"
    " 'actor', e.headers -> 'actor', 'payload', e.payload) ORDER BY e.seq) " OMS_EVENTS_OF_ORDER
    "))"
    " FROM oms.orders o WHERE o.order_id = $1 AND o.created_at = $2",
    {UUIDOID, TIMESTAMPTZOID},
    pg::Planned::by_index};

constinit pg::Plan select_timeline{
    "SELECT e.seq, e.type, e.payload ->> 'prev_status', e.payload ->> 'status', e.payload ->> 'reason', e.headers ->> "
    "'actor',"
    " e.occurred_at, e.payload, e.id"
    " FROM oms.orders o CROSS JOIN LATERAL (SELECT * " OMS_EVENTS_OF_ORDER
    ") e"
    " WHERE o.order_id = $1 AND o.created_at = $2 ORDER BY e.seq",
    {UUIDOID, TIMESTAMPTZOID},
    pg::Planned::by_index};

#undef OMS_EVENTS_OF_ORDER

// Runs a query on one order; raises not_found when there is no such order, which is the same as no row.
pg::Result query_order(pg::Plan& plan, const pg::Call& call) {
    core::OrderId id = call.required_uuid(0, "order_id");
    if (!core::is_order_id(id)) orders::raise_order_not_found(id);
    pg::Result rows =
        plan.run(pg::Access::reads, {{pg::uuid_datum(id)}, {TimestampTzGetDatum(orders::birth_time(id))}});
    if (rows.empty()) orders::raise_order_not_found(id);
    return rows;
}

}  // namespace

OMS_FUNCTION(oms_get_order) {
    pg::Call call{fcinfo};
    return query_order(select_order, call).value(0, 0);
}

OMS_FUNCTION(oms_order_timeline) {
    pg::Call call{fcinfo};
    pg::Result rows = query_order(select_timeline, call);
    pg::RowSet answer{call};
    answer.add(rows);
    return Datum{0};
}

}  // namespace oms::api
