// The rows of orders and their items: reading one, writing its next version, inserting new ones.
#include "log/log.hpp"
#include "orders/events.hpp"
#include "orders/orders.hpp"
#include "pg/memory.hpp"
#include "pg/plan.hpp"
#include "pg/random.hpp"
#include "pg/raise.hpp"
#include "pg/settings.hpp"
#include "pg/table_walk.hpp"

#include "pg/poison.hpp"

namespace oms::orders {

namespace {

namespace order_field {
enum : int {
    order_id,
    customer_id,
    status,
    on_hold,
    hold_reason,
    pending_action,
    currency,
    total_minor,
    paid_minor,
    refunded_minor,
    version,
    external_ref,
    metadata,
    created_at,
    updated_at,
    last_seq,
    first_event_id,
    last_event_id
};
}

constexpr std::array order_columns{
    pg::Column{"order_id", UUIDOID},
    pg::Column{"customer_id", TEXTOID},
    pg::Column{"status", TEXTOID},
    pg::Column{"on_hold", BOOLOID},
    pg::Column{"hold_reason", TEXTOID, true},
    pg::Column{"pending_action", TEXTOID, true},
    pg::Column{"currency", TEXTOID},
    pg::Column{"total_minor", INT8OID},
    pg::Column{"paid_minor", INT8OID},
    pg::Column{"refunded_minor", INT8OID},
    pg::Column{"version", INT4OID},
    pg::Column{"external_ref", TEXTOID, true},
    pg::Column{"metadata", JSONBOID, true},
    pg::Column{"created_at", TIMESTAMPTZOID},
    pg::Column{"updated_at", TIMESTAMPTZOID},
    pg::Column{"last_seq", INT8OID},
    pg::Column{"first_event_id", INT8OID},
    pg::Column{"last_event_id", INT8OID},
};
constexpr std::array order_key{static_cast<int>(order_field::order_id), static_cast<int>(order_field::created_at)};
constexpr pg::TableDefinition order_definition{.name = "orders",
                                               .columns = order_columns,
                                               .key = order_key,
                                               .routing_column = order_field::created_at,
                                               .checks = 1};
constinit pg::Table order_table{order_definition};

namespace item_field {
enum : int { order_id, created_at, line_no, sku, qty, price_minor, details };
}

constexpr std::array item_columns{
    pg::Column{"order_id", UUIDOID},
    pg::Column{"created_at", TIMESTAMPTZOID},
    pg::Column{"line_no", INT4OID},
    pg::Column{"sku", TEXTOID},
    pg::Column{"qty", INT8OID},
    pg::Column{"price_minor", INT8OID},
    pg::Column{"details", JSONBOID, true},
};
constexpr pg::TableDefinition item_definition{
    .name = "order_item", .columns = item_columns, .key = {}, .routing_column = item_field::created_at, .checks = 1};
constinit pg::Table items_table{item_definition};

std::string_view text_or_empty(const pg::Row& row, int column) {
    return row.is_null(column) ? std::string_view{} : pg::text_view(row.value(column));
}

void set_text_or_null(pg::RowValues& row, int column, std::string_view text) {
    if (text.empty()) {
        row.set_null(column);
    } else {
        row.set(column, pg::text_datum(text));
    }
}

// The columns that a change may touch. None of them is in an index of ours, so that the new version stays on its page.
constexpr std::array changing_columns{
    static_cast<int>(order_field::status),         static_cast<int>(order_field::on_hold),
    static_cast<int>(order_field::hold_reason),    static_cast<int>(order_field::pending_action),
    static_cast<int>(order_field::total_minor),    static_cast<int>(order_field::paid_minor),
    static_cast<int>(order_field::refunded_minor), static_cast<int>(order_field::version),
    static_cast<int>(order_field::updated_at),     static_cast<int>(order_field::last_seq),
    static_cast<int>(order_field::last_event_id),
};

void set_changing_columns(pg::RowValues& row, const Order& order) {
    // What the table's CHECK says: the direct way in does not ask it.
    Assert(order.total_minor >= 0 && order.refunded_minor >= 0 && order.refunded_minor <= order.paid_minor);
    row.set(order_field::status, pg::text_datum(order.status));
    row.set(order_field::on_hold, BoolGetDatum(order.on_hold));
    set_text_or_null(row, order_field::hold_reason, order.hold_reason);
    set_text_or_null(row, order_field::pending_action, order.pending_action);
    row.set(order_field::total_minor, Int64GetDatum(order.total_minor));
    row.set(order_field::paid_minor, Int64GetDatum(order.paid_minor));
    row.set(order_field::refunded_minor, Int64GetDatum(order.refunded_minor));
    row.set(order_field::version, Int32GetDatum(order.version));
    row.set(order_field::updated_at, TimestampTzGetDatum(order.updated_at));
    row.set(order_field::last_seq, Int64GetDatum(order.last_seq));
    row.set(order_field::last_event_id, Int64GetDatum(order.last_event_id));
}

pg::RowValues order_row(const Order& order, const NewOrder& created) {
    pg::RowValues row;
    row.set(order_field::order_id, pg::uuid_datum(order.id));
    row.set(order_field::customer_id, pg::text_datum(order.customer_id));
    row.set(order_field::currency, pg::text_datum(order.currency));
    if (created.external_ref) {
        row.set(order_field::external_ref, pg::text_datum(*created.external_ref));
    } else {
        row.set_null(order_field::external_ref);
    }
    if (created.metadata != nullptr) {
        row.set(order_field::metadata, pg::jsonb_datum(created.metadata));
    } else {
        row.set_null(order_field::metadata);
    }
    row.set(order_field::created_at, TimestampTzGetDatum(order.created_at));
    row.set(order_field::first_event_id, Int64GetDatum(order.first_event_id));
    set_changing_columns(row, order);
    return row;
}

void item_rows(const Order& order, std::span<const Item> items, std::span<pg::RowValues> rows) {
    Datum id = pg::uuid_datum(order.id);
    for (std::size_t i = 0; i < items.size(); ++i) {
        const Item& item = items[i];
        rows[i].set(item_field::order_id, id);
        rows[i].set(item_field::created_at, TimestampTzGetDatum(order.created_at));
        rows[i].set(item_field::line_no, Int32GetDatum(static_cast<std::int32_t>(i + 1)));
        rows[i].set(item_field::sku, pg::text_datum(item.sku));
        rows[i].set(item_field::qty, Int64GetDatum(item.qty));
        rows[i].set(item_field::price_minor, Int64GetDatum(item.price_minor));
        if (item.details != nullptr) {
            rows[i].set(item_field::details, pg::jsonb_datum(item.details));
        } else {
            rows[i].set_null(item_field::details);
        }
    }
}

constexpr std::array item_lines{static_cast<int>(item_field::order_id), static_cast<int>(item_field::line_no)};

constinit pg::Plan delete_items{
    "DELETE FROM oms.order_item WHERE order_id OPERATOR(pg_catalog.=) $1 "
    "AND created_at OPERATOR(pg_catalog.=) $2",
    {UUIDOID, TIMESTAMPTZOID},
    pg::Planned::by_index};

// A new order as it will stand in the table: born now, pending, with its first event's id drawn.
Order born(const NewOrder& created, std::int64_t now) {
    Order order{};
    order.id = core::make_order_id(pg::unix_us(now), core::customer_hash(created.customer_id), pg::random_bits());
    order.customer_id = created.customer_id;
    order.status = core::order_status::pending;
    order.currency = created.currency;
    order.total_minor = created.list.total_minor;
    order.created_at = birth_time(order.id);
    order.updated_at = order.created_at;
    order.last_seq = 1;
    order.first_event_id = order.last_event_id = log::draw_id().value;
    return order;
}

// The order with views of its own, which outlive the open row.
Order detached(const Order& order) {
    Order copy = order;
    copy.customer_id = pg::copied(order.customer_id);
    copy.status = pg::copied(order.status);
    copy.currency = pg::copied(order.currency);
    copy.pending_action = pg::copied(order.pending_action);
    copy.hold_reason = pg::copied(order.hold_reason);
    return copy;
}

}  // namespace

std::int64_t birth_time(const core::OrderId& id) { return pg::postgres_us(core::order_time_us(id)); }

Order read(const pg::Row& row) {
    Order order{};
    std::memcpy(order.id.bytes.data(), DatumGetUUIDP(row.value(order_field::order_id))->data, order.id.bytes.size());
    order.customer_id = pg::text_view(row.value(order_field::customer_id));
    order.status = pg::text_view(row.value(order_field::status));
    order.hold_reason = text_or_empty(row, order_field::hold_reason);
    order.pending_action = text_or_empty(row, order_field::pending_action);
    order.currency = pg::text_view(row.value(order_field::currency));
    order.total_minor = DatumGetInt64(row.value(order_field::total_minor));
    order.paid_minor = DatumGetInt64(row.value(order_field::paid_minor));
    order.refunded_minor = DatumGetInt64(row.value(order_field::refunded_minor));
    order.version = DatumGetInt32(row.value(order_field::version));
    order.on_hold = DatumGetBool(row.value(order_field::on_hold));
    order.created_at = DatumGetTimestampTz(row.value(order_field::created_at));
    order.updated_at = DatumGetTimestampTz(row.value(order_field::updated_at));
    order.last_seq = DatumGetInt64(row.value(order_field::last_seq));
    order.first_event_id = DatumGetInt64(row.value(order_field::first_event_id));
    order.last_event_id = DatumGetInt64(row.value(order_field::last_event_id));
    return order;
}

Order write(pg::Row& row, const Order& before, Change& change) {
    Order& next = change.next;
    if (is_final(next.status)) {
        // A hold keeps something from going on; nothing goes on from here.
        next.on_hold = false;
        next.hold_reason = {};
    }
    next.version = before.version + 1;
    next.updated_at = pg::now_us();
    std::array<log::NewEvent, events_max> events;
    for (unsigned i = 0; i < change.event_count; ++i) {
        next.last_event_id = log::draw_id().value;
        next.last_seq = before.last_seq + i + 1;
        events[i] = event_of(before, next, change.events[i]);
    }
    pg::RowValues values;
    set_changing_columns(values, next);
    row.update(values, changing_columns);
    log::append({events.data(), change.event_count});

    return detached(next);
}

void insert(std::span<const NewOrder> created, std::span<Order> answers) {
    std::int64_t now = pg::now_us();
    std::size_t item_count = 0;
    for (const NewOrder& order : created) item_count += order.list.items.size();
    std::span<pg::RowValues> orders = pg::allocate<pg::RowValues>(created.size());
    std::span<pg::RowValues> items = pg::allocate<pg::RowValues>(item_count);
    std::span<log::NewEvent> events = pg::allocate<log::NewEvent>(created.size());

    std::size_t first_item = 0;
    for (std::size_t i = 0; i < created.size(); ++i) {
        CHECK_FOR_INTERRUPTS();
        const NewOrder& order = created[i];
        answers[i] = born(order, now);
        orders[i] = order_row(answers[i], order);
        item_rows(answers[i], order.list.items, items.subspan(first_item, order.list.items.size()));
        first_item += order.list.items.size();
        events[i] = created_event(answers[i], order);
    }
    order_table.insert_many(orders);
    items_table.insert_many(items);
    log::append(events);
}

Order lock(const core::OrderId& id) {
    if (!core::is_order_id(id)) raise_order_not_found(id);
    const Datum key[] = {pg::uuid_datum(id), TimestampTzGetDatum(birth_time(id))};
    Order order{};
    bool found = order_table.with_row(key, pg::RowLock::for_update, [&](pg::Row& row) { order = detached(read(row)); });
    if (!found) raise_order_not_found(id);
    return order;
}

std::span<const Item> items_of(const Order& order) {
    pg::Array<Item> found;
    const std::array equal{pg::uuid_datum(order.id)};
    pg::walk_now(items_table, {.columns = item_lines, .equal = equal, .routing = order.created_at}, [&](pg::Row& row) {
        found.push({.sku = pg::copied(pg::text_view(row.value(item_field::sku))),
                    .qty = DatumGetInt64(row.value(item_field::qty)),
                    .price_minor = DatumGetInt64(row.value(item_field::price_minor)),
                    .details = row.is_null(item_field::details) ? nullptr
                                                                : DatumGetJsonbPCopy(row.value(item_field::details))});
    });
    return found.span();
}

void replace_items(const Order& order, std::span<const Item> items) {
    delete_items.run(pg::Access::writes, {{pg::uuid_datum(order.id)}, {TimestampTzGetDatum(order.created_at)}});
    std::span<pg::RowValues> rows = pg::allocate<pg::RowValues>(items.size());
    item_rows(order, items, rows);
    items_table.insert_many(rows);
}

pg::Table& table() { return order_table; }
pg::Table& item_table() { return items_table; }

}  // namespace oms::orders
