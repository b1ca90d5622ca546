// The rows of shipments and their lines.
#include "shipments/rows.hpp"

#include <array>
#include <cstring>

#include "pg/memory.hpp"
#include "pg/plan.hpp"
#include "pg/settings.hpp"

#include "pg/poison.hpp"

namespace oms::shipments {

namespace {

namespace field {
enum : int {
    shipment_id,
    order_id,
    created_at,
    status,
    carrier,
    tracking,
    assignee,
    metadata,
    reason,
    step_id,
    version,
    requested_at,
    updated_at,
    shipped_at,
    delivered_at,
    last_seq,
    first_event_id,
    last_event_id
};
}

constexpr std::array columns{
    pg::Column{"shipment_id", UUIDOID},
    pg::Column{"order_id", UUIDOID},
    pg::Column{"created_at", TIMESTAMPTZOID},
    pg::Column{"status", TEXTOID},
    pg::Column{"carrier", TEXTOID, true},
    pg::Column{"tracking", TEXTOID, true},
    pg::Column{"assignee", TEXTOID, true},
    pg::Column{"metadata", JSONBOID, true},
    pg::Column{"reason", TEXTOID, true},
    pg::Column{"step_id", INT8OID, true},
    pg::Column{"version", INT4OID},
    pg::Column{"requested_at", TIMESTAMPTZOID},
    pg::Column{"updated_at", TIMESTAMPTZOID},
    pg::Column{"shipped_at", TIMESTAMPTZOID, true},
    pg::Column{"delivered_at", TIMESTAMPTZOID, true},
    pg::Column{"last_seq", INT8OID},
    pg::Column{"first_event_id", INT8OID},
    pg::Column{"last_event_id", INT8OID},
};
constexpr std::array key_columns{static_cast<int>(field::shipment_id), static_cast<int>(field::created_at)};
constexpr pg::TableDefinition definition{
    .name = "shipment", .columns = columns, .key = key_columns, .routing_column = field::created_at, .checks = 1};
constinit pg::Table shipment_table{definition};

// The columns that a change may touch. None of them is in an index of ours, so that the new version stays on its page.
constexpr std::array changing{
    static_cast<int>(field::status),       static_cast<int>(field::carrier),    static_cast<int>(field::tracking),
    static_cast<int>(field::assignee),     static_cast<int>(field::metadata),   static_cast<int>(field::reason),
    static_cast<int>(field::version),      static_cast<int>(field::updated_at), static_cast<int>(field::shipped_at),
    static_cast<int>(field::delivered_at), static_cast<int>(field::last_seq),   static_cast<int>(field::last_event_id),
};

namespace item_field {
enum : int { order_id, created_at, shipment_id, line_no, sku, qty };
}

constexpr std::array item_columns{
    pg::Column{"order_id", UUIDOID},    pg::Column{"created_at", TIMESTAMPTZOID},
    pg::Column{"shipment_id", UUIDOID}, pg::Column{"line_no", INT4OID},
    pg::Column{"sku", TEXTOID},         pg::Column{"qty", INT8OID},
};
constexpr pg::TableDefinition item_definition{
    .name = "shipment_item", .columns = item_columns, .key = {}, .routing_column = item_field::created_at, .checks = 1};
constinit pg::Table items_table{item_definition};

std::int64_t birth_of(const core::OrderId& id) { return pg::postgres_us(core::order_time_us(id)); }

core::OrderId uuid_of(Datum value) {
    core::OrderId id;
    std::memcpy(id.bytes.data(), DatumGetUUIDP(value)->data, id.bytes.size());
    return id;
}

void set_text(pg::RowValues& row, int column, std::string_view text) {
    text.empty() ? row.set_null(column) : row.set(column, pg::text_datum(text));
}

void set_time(pg::RowValues& row, int column, std::int64_t time) {
    time == 0 ? row.set_null(column) : row.set(column, TimestampTzGetDatum(time));
}

void set_changing(pg::RowValues& row, const Shipment& shipment) {
    // What the table's CHECK says: the direct way in does not ask it.
    Assert((shipment.is_out() || shipment.status == status::returned) == shipment.ever_left());
    row.set(field::status, pg::text_datum(shipment.status));
    set_text(row, field::carrier, shipment.carrier);
    set_text(row, field::tracking, shipment.tracking);
    set_text(row, field::assignee, shipment.assignee);
    if (shipment.metadata == nullptr) {
        row.set_null(field::metadata);
    } else {
        row.set(field::metadata, pg::jsonb_datum(shipment.metadata));
    }
    set_text(row, field::reason, shipment.reason);
    row.set(field::version, Int32GetDatum(shipment.version));
    row.set(field::updated_at, TimestampTzGetDatum(shipment.updated_at));
    set_time(row, field::shipped_at, shipment.shipped_at);
    set_time(row, field::delivered_at, shipment.delivered_at);
    row.set(field::last_seq, Int64GetDatum(shipment.last_seq));
    row.set(field::last_event_id, Int64GetDatum(shipment.last_event_id));
}

void insert_lines(const Shipment& shipment) {
    std::span<pg::RowValues> rows = pg::allocate<pg::RowValues>(shipment.lines.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const Line& line = shipment.lines[i];
        rows[i].set(item_field::order_id, pg::uuid_datum(shipment.order_id));
        rows[i].set(item_field::created_at, TimestampTzGetDatum(birth_of(shipment.order_id)));
        rows[i].set(item_field::shipment_id, pg::uuid_datum(shipment.id.value));
        rows[i].set(item_field::line_no, Int32GetDatum(line.line_no));
        rows[i].set(item_field::sku, pg::text_datum(line.sku));
        rows[i].set(item_field::qty, Int64GetDatum(line.qty));
    }
    items_table.insert_many(rows);
}

constinit pg::Plan select_of_order{
    "SELECT shipment_id, order_id, created_at, status, carrier, tracking, assignee, metadata, reason, step_id, "
    "version, "
    "requested_at, updated_at, shipped_at, delivered_at, last_seq, first_event_id, last_event_id "
    "FROM oms.shipment WHERE order_id = $1 AND created_at = $2 ORDER BY first_event_id",
    {UUIDOID, TIMESTAMPTZOID},
    pg::Planned::by_index};
constinit pg::Plan select_lines{
    "SELECT shipment_id, line_no, sku, qty FROM oms.shipment_item WHERE order_id = $1 AND created_at = $2 "
    "ORDER BY shipment_id, line_no",
    {UUIDOID, TIMESTAMPTZOID},
    pg::Planned::by_index};

Shipment read(const pg::Result& rows, std::size_t i) {
    auto text = [&](int column) {
        return rows.is_null(i, column) ? std::string_view{} : pg::text_view(rows.value(i, column));
    };
    auto number = [&](int column) { return rows.is_null(i, column) ? 0 : DatumGetInt64(rows.value(i, column)); };
    Shipment shipment{};
    shipment.id = {uuid_of(rows.value(i, field::shipment_id))};
    shipment.order_id = uuid_of(rows.value(i, field::order_id));
    shipment.status = text(field::status);
    shipment.carrier = text(field::carrier);
    shipment.tracking = text(field::tracking);
    shipment.assignee = text(field::assignee);
    if (!rows.is_null(i, field::metadata)) shipment.metadata = DatumGetJsonbP(rows.value(i, field::metadata));
    shipment.reason = text(field::reason);
    shipment.step_id = number(field::step_id);
    shipment.version = DatumGetInt32(rows.value(i, field::version));
    shipment.requested_at = number(field::requested_at);
    shipment.updated_at = number(field::updated_at);
    shipment.shipped_at = number(field::shipped_at);
    shipment.delivered_at = number(field::delivered_at);
    shipment.last_seq = number(field::last_seq);
    shipment.first_event_id = number(field::first_event_id);
    shipment.last_event_id = number(field::last_event_id);
    return shipment;
}

// Gives each shipment its part of the lines, which stand together in `rows`.
void hand_out(const pg::Result& rows, std::span<Shipment> shipments) {
    std::span<Line> lines = pg::allocate<Line>(rows.rows.size());
    for (std::size_t begin = 0, end = 0; begin < lines.size(); begin = end) {
        const core::OrderId id = uuid_of(rows.value(begin, 0));
        for (end = begin; end < lines.size() && uuid_of(rows.value(end, 0)) == id; ++end) {
            lines[end] = {DatumGetInt32(rows.value(end, 1)), pg::text_view(rows.value(end, 2)),
                          DatumGetInt64(rows.value(end, 3))};
        }
        for (Shipment& shipment : shipments) {
            if (shipment.id.value == id) shipment.lines = lines.subspan(begin, end - begin);
        }
    }
}

}  // namespace

void insert(const Shipment& shipment) {
    pg::RowValues row;
    row.set(field::shipment_id, pg::uuid_datum(shipment.id.value));
    row.set(field::order_id, pg::uuid_datum(shipment.order_id));
    row.set(field::created_at, TimestampTzGetDatum(birth_of(shipment.order_id)));
    if (shipment.step_id == 0) {
        row.set_null(field::step_id);
    } else {
        row.set(field::step_id, Int64GetDatum(shipment.step_id));
    }
    row.set(field::requested_at, TimestampTzGetDatum(shipment.requested_at));
    row.set(field::first_event_id, Int64GetDatum(shipment.first_event_id));
    set_changing(row, shipment);
    shipment_table.insert(row);
    insert_lines(shipment);
}

void update(const Shipment& shipment) {
    pg::RowValues values;
    set_changing(values, shipment);
    const Datum key[] = {pg::uuid_datum(shipment.id.value), TimestampTzGetDatum(birth_of(shipment.id.value))};
    bool found =
        shipment_table.with_row(key, pg::RowLock::for_update, [&](pg::Row& row) { row.update(values, changing); });
    if (!found) raise_shipment_not_found(shipment.id);
}

std::span<Shipment> of_order(const core::OrderId& order) {
    const std::initializer_list<pg::Parameter> which{{pg::uuid_datum(order)}, {TimestampTzGetDatum(birth_of(order))}};
    // A writing plan's snapshot is a new one: the caller's lock on the order is younger than that of the statement it runs in.
    pg::Result rows = select_of_order.run(pg::Access::writes, which);
    if (rows.empty()) return {};
    std::span<Shipment> list = pg::allocate<Shipment>(rows.rows.size());
    for (std::size_t i = 0; i < list.size(); ++i) list[i] = read(rows, i);
    hand_out(select_lines.run(pg::Access::writes, which), list);
    return list;
}

std::optional<core::OrderId> order_of(const core::ShipmentId& shipment) {
    if (!core::is_order_id(shipment.value)) return std::nullopt;
    const Datum key[] = {pg::uuid_datum(shipment.value), TimestampTzGetDatum(birth_of(shipment.value))};
    core::OrderId order;
    bool found = shipment_table.with_row(key, pg::RowLock::none,
                                         [&](pg::Row& row) { order = uuid_of(row.value(field::order_id)); });
    return found ? std::optional{order} : std::nullopt;
}

pg::Table& table() { return shipment_table; }
pg::Table& item_table() { return items_table; }

}  // namespace oms::shipments
