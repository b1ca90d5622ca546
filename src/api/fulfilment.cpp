// What the built-in saga and the commands over it share.
#include "api/fulfilment.hpp"

#include "pg/raise.hpp"

#include "pg/poison.hpp"

namespace oms::api {

void lock_order(std::string_view order_id) {
    core::OrderId id;
    if (!core::parse_uuid(order_id, id)) {
        pg::raise(pg::Error::invalid_argument,
                  {.message = pg::format("%s is no order's id", pg::quoted(order_id)),
                   .detail = "The key of a saga that belongs to an order is the order's id.",
                   .hint = "Pass the order_id that oms.create_order answered."});
    }
    (void)orders::lock(id);
}

void set_pending(const core::OrderId& id, std::string_view action) {
    orders::change(id, std::nullopt,
                   [&](const orders::Order&, orders::Change& change) { change.next.pending_action = action; });
}

std::optional<saga::State> fulfilment_of(const core::OrderId& id) {
    return saga::find_by_key(fulfilment, orders::id_text(id));
}

}  // namespace oms::api
