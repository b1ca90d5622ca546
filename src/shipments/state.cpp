// The answer of the shipment commands: as a row, and as the bytes that idempotency keeps.
#include <array>

#include "pg/json_object.hpp"
#include "shipments/shipments.hpp"

#include "pg/poison.hpp"

namespace oms::shipments {

namespace {

core::OrderId uuid_member(JsonbContainer* object, std::string_view name) {
    core::OrderId id{};
    core::parse_uuid(pg::text_member(object, name), id);
    return id;
}

}  // namespace

std::string_view encode(const State& state) {
    const Shipment& shipment = state.shipment;
    pg::JsonObject json;
    json.text("shipment_id", id_text(shipment.id));
    json.text("order_id", id_text({shipment.order_id}));
    json.text("status", shipment.status);
    json.number("version", shipment.version);
    json.text("carrier", shipment.carrier);
    json.text("tracking", shipment.tracking);
    json.text("assignee", shipment.assignee);
    json.text("reason", shipment.reason);
    json.json("items", state.items);
    json.number("shipped_at", shipment.shipped_at);
    json.number("delivered_at", shipment.delivered_at);
    json.number("requested_at", shipment.requested_at);
    json.number("updated_at", shipment.updated_at);
    json.text("order_status", state.order_status);
    return pg::stored_bytes(json.finish());
}

State decode(std::string_view bytes) {
    JsonbContainer* json = pg::from_stored_bytes(bytes);
    State state{};
    Shipment& shipment = state.shipment;
    shipment.id = {uuid_member(json, "shipment_id")};
    shipment.order_id = uuid_member(json, "order_id");
    shipment.status = pg::text_member(json, "status");
    shipment.version = static_cast<std::int32_t>(pg::number_member(json, "version"));
    shipment.carrier = pg::text_member(json, "carrier");
    shipment.tracking = pg::text_member(json, "tracking");
    shipment.assignee = pg::text_member(json, "assignee");
    shipment.reason = pg::text_member(json, "reason");
    state.items = pg::to_jsonb(pg::member_of(json, "items"));
    shipment.shipped_at = pg::number_member(json, "shipped_at");
    shipment.delivered_at = pg::number_member(json, "delivered_at");
    shipment.requested_at = pg::number_member(json, "requested_at");
    shipment.updated_at = pg::number_member(json, "updated_at");
    state.order_status = pg::text_member(json, "order_status");
    return state;
}

Datum answer(const pg::Call& call, const State& state, bool replayed) {
    constexpr std::size_t width = 15;
    std::array<Datum, width> values{};
    std::array<bool, width> nulls{};
    std::size_t i = 0;
    auto add = [&](Datum value, bool null = false) {
        values[i] = value;
        nulls[i++] = null;
    };
    auto add_text = [&](std::string_view text) { add(text.empty() ? Datum{0} : pg::text_datum(text), text.empty()); };
    auto add_time = [&](std::int64_t time) { add(TimestampTzGetDatum(time), time == 0); };
    const Shipment& shipment = state.shipment;
    add(pg::uuid_datum(shipment.id.value));
    add(pg::uuid_datum(shipment.order_id));
    add_text(shipment.status);
    add(Int32GetDatum(shipment.version));
    add_text(shipment.carrier);
    add_text(shipment.tracking);
    add_text(shipment.assignee);
    add_text(shipment.reason);
    add(pg::jsonb_datum(state.items));
    add_time(shipment.shipped_at);
    add_time(shipment.delivered_at);
    add(TimestampTzGetDatum(shipment.requested_at));
    add(TimestampTzGetDatum(shipment.updated_at));
    add_text(state.order_status);
    add(BoolGetDatum(replayed));
    return pg::composite_result(call, values.data(), nulls.data());
}

}  // namespace oms::shipments
