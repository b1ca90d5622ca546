// The rows of shipments and their lines.
#include "shipments/rows.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "pg/memory.hpp"
#include "pg/settings.hpp"
#include "pg/table_walk.hpp"

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

// Both lie behind their order in an index; the lines also behind their shipment, in the order of their numbers.
constexpr std::array shipments_of_one{static_cast<int>(field::order_id)};
constexpr std::array lines_of_one{static_cast<int>(item_field::order_id), static_cast<int>(item_field::shipment_id)};

Shipment read(const pg::Row& row) {
    auto text = [&](int column) {
        return row.is_null(column) ? std::string_view{} : pg::copied(pg::text_view(row.value(column)));
    };
    auto number = [&](int column) { return row.is_null(column) ? 0 : DatumGetInt64(row.value(column)); };
    Shipment shipment{};
    shipment.id = {uuid_of(row.value(field::shipment_id))};
    shipment.order_id = uuid_of(row.value(field::order_id));
    shipment.status = text(field::status);
    shipment.carrier = text(field::carrier);
    shipment.tracking = text(field::tracking);
    shipment.assignee = text(field::assignee);
    if (!row.is_null(field::metadata)) shipment.metadata = DatumGetJsonbPCopy(row.value(field::metadata));
    shipment.reason = text(field::reason);
    shipment.step_id = number(field::step_id);
    shipment.version = DatumGetInt32(row.value(field::version));
    shipment.requested_at = number(field::requested_at);
    shipment.updated_at = number(field::updated_at);
    shipment.shipped_at = number(field::shipped_at);
    shipment.delivered_at = number(field::delivered_at);
    shipment.last_seq = number(field::last_seq);
    shipment.first_event_id = number(field::first_event_id);
    shipment.last_event_id = number(field::last_event_id);
    return shipment;
}

std::span<const Line> lines_of(const Shipment& shipment) {
    pg::Array<Line> lines;
    const std::array equal{pg::uuid_datum(shipment.order_id), pg::uuid_datum(shipment.id.value)};
    pg::walk_now(items_table, {.columns = lines_of_one, .equal = equal, .routing = birth_of(shipment.order_id)},
                 [&](pg::Row& row) {
                     lines.push({DatumGetInt32(row.value(item_field::line_no)),
                                 pg::copied(pg::text_view(row.value(item_field::sku))),
                                 DatumGetInt64(row.value(item_field::qty))});
                 });
    return lines.span();
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
    pg::Array<Shipment> found{2};
    const std::array equal{pg::uuid_datum(order)};
    pg::walk_now(shipment_table, {.columns = shipments_of_one, .equal = equal, .routing = birth_of(order)},
                 [&](pg::Row& row) { found.push(read(row)); });
    for (Shipment& shipment : found) shipment.lines = lines_of(shipment);
    std::ranges::sort(found.span(), {}, &Shipment::first_event_id);
    return found.span();
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
