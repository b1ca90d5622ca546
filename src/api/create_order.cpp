// oms.create_order: key -> check -> write order, items, event -> answer.
#include "api/new_order.hpp"
#include "api/request.hpp"

#include "pg/poison.hpp"

namespace oms::api {
namespace {

enum Argument : int { customer_id, currency, items, idempotency_key, external_ref, metadata };

}  // namespace

OMS_FUNCTION(oms_create_order) {
    pg::Call call{fcinfo};
    OrderRequest given{call.text(customer_id), call.text(currency), call.jsonb(items), call.text(external_ref),
                       call.jsonb(metadata)};

    idempotency::Ticket ticket =
        idempotency::begin(call.text(idempotency_key), create_order_operation, fingerprint_of(given));
    if (ticket.replayed) return orders::answer(call, orders::decode(ticket.answer), true);

    orders::NewOrder created = checked(given, "");
    orders::Order order;
    orders::insert({&created, 1}, {&order, 1});
    idempotency::finish(ticket, orders::encode(order));
    pg::end_of_command();
    return orders::answer(call, order, false);
}

}  // namespace oms::api
