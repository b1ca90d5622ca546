// The answer of every order command: as a row, and as the bytes that idempotency keeps.
#include <bit>
#include <cstring>

#include "orders/orders.hpp"
#include "pg/memory.hpp"
#include "pg/raise.hpp"

#include "pg/poison.hpp"

namespace oms::orders {

namespace {

// Byte 0: the form, which also tells the byte order, so that a logical copy to another kind of machine is refused and not misread. Then the fixed
// part as it lies in memory, then four texts, each behind its length.
constexpr char form_1 = std::endian::native == std::endian::little ? 1 : 2;

struct FixedPart {
    std::uint8_t id[16];
    std::int64_t total_minor, paid_minor, refunded_minor, created_at, updated_at;
    std::int32_t version;
    std::uint32_t on_hold;
};
static_assert(sizeof(FixedPart) == 64);

char* put_text(char* to, std::string_view text) {
    auto length = static_cast<std::uint32_t>(text.size());
    std::memcpy(to, &length, sizeof(length));
    std::memcpy(to + sizeof(length), text.data(), text.size());
    return to + sizeof(length) + text.size();
}

std::string_view take_text(std::string_view& rest) {
    std::uint32_t length;
    std::memcpy(&length, rest.data(), sizeof(length));
    std::string_view text{rest.data() + sizeof(length), length};
    rest.remove_prefix(sizeof(length) + length);
    return text;
}

}  // namespace

std::string_view encode(const Order& order) {
    std::size_t size = 1 + sizeof(FixedPart) + 4 * sizeof(std::uint32_t) + order.status.size() +
                       order.customer_id.size() + order.currency.size() + order.pending_action.size();
    char* bytes = pg::allocate<char>(size).data();
    FixedPart fixed{{},
                    order.total_minor,
                    order.paid_minor,
                    order.refunded_minor,
                    order.created_at,
                    order.updated_at,
                    order.version,
                    order.on_hold ? 1U : 0U};
    std::memcpy(fixed.id, order.id.bytes.data(), sizeof(fixed.id));
    bytes[0] = form_1;
    std::memcpy(bytes + 1, &fixed, sizeof(fixed));
    char* end = bytes + 1 + sizeof(fixed);
    for (std::string_view text : {order.status, order.customer_id, order.currency, order.pending_action}) {
        end = put_text(end, text);
    }
    return {bytes, size};
}

Order decode(std::string_view bytes) {
    if (bytes.size() < 1 + sizeof(FixedPart) || bytes[0] != form_1) {
        pg::raise(pg::Error::layout_changed, {.message = "a stored answer has a form that this library does not know",
                                              .detail = pg::format("It is %zu bytes long.", bytes.size()),
                                              .hint = "Install the newer version of the library that wrote it."});
    }
    FixedPart fixed;
    std::memcpy(&fixed, bytes.data() + 1, sizeof(fixed));
    bytes.remove_prefix(1 + sizeof(fixed));
    Order order{};
    std::memcpy(order.id.bytes.data(), fixed.id, sizeof(fixed.id));
    order.total_minor = fixed.total_minor;
    order.paid_minor = fixed.paid_minor;
    order.refunded_minor = fixed.refunded_minor;
    order.created_at = fixed.created_at;
    order.updated_at = fixed.updated_at;
    order.version = fixed.version;
    order.on_hold = fixed.on_hold != 0;
    order.status = take_text(bytes);
    order.customer_id = take_text(bytes);
    order.currency = take_text(bytes);
    order.pending_action = take_text(bytes);
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
