// oms.get_payment and oms.list_payments.
#include "api/filter.hpp"
#include "api/request.hpp"
#include "payments/payments.hpp"
#include "pg/plan.hpp"

#include "pg/poison.hpp"

namespace oms::api {
namespace {

enum Argument : int { filter, cursor, limit };
// The row's own first and last event ids prune the log to the partitions that hold the payment's events.
constinit pg::Plan select_payment{
    "SELECT to_jsonb(p) - '{created_at, last_seq, first_event_id, last_event_id}'::text[] || jsonb_build_object("
    "'operations', (SELECT jsonb_agg(to_jsonb(o) - '{payment_id, order_id, created_at}'::text[] ORDER BY "
    "o.requested_at, o.operation_id) "
    "FROM oms.payment_operation o WHERE o.payment_id = p.payment_id AND o.created_at = p.created_at),"
    "'refunds', coalesce((SELECT jsonb_agg(to_jsonb(r) - '{payment_id, order_id, created_at}'::text[] ORDER BY "
    "r.requested_at, r.refund_id) "
    "FROM oms.refund r WHERE r.payment_id = p.payment_id AND r.created_at = p.created_at), '[]'),"
    "'ledger', coalesce((SELECT jsonb_agg(jsonb_build_object('operation_id', l.operation_id, 'account', l.account, "
    "'amount_minor', "
    "l.amount_minor, 'currency', l.currency, 'recorded_at', l.recorded_at) ORDER BY l.recorded_at, l.operation_id, "
    "l.line_no) "
    "FROM oms.ledger_entry l WHERE l.order_id = p.order_id AND l.created_at = p.created_at AND l.payment_id = "
    "p.payment_id), '[]'),"
    "'timeline', (SELECT jsonb_agg(jsonb_build_object('seq', e.seq, 'type', e.type, 'occurred_at', e.occurred_at, "
    "'actor', e.headers -> 'actor', 'payload', e.payload) ORDER BY e.seq) FROM oms.event e "
    "WHERE e.id BETWEEN p.first_event_id AND p.last_event_id AND e.aggregate_id = p.payment_id::text AND "
    "e.aggregate_type = 'payment'))"
    " FROM oms.payment p WHERE p.payment_id = $1 AND p.created_at = $2",
    {UUIDOID, TIMESTAMPTZOID},
    pg::Planned::by_index};

constexpr std::array known{
    FilterMember{"order_id", FilterKind::uuid, " AND order_id = %d"},
    FilterMember{"status", FilterKind::text_or_list, " AND status = ANY (%d)"},
    FilterMember{"provider", FilterKind::text, " AND provider = %d"},
    FilterMember{"currency", FilterKind::text, " AND currency = %d"},
    FilterMember{"initiated_from", FilterKind::time, " AND initiated_at >= %d"},
    FilterMember{"initiated_to", FilterKind::time, " AND initiated_at < %d"},
};

}  // namespace

OMS_FUNCTION(oms_get_payment) {
    pg::Call call{fcinfo};
    core::PaymentId id{call.required_uuid(0, "payment_id")};
    if (!core::is_order_id(id.value)) payments::raise_payment_not_found(id);
    pg::Result rows = select_payment.run(
        pg::Access::reads, {{pg::uuid_datum(id.value)}, {TimestampTzGetDatum(orders::birth_time(id.value))}});
    if (rows.empty()) payments::raise_payment_not_found(id);
    return rows.value(0, 0);
}

OMS_FUNCTION(oms_list_payments) {
    pg::Call call{fcinfo};
    Query query{
        "SELECT payment_id, order_id, status, version, currency, amount_minor, authorized_minor, captured_minor, "
        "refunded_minor, "
        "refund_pending_minor, provider, provider_ref, reason, operation_id, capture_due_at, initiated_at, updated_at, "
        "payment_id::text AS next_cursor FROM oms.payment WHERE true"};
    append_conditions(query, call.jsonb(filter), known);
    if (std::optional<std::string_view> position = call.text(cursor)) {
        core::OrderId last;
        if (!core::parse_uuid(*position, last) || !core::is_order_id(last)) raise_bad_cursor(*position);
        query.append(" AND payment_id < %d", UUIDOID, pg::uuid_datum(last));
        // Says the same of the time in the id, and spares the partitions behind it.
        query.append(" AND created_at <= %d", TIMESTAMPTZOID, TimestampTzGetDatum(orders::birth_time(last)));
    }
    query.append(" ORDER BY payment_id DESC");
    return answer_page(call, query, limit);
}

}  // namespace oms::api
