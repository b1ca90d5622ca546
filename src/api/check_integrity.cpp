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
