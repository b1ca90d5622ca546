// The shipment commands. Each takes one shipment a step further, under its order's lock, and the order with it when it was the last one.
#include <algorithm>

#include "api/request.hpp"
#include "api/shipment_items.hpp"
#include "api/shipping.hpp"
#include "pg/memory.hpp"
#include "pg/raise.hpp"

#include "pg/poison.hpp"

namespace oms::api {
namespace {

using shipments::Shipment;
namespace status = shipments::status;

constexpr std::size_t name_bytes_max = 255;            // of carriers, tracking numbers, assignees
constexpr std::size_t metadata_bytes_max = 64 * 1024;  // the row is rewritten with every change

std::string_view optional_name(const pg::Call& call, int position, const char* name) {
    if (call.is_null(position)) return {};
    return required_bounded_text(call, position, name, name_bytes_max);
}

Jsonb* checked_metadata(const pg::Call& call, int position) {
    Jsonb* metadata = call.jsonb(position);
    if (metadata == nullptr || VARSIZE(metadata) <= metadata_bytes_max) return metadata;
    pg::raise(pg::Error::invalid_argument, {.message = "metadata is too large",
                                            .detail = pg::format("It takes %u bytes.", VARSIZE(metadata)),
                                            .hint = pg::format("At most %zu bytes are accepted.", metadata_bytes_max)});
}

RequestFingerprint& add(RequestFingerprint& request, const shipments::Details& details) {
    return request.add(details.carrier).add(details.tracking).add(details.assignee).add(details.metadata);
}

core::ShipmentId required_shipment(const pg::Call& call) { return {call.required_uuid(0, "shipment_id")}; }

shipments::State state_of(const Shipment& shipment, const orders::Order& order) {
    return {shipment, shipments::lines_json(shipment.lines), order.status};
}

// The frame of the commands about one shipment: `work(const Order&, const Shipment&)` answers the shipment as it is afterwards.
template <class Work>
Datum change_shipment(const pg::Call& call, std::string_view operation, const Positions& at, const core::ShipmentId& id,
                      const RequestFingerprint& request, Work&& work) {
    return run_command(call, at.idempotency_key, operation, request, shipments::decode, [&] {
        std::optional<core::OrderId> order = shipments::order_of(id);
        if (!order) shipments::raise_shipment_not_found(id);
        std::optional<std::int32_t> expected = call.integer(at.expected_version);
        Shipment after{};
        auto decide = [&](const orders::Order& before, orders::Change& change) {
            std::span<Shipment> all = shipments::of_order(*order);
            Shipment& it = *std::ranges::find(all, id, &Shipment::id);
            if (expected && *expected != it.version) shipments::raise_version_conflict(it, *expected);
            after = work(before, it);
            const bool moved = after.status != it.status;
            it = after;
            if (moved && it.is_out()) order_follows(before, change, all);
        };
        return state_of(after, orders::change(*order, std::nullopt, decide));
    });
}

}  // namespace

OMS_FUNCTION(oms_create_shipment) {
    enum : int { order_id, items, idempotency_key, carrier, tracking, assignee, metadata, expected_version };
    pg::Call call{fcinfo};
    core::OrderId id = call.required_uuid(order_id, "order_id");
    Jsonb* wanted = call.jsonb(items);
    const shipments::Details details{optional_name(call, carrier, "carrier"), optional_name(call, tracking, "tracking"),
                                     optional_name(call, assignee, "assignee"), checked_metadata(call, metadata)};
    RequestFingerprint request{"create_shipment"};
    add(request.add(id).add(wanted), details);
    return run_command(call, idempotency_key, "create_shipment", request, shipments::decode, [&] {
        Shipment created{};
        auto decide = [&](const orders::Order& order, orders::Change&) {
            require_may_ship(order);
            Lines ordered = lines_of(order);
            Lines open = open_lines(ordered, shipments::of_order(id));
            created = shipments::create({.order_id = id,
                                         .status = status::created,
                                         .details = details,
                                         .lines = chosen_lines(order, wanted, ordered, open)});
        };
        orders::Order order = orders::change(id, call.integer(expected_version), decide);
        return state_of(created, order);
    });
}

OMS_FUNCTION(oms_update_shipment) {
    enum : int { shipment_id, idempotency_key, carrier, tracking, assignee, metadata, expected_version };
    pg::Call call{fcinfo};
    core::ShipmentId id = required_shipment(call);
    const shipments::Details details{optional_name(call, carrier, "carrier"), optional_name(call, tracking, "tracking"),
                                     optional_name(call, assignee, "assignee"), checked_metadata(call, metadata)};
    RequestFingerprint request{"update_shipment"};
    add(request.add(id.value), details);
    return change_shipment(call, "update_shipment", {idempotency_key, expected_version}, id, request,
                           [&](const orders::Order&, const Shipment& it) { return shipments::note(it, details); });
}

OMS_FUNCTION(oms_ship_shipment) {
    enum : int { shipment_id, idempotency_key, carrier, tracking, expected_version };
    pg::Call call{fcinfo};
    core::ShipmentId id = required_shipment(call);
    const shipments::Details details{optional_name(call, carrier, "carrier"),
                                     optional_name(call, tracking, "tracking")};
    RequestFingerprint request{"ship_shipment"};
    add(request.add(id.value), details);
    return change_shipment(call, "ship_shipment", {idempotency_key, expected_version}, id, request,
                           [&](const orders::Order& order, const Shipment& it) {
                               // One that is gone says so itself, whatever its order does by now.
                               if (it.waits()) require_may_ship(order);
                               return shipments::move(it, status::shipped, {}, details);
                           });
}

OMS_FUNCTION(oms_deliver_shipment) {
    enum : int { shipment_id, idempotency_key, expected_version };
    pg::Call call{fcinfo};
    core::ShipmentId id = required_shipment(call);
    RequestFingerprint request{"deliver_shipment"};
    request.add(id.value);
    // What has happened outside is written down, whatever the order is doing.
    return change_shipment(
        call, "deliver_shipment", {idempotency_key, expected_version}, id, request,
        [&](const orders::Order&, const Shipment& it) { return shipments::move(it, status::delivered); });
}

OMS_FUNCTION(oms_cancel_shipment) {
    enum : int { shipment_id, reason, idempotency_key, expected_version };
    pg::Call call{fcinfo};
    core::ShipmentId id = required_shipment(call);
    std::string_view why = bounded_text(call, reason, "reason", reason_bytes_max);
    RequestFingerprint request{"cancel_shipment"};
    request.add(id.value).add(call.text(reason));
    return change_shipment(call, "cancel_shipment", {idempotency_key, expected_version}, id, request,
                           [&](const orders::Order& order, const Shipment& it) {
                               // Whoever has the order takes its shipments along, or asks the carrier first.
                               if (it.waits() && !order.pending_action.empty())
                                   raise_refusal(order, "lose a shipment", core::Refusal::operation_in_progress);
                               return shipments::move(it, status::canceled, why);
                           });
}

OMS_FUNCTION(oms_return_shipment) {
    enum : int { shipment_id, reason, idempotency_key, expected_version };
    pg::Call call{fcinfo};
    core::ShipmentId id = required_shipment(call);
    std::string_view why = bounded_text(call, reason, "reason", reason_bytes_max);
    RequestFingerprint request{"return_shipment"};
    request.add(id.value).add(call.text(reason));
    return change_shipment(
        call, "return_shipment", {idempotency_key, expected_version}, id, request,
        [&](const orders::Order&, const Shipment& it) { return shipments::move(it, status::returned, why); });
}

}  // namespace oms::api
