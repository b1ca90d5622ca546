// What an order id says by itself, for routers and for those who look at one.
#include "core/ids.hpp"
#include "orders/orders.hpp"
#include "pg/entry.hpp"

#include "pg/poison.hpp"

namespace oms::api {

OMS_FUNCTION(oms_customer_hash) {
    pg::Call call{fcinfo};
    return Int32GetDatum(core::customer_hash(call.required_text(0, "customer_id")));
}

OMS_FUNCTION(oms_order_facts) {
    pg::Call call{fcinfo};
    core::OrderId id = call.required_uuid(0, "order_id");
    bool foreign = !core::is_order_id(id);
    const Datum values[] = {TimestampTzGetDatum(orders::birth_time(id)), Int32GetDatum(core::customer_hash_of(id))};
    const bool nulls[] = {foreign, foreign};
    return pg::composite_result(call, values, nulls);
}

}  // namespace oms::api
