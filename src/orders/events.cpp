// Payloads: the members that all order events have, and those of their own.
#include "orders/events.hpp"

#include "pg/memory.hpp"

#include "pg/poison.hpp"

namespace oms::orders {

namespace {

void write_common(pg::JsonObject& json, const Order& order, std::string_view id, std::string_view prev_status,
                  std::string_view reason) {
    json.text("order_id", id);
    json.text_or_null("prev_status", prev_status);
    json.text("status", order.status);
    json.text_or_null("reason", reason);
    json.number("version", order.version);
    json.time("occurred_at", order.updated_at);
}

log::NewEvent addressed(const Order& order, std::string_view id, std::string_view type, Jsonb* payload) {
    return {.id = {order.last_event_id},
            .aggregate_type = aggregate_type,
            .aggregate_id = id,
            .seq = order.last_seq,
            .type = type,
            .payload = payload,
            .occurred_at = order.updated_at};
}

}  // namespace

std::string_view id_text(const core::OrderId& id) {
    char* text = pg::allocate<char>(core::uuid_length + 1).data();
    core::format_uuid(id, text);
    return {text, core::uuid_length};
}

log::NewEvent event_of(const Order& before, const Order& after, const OrderEvent& event) {
    std::string_view id = id_text(after.id);
    pg::JsonObject json;
    write_common(json, after, id, before.status, event.reason);
    if (event.details != nullptr) event.details(json, before, after);
    if (event.payload != nullptr) json.json("data", event.payload);
    if (event.items != nullptr) json.json("items", event.items);
    log::NewEvent row = addressed(after, id, event.type, json.finish());
    if (!event.actor.empty()) {
        pg::JsonObject headers;
        headers.text("actor", event.actor);
        row.headers = headers.finish();
    }
    return row;
}

log::NewEvent created_event(const Order& order, const NewOrder& created) {
    std::string_view id = id_text(order.id);
    pg::JsonObject json;
    write_common(json, order, id, {}, {});
    json.text("customer_id", order.customer_id);
    json.text("currency", order.currency);
    json.number("total_minor", order.total_minor);
    if (created.external_ref) json.text("external_ref", *created.external_ref);
    json.json("items", created.items_json);
    return addressed(order, id, "order.created", json.finish());
}

}  // namespace oms::orders
