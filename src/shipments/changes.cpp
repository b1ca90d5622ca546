// What happens to a shipment: it is made, moved, written about; each time with one event.
#include "core/other_machines.hpp"
#include "log/log.hpp"
#include "pg/json_object.hpp"
#include "pg/memory.hpp"
#include "pg/raise.hpp"
#include "pg/random.hpp"
#include "pg/settings.hpp"
#include "shipments/rows.hpp"

#include "pg/poison.hpp"

namespace oms::shipments {

namespace {

std::string_view uuid_text(const core::OrderId& id) {
    char* text = pg::allocate<char>(core::uuid_length + 1).data();
    core::format_uuid(id, text);
    return {text, core::uuid_length};
}

void append_event(const Shipment& after, std::string_view prev_status, std::string_view type, std::string_view reason) {
    std::string_view id = id_text(after.id);
    std::string_view order = uuid_text(after.order_id);
    pg::JsonObject json;
    json.text("shipment_id", id);
    json.text("order_id", order);
    json.text_or_null("prev_status", prev_status);
    json.text("status", after.status);
    json.text_or_null("reason", reason);
    json.number("version", after.version);
    json.time("occurred_at", after.updated_at);
    json.text_or_null("carrier", after.carrier);
    json.text_or_null("tracking", after.tracking);
    json.text_or_null("assignee", after.assignee);
    json.json("items", lines_json(after.lines));
    const log::NewEvent event{.id = {after.last_event_id},
                              .aggregate_type = aggregate_type,
                              .aggregate_id = id,
                              .seq = after.last_seq,
                              .type = type,
                              .payload = json.finish(),
                              .occurred_at = after.updated_at,
                              .key = order};
    log::append({&event, 1});
}

void take(Shipment& shipment, const Details& details) {
    if (!details.carrier.empty()) shipment.carrier = details.carrier;
    if (!details.tracking.empty()) shipment.tracking = details.tracking;
    if (!details.assignee.empty()) shipment.assignee = details.assignee;
    if (details.metadata != nullptr) shipment.metadata = details.metadata;
}

// Writes the next version of a shipment and its event.
Shipment write(Shipment next, std::string_view prev_status, std::string_view event, std::string_view reason) {
    ++next.version;
    ++next.last_seq;
    next.updated_at = pg::now_us();
    next.last_event_id = log::draw_id().value;
    update(next);
    append_event(next, prev_status, event, reason);
    return next;
}

// The statuses that the machine allows next, for a hint.
const char* legal_next(std::string_view from) {
    StringInfoData names;
    initStringInfo(&names);
    for (const core::Edge& edge : core::machines::shipment) {
        if (edge.from == from) appendStringInfo(&names, "%s%s", names.len == 0 ? "" : ", ", pg::c_string(edge.to));
    }
    return names.len == 0 ? "Nothing follows this status." : pg::format("What can follow: %s.", names.data);
}

}  // namespace

std::string_view id_text(const core::ShipmentId& id) { return uuid_text(id.value); }

Jsonb* lines_json(std::span<const Line> lines) {
    pg::JsonWriter json;
    json.push(WJB_BEGIN_ARRAY, nullptr);
    for (const Line& line : lines) {
        json.begin_object();
        json.field("line_no", std::int64_t{line.line_no});
        json.field("sku", line.sku);
        json.field("qty", line.qty);
        json.end_object();
    }
    json.push(WJB_END_ARRAY, nullptr);
    return json.finish();
}

void raise_shipment_not_found(const core::ShipmentId& id) {
    pg::raise(pg::Error::not_found, {.message = pg::format("shipment %s does not exist", id_text(id).data()),
                                     .detail = "oms.shipment has no such row.",
                                     .hint = "oms.get_order shows the shipments of an order."});
}

void raise_version_conflict(const Shipment& shipment, std::int32_t expected) {
    pg::raise(
        pg::Error::version_conflict,
        {.message = pg::format("shipment %s is not at version %d", id_text(shipment.id).data(), expected),
         .detail = pg::format("Its version is %d, its status %s.", shipment.version, pg::c_string(shipment.status)),
         .hint = "Read it again, decide again, and pass the new version."});
}

Shipment create(const NewShipment& created) {
    Shipment shipment{};
    shipment.id = {core::make_sibling_id(created.order_id, pg::random_bits())};
    shipment.order_id = created.order_id;
    shipment.status = created.status;
    take(shipment, created.details);
    shipment.step_id = created.step_id;
    shipment.version = 1;
    shipment.requested_at = shipment.updated_at = pg::now_us();
    shipment.last_seq = 1;
    shipment.first_event_id = shipment.last_event_id = log::draw_id().value;
    shipment.lines = created.lines;

    insert(shipment);
    append_event(shipment, {}, shipment.status == status::pending ? "shipment.requested" : "shipment.created", {});
    return shipment;
}

Shipment move(const Shipment& shipment, std::string_view to, std::string_view reason, const Details& details) {
    if (!core::legal(core::machines::shipment, shipment.status, to)) {
        pg::raise(pg::Error::illegal_transition,
                  {.message = pg::format("shipment %s cannot become %s while it is %s", id_text(shipment.id).data(),
                                         pg::c_string(to), pg::c_string(shipment.status)),
                   .detail = pg::format("Its version is %d.", shipment.version),
                   .hint = legal_next(shipment.status)});
    }
    Shipment next = shipment;
    next.status = to;
    next.reason = reason;
    take(next, details);
    if (to == status::shipped) next.shipped_at = pg::now_us();
    if (to == status::delivered) next.delivered_at = pg::now_us();
    return write(next, shipment.status, pg::format("shipment.%s", pg::c_string(to)), reason);
}

Shipment note(const Shipment& shipment, const Details& details) {
    Shipment next = shipment;
    take(next, details);
    return write(next, shipment.status, "shipment.updated", {});
}

}  // namespace oms::shipments
