// The answer of every order command: as a row, and as the bytes that idempotency keeps.
#include <cstring>

#include "orders/orders.hpp"
#include "pg/packed.hpp"

#include "pg/poison.hpp"

namespace oms::orders {

namespace {

struct FixedPart {
    std::uint8_t id[16];
    std::int64_t total_minor, paid_minor, refunded_minor, created_at, updated_at;
    std::int32_t version;
    std::uint32_t on_hold;
};
static_assert(sizeof(FixedPart) == 64);

}  // namespace

std::string_view encode(const Order& order) {
    FixedPart fixed{{},
                    order.total_minor,
                    order.paid_minor,
                    order.refunded_minor,
                    order.created_at,
                    order.updated_at,
                    order.version,
                    order.on_hold ? 1U : 0U};
    std::memcpy(fixed.id, order.id.bytes.data(), sizeof(fixed.id));
    return pg::pack(fixed, std::array{order.status, order.customer_id, order.currency, order.pending_action});
}

Order decode(std::string_view bytes) {
    const auto [fixed, texts] = pg::unpack<FixedPart, 4>(bytes);
    Order order{};
    std::memcpy(order.id.bytes.data(), fixed.id, sizeof(fixed.id));
    order.total_minor = fixed.total_minor;
    order.paid_minor = fixed.paid_minor;
    order.refunded_minor = fixed.refunded_minor;
    order.created_at = fixed.created_at;
    order.updated_at = fixed.updated_at;
    order.version = fixed.version;
    order.on_hold = fixed.on_hold != 0;
    order.status = texts[0];
    order.customer_id = texts[1];
    order.currency = texts[2];
    order.pending_action = texts[3];
    return order;
}

StateRow state_row(const Order& order, bool replayed) {
    StateRow row{};
    int i = 0;
    auto add = [&](Datum value) { row.values[static_cast<std::size_t>(i++)] = value; };
    add(pg::uuid_datum(order.id));
    add(pg::text_datum(order.status));
    add(Int32GetDatum(order.version));
    add(pg::text_datum(order.customer_id));
    add(pg::text_datum(order.currency));
    add(Int64GetDatum(order.total_minor));
    add(Int64GetDatum(order.paid_minor));
    add(Int64GetDatum(order.refunded_minor));
    add(BoolGetDatum(order.on_hold));
    row.nulls[static_cast<std::size_t>(i)] = order.pending_action.empty();
    add(order.pending_action.empty() ? Datum{0} : pg::text_datum(order.pending_action));
    add(TimestampTzGetDatum(order.created_at));
    add(TimestampTzGetDatum(order.updated_at));
    add(BoolGetDatum(replayed));
    return row;
}

Datum answer(const pg::Call& call, const Order& order, bool replayed) {
    StateRow row = state_row(order, replayed);
    return pg::composite_result(call, row.values.data(), row.nulls.data());
}

}  // namespace oms::orders
