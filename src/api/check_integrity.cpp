// oms.check_integrity: the invariants on live data. Each query returns violations; none is the expected answer.
#include "pg/entry.hpp"
#include "pg/plan.hpp"

#include "pg/poison.hpp"

namespace oms::api {
namespace {

constinit std::array checks{
    pg::Plan{
        "SELECT 'order_total', o.order_id::text, format('total_minor is %s, the items add up to %s', o.total_minor, "
        "sum(i.amount)) "
        "FROM oms.orders o LEFT JOIN LATERAL (SELECT i.qty::numeric * i.price_minor AS amount FROM oms.order_item i "
        "WHERE i.order_id = o.order_id AND i.created_at = o.created_at) i ON true "
        "GROUP BY o.order_id, o.total_minor HAVING o.total_minor IS DISTINCT FROM sum(i.amount)",
        {}},
    pg::Plan{"SELECT 'order_money', order_id::text, format('paid %s, refunded %s, status %s', paid_minor, "
             "refunded_minor, status) "
             "FROM oms.orders WHERE refunded_minor > paid_minor OR refunded_minor < 0",
             {}},
    pg::Plan{"SELECT 'order_status', order_id::text, format('status %s is not in oms.order_status', status) "
             "FROM oms.orders WHERE status NOT IN (SELECT s.status FROM oms.order_status s)",
             {}},
    pg::Plan{"SELECT 'order_timeline', o.order_id::text, format('the row says seq 1 to %s, events %s to %s; the log "
             "has %s events, seq %s to %s', "
             "o.last_seq, o.first_event_id, o.last_event_id, e.events, e.first_seq, e.last_seq) "
             "FROM oms.orders o LEFT JOIN (SELECT aggregate_id, count(*) AS events, min(seq) AS first_seq, max(seq) AS "
             "last_seq, "
             "min(id) AS first_id, max(id) AS last_id, count(DISTINCT seq) AS seqs FROM oms.event WHERE aggregate_type "
             "= 'order' "
             "GROUP BY aggregate_id) e ON e.aggregate_id = o.order_id::text "
             "WHERE (o.last_seq, o.last_seq, 1::bigint, o.last_seq, o.first_event_id, o.last_event_id) "
             "IS DISTINCT FROM (e.events, e.seqs, e.first_seq, e.last_seq, e.first_id, e.last_id)",
             {}},
    pg::Plan{"SELECT 'order_timeline', e.aggregate_id, format('event %s belongs to no order', e.id) FROM oms.event e "
             "WHERE e.aggregate_type = 'order' AND NOT EXISTS (SELECT FROM oms.orders o WHERE o.order_id::text = "
             "e.aggregate_id)",
             {}},
    pg::Plan{"SELECT 'stream', format('%s %s', s.aggregate_type, s.aggregate_id), format('the head says version %s; "
             "the log has %s events', "
             "s.version, coalesce(e.events, 0)) FROM oms.stream s LEFT JOIN (SELECT aggregate_type, aggregate_id, "
             "count(*) AS events, "
             "max(seq) AS last_seq, min(id) AS first_id, max(id) AS last_id FROM oms.event WHERE aggregate_type <> "
             "'order' GROUP BY 1, 2) e "
             "USING (aggregate_type, aggregate_id) WHERE (s.version, s.version, s.first_event_id, s.last_event_id) "
             "IS DISTINCT FROM (e.events, e.last_seq, e.first_id, e.last_id)",
             {}},
    pg::Plan{"SELECT 'event_order', format('%s %s', aggregate_type, aggregate_id), format('event %s has seq %s, but an "
             "earlier id than its predecessor', "
             "id, seq) FROM (SELECT *, lag(id) OVER (PARTITION BY aggregate_type, aggregate_id ORDER BY seq) AS "
             "previous FROM oms.event) e "
             "WHERE previous > id",
             {}},
    pg::Plan{"SELECT 'order_id', o.order_id::text, 'created_at or the customer is not the one in the id' "
             "FROM oms.orders o, LATERAL oms.order_facts(o.order_id) f "
             "WHERE (o.created_at, oms.customer_hash(o.customer_id)) IS DISTINCT FROM (f.created_at, f.customer_hash)",
             {}},
    // Stock.
    pg::Plan{"SELECT 'stock', coalesce(s.sku, r.sku), format('on hand %s, reserved %s; the reservations add up to %s', "
             "s.on_hand, s.reserved, "
             "coalesce(r.reserved, 0)) FROM (SELECT sku, sum(on_hand) AS on_hand, sum(reserved) AS reserved, "
             "min(on_hand - reserved) AS least, "
             "min(reserved) AS least_reserved FROM oms.stock GROUP BY sku) s FULL JOIN (SELECT sku, sum(qty) AS "
             "reserved FROM oms.reservation "
             "WHERE status = 'reserved' GROUP BY sku) r USING (sku) WHERE s.reserved IS DISTINCT FROM "
             "coalesce(r.reserved, 0) "
             "OR s.least < 0 OR s.least_reserved < 0",
             {}},
    pg::Plan{"SELECT 'stock_buckets', sku, format('%s rows say that there are %s to %s', count(*), min(buckets), "
             "max(buckets)) FROM oms.stock "
             "GROUP BY sku HAVING (count(*), count(*), count(*)) IS DISTINCT FROM (min(buckets), max(buckets), "
             "max(bucket) + 1)",
             {}},
    pg::Plan{"SELECT 'reservation', r.order_id::text, format('%s of %s are reserved for an order that is %s', r.qty, "
             "r.sku, coalesce(o.status, "
             "'not there')) FROM oms.reservation r LEFT JOIN oms.orders o USING (order_id, created_at) WHERE r.status "
             "= 'reserved' AND "
             "(o.order_id IS NULL OR o.status IN ('canceled', 'refunded', 'shipped', 'completed'))",
             {}},
    // Money. What a payment says of itself, its operations and refunds, the ledger, and its order agree.
    pg::Plan{"SELECT 'payment', p.payment_id::text, format('authorized %s, captured %s, refunded %s and %s pending; "
             "its refunds add up to %s and "
             "%s', p.authorized_minor, p.captured_minor, p.refunded_minor, p.refund_pending_minor, r.done, r.pending) "
             "FROM oms.payment p "
             "LEFT JOIN LATERAL (SELECT coalesce(sum(r.amount_minor) FILTER (WHERE r.status = 'done'), 0) AS done, "
             "coalesce(sum(r.amount_minor) FILTER (WHERE r.status = 'pending'), 0) AS pending FROM oms.refund r "
             "WHERE r.payment_id = p.payment_id AND r.created_at = p.created_at) r ON true "
             "WHERE (p.refunded_minor, p.refund_pending_minor) IS DISTINCT FROM (r.done, r.pending) "
             "OR p.refunded_minor + p.refund_pending_minor > p.captured_minor OR p.captured_minor > p.authorized_minor",
             {}},
    pg::Plan{"SELECT 'payment_operation', o.operation_id::text, format('it is %s, its %s is %s', o.status, o.kind, "
             "coalesce(r.status, 'missing')) "
             "FROM oms.payment_operation o LEFT JOIN oms.refund r ON r.refund_id = o.operation_id AND r.created_at = "
             "o.created_at "
             "WHERE o.kind = 'refund' AND r.status IS DISTINCT FROM CASE o.status WHEN 'succeeded' THEN 'done' WHEN "
             "'failed' THEN 'failed' "
             "ELSE 'pending' END",
             {}},
    pg::Plan{"SELECT 'ledger', operation_id::text, format('its entries add up to %s', sum(amount_minor)) FROM "
             "oms.ledger_entry "
             "GROUP BY operation_id, currency HAVING sum(amount_minor) <> 0",
             {}},
    pg::Plan{"SELECT 'ledger', p.payment_id::text, format('the customer''s entries add up to %s, the payment captured "
             "%s and refunded %s', "
             "l.balance, p.captured_minor, p.refunded_minor) FROM oms.payment p LEFT JOIN LATERAL (SELECT "
             "coalesce(sum(-l.amount_minor), 0) AS "
             "balance FROM oms.ledger_entry l WHERE l.order_id = p.order_id AND l.created_at = p.created_at AND "
             "l.payment_id = p.payment_id "
             "AND l.account = 'customer') l ON true WHERE l.balance <> p.captured_minor - p.refunded_minor",
             {}},
    pg::Plan{"SELECT 'payment_timeline', p.payment_id::text, format('the row says seq 1 to %s; the log has %s events, "
             "seq %s to %s', p.last_seq, "
             "e.events, e.first_seq, e.last_seq) FROM oms.payment p LEFT JOIN (SELECT aggregate_id, count(*) AS "
             "events, min(seq) AS first_seq, "
             "max(seq) AS last_seq, min(id) AS first_id, max(id) AS last_id FROM oms.event WHERE aggregate_type = "
             "'payment' GROUP BY 1) e "
             "ON e.aggregate_id = p.payment_id::text WHERE (p.last_seq, p.last_seq, 1::bigint, p.first_event_id, "
             "p.last_event_id) "
             "IS DISTINCT FROM (e.events, e.last_seq, e.first_seq, e.first_id, e.last_id)",
             {}},
    // An order that another operation has is between two truths. What its payments gave back before it was paid it does not count.
    pg::Plan{
        "SELECT 'order_payments', o.order_id::text, format('it says paid %s, refunded %s; its payments hold or "
        "captured %s and refunded %s', "
        "o.paid_minor, o.refunded_minor, p.taken, p.refunded) FROM oms.orders o JOIN (SELECT order_id, created_at, "
        "sum(CASE WHEN status IN "
        "('declined', 'voided') THEN 0 WHEN captured_minor > 0 THEN captured_minor ELSE amount_minor END) AS taken, "
        "sum(refunded_minor) AS refunded FROM oms.payment GROUP BY 1, 2) p USING (order_id, created_at) "
        "WHERE o.pending_action IS NULL AND o.paid_minor > 0 AND (o.paid_minor - o.refunded_minor > p.taken - "
        "p.refunded "
        "OR o.refunded_minor > p.refunded)",
        {}},
    pg::Plan{"SELECT 'goods_before_money', o.order_id::text, format('its goods went back, its payments hold %s', "
             "p.held) FROM oms.orders o "
             "JOIN (SELECT order_id, created_at, sum(CASE WHEN status IN ('declined', 'voided') THEN 0 WHEN "
             "captured_minor > 0 THEN "
             "captured_minor - refunded_minor ELSE amount_minor END) AS held FROM oms.payment GROUP BY 1, 2) p USING "
             "(order_id, created_at) "
             "WHERE p.held > 0 AND o.status IN ('canceled', 'refunded') AND EXISTS (SELECT FROM oms.reservation r "
             "WHERE r.order_id = o.order_id "
             "AND r.created_at = o.created_at AND (r.status IN ('released', 'expired') OR r.returned_at IS NOT NULL))",
             {}},
    // Shipments. What was ordered bounds what is carried; an order that is over has nothing that could still leave; one that nobody forced is shipped
    // when all of it has left.
    pg::Plan{
        "SELECT 'shipment', o.order_id::text, format('its shipments carry %s of line %s (%s), ordered are %s', c.qty, "
        "c.line_no, c.sku, coalesce(i.qty, 0)) FROM (SELECT s.order_id, s.created_at, l.line_no, l.sku, sum(l.qty) AS "
        "qty FROM oms.shipment s JOIN oms.shipment_item l USING (order_id, created_at, shipment_id) WHERE s.status IN "
        "('pending', 'created', 'shipped', 'delivered') GROUP BY 1, 2, 3, 4) c JOIN oms.orders o USING (order_id, "
        "created_at) LEFT JOIN oms.order_item i USING (order_id, created_at, line_no, sku) WHERE c.qty > "
        "coalesce(i.qty, 0)",
        {}},
    pg::Plan{
        "SELECT 'shipment', s.shipment_id::text, CASE WHEN o.order_id IS NULL THEN 'its order is not there' ELSE 'it "
        "carries nothing' END FROM oms.shipment s LEFT JOIN oms.orders o USING (order_id, created_at) WHERE o.order_id "
        "IS NULL OR NOT EXISTS (SELECT FROM oms.shipment_item l WHERE l.order_id = s.order_id AND l.created_at = "
        "s.created_at AND l.shipment_id = s.shipment_id)",
        {}},
    pg::Plan{
        "SELECT 'shipment_timeline', s.shipment_id::text, format('the row says %s at seq %s; the log has %s events, "
        "the last says %s', s.status, s.last_seq, e.events, e.status) FROM oms.shipment s LEFT JOIN (SELECT "
        "aggregate_id, count(*) AS events, min(seq) AS first_seq, max(seq) AS last_seq, min(id) AS first_id, max(id) "
        "AS last_id, (array_agg(payload ->> 'status' ORDER BY seq DESC))[1] AS status FROM oms.event WHERE "
        "aggregate_type = 'shipment' GROUP BY 1) e ON e.aggregate_id = s.shipment_id::text WHERE (s.last_seq, "
        "s.last_seq, 1::bigint, s.first_event_id, s.last_event_id, s.status) IS DISTINCT FROM (e.events, e.last_seq, "
        "e.first_seq, e.first_id, e.last_id, e.status)",
        {}},
    pg::Plan{
        "SELECT 'shipment_order', s.shipment_id::text, format('it is %s, its order %s', s.status, o.status) FROM "
        "oms.shipment s JOIN oms.orders o USING (order_id, created_at) JOIN oms.order_status t ON t.status = o.status "
        "WHERE s.status IN ('pending', 'created') AND (t.is_final OR t.status = 'completed')",
        {}},
    pg::Plan{
        "SELECT 'shipment_order', o.order_id::text, format('it is %s, and of line %s (%s) only %s of %s have left', "
        "o.status, i.line_no, i.sku, coalesce(c.qty, 0), i.qty) FROM oms.orders o JOIN oms.order_item i USING "
        "(order_id, created_at) LEFT JOIN (SELECT s.order_id, s.created_at, l.line_no, sum(l.qty) AS qty FROM "
        "oms.shipment s JOIN oms.shipment_item l USING (order_id, created_at, shipment_id) WHERE s.shipped_at IS NOT "
        "NULL GROUP BY 1, 2, 3) c USING (order_id, created_at, line_no) WHERE o.status IN ('shipped', 'completed') "
        "AND coalesce(c.qty, 0) < i.qty AND EXISTS (SELECT FROM oms.shipment s WHERE s.order_id = o.order_id AND "
        "s.created_at = o.created_at AND s.shipped_at IS NOT NULL) AND NOT EXISTS (SELECT FROM oms.event e WHERE e.id "
        "BETWEEN o.first_event_id AND o.last_event_id AND e.aggregate_id = o.order_id::text AND e.aggregate_type = "
        "'order' AND e.type = 'order.forced')",
        {}},
    pg::Plan{
        "SELECT 'saga_progress', s.saga_id::text, format('%s, and no timer will wake it', s.status) FROM oms.saga s "
        "WHERE s.status IN ('running', 'compensating') AND NOT EXISTS (SELECT FROM oms.timer t "
        "WHERE t.kind = 6 AND t.subject_id = s.saga_id AND (t.due_at <= s.wake_at OR t.failures > 0))",
        {}},
    pg::Plan{"SELECT 'saga_outcome', s.saga_id::text, format('compensated, but step %s is %s', t.name, t.status) FROM "
             "oms.saga s "
             "JOIN oms.saga_step t USING (saga_id) WHERE s.status = 'compensated' AND (t.status IN ('pending', "
             "'running', 'waiting', "
             "'completed', 'compensating', 'compensation_failed') OR t.status = 'failed' AND t.unknown)",
             {}},
    pg::Plan{"SELECT 'saga_outcome', s.saga_id::text, format('completed, but step %s is %s', t.name, t.status) FROM "
             "oms.saga s "
             "JOIN oms.saga_step t USING (saga_id) WHERE s.status = 'completed' AND t.status NOT IN ('completed', "
             "'skipped')",
             {}},
    pg::Plan{"SELECT 'saga_timeline', s.saga_id::text, format('the row says seq 1 to %s; the log has %s events', "
             "s.last_seq, "
             "coalesce(e.events, 0)) FROM oms.saga s LEFT JOIN (SELECT aggregate_id, count(*) AS events, max(seq) AS "
             "last_seq FROM oms.event "
             "WHERE aggregate_type = 'saga' GROUP BY 1) e ON e.aggregate_id = s.saga_id::text "
             "WHERE (s.last_seq, s.last_seq) IS DISTINCT FROM (e.events, e.last_seq)",
             {}},
    pg::Plan{
        "SELECT 'saga_order', o.order_id::text, format('pending_action is %s, but no saga has the order', "
        "o.pending_action) "
        "FROM oms.orders o WHERE o.pending_action IN ('paying', 'canceling') AND NOT EXISTS (SELECT FROM oms.saga s "
        "WHERE s.key = o.order_id::text AND s.definition = 'order_fulfilment' AND s.finished_at IS NULL)",
        {}},
    pg::Plan{
        "SELECT 'queued_command', c.command_id::text, CASE WHEN o.order_id IS NULL THEN 'its order is not there' ELSE "
        "'it waits, and no timer will look at it' END FROM oms.queued_command c LEFT JOIN oms.orders o USING "
        "(order_id) "
        "WHERE c.status = 'waiting' AND (o.order_id IS NULL OR NOT EXISTS (SELECT FROM oms.timer t WHERE t.kind = 13 "
        "AND t.subject_id = c.command_id AND (t.due_at <= c.give_up_at OR t.failures > 0)) OR o.pending_action IS NULL "
        "AND c.attempts = 0 AND c.command_id = (SELECT min(f.command_id) FROM oms.queued_command f WHERE f.status = "
        "'waiting' AND f.order_id = c.order_id) AND NOT EXISTS (SELECT FROM oms.timer t WHERE t.kind = 13 AND t.data "
        "->> 'order_id' = c.order_id::text AND (t.due_at < c.give_up_at OR t.failures > 0)))",
        {}},
};

}  // namespace

OMS_FUNCTION(oms_check_integrity) {
    pg::Call call{fcinfo};
    pg::RowSet answer{call};
    for (pg::Plan& check : checks) {
        CHECK_FOR_INTERRUPTS();
        answer.add(check.run(pg::Access::reads, {}));
    }
    return Datum{0};
}

}  // namespace oms::api
