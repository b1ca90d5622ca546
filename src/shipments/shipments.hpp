// Shipments: the table side of the shipment machine. The door of the room.
//
// A shipment is a part of an order's items on the way: a row, its lines, and an event for each of its changes. The lines never change; another
// split is another shipment. What an order's status means for its shipments, and theirs for the order, is composed in api/shipping.hpp.
//
// Everything here runs under the lock of the order's row, which the caller holds: it is what keeps the sum of the shipments of a line within what
// was ordered. The events go where the order's events go, under the order's key, so that who reads the order's story reads them in their place.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "core/ids.hpp"
#include "pg/entry.hpp"
#include "pg/json.hpp"
#include "pg/jump.hpp"
#include "pg/table.hpp"

namespace oms::shipments {

inline constexpr std::string_view aggregate_type = "shipment";

namespace status {
inline constexpr std::string_view pending = "pending", created = "created", failed = "failed", shipped = "shipped",
                                  canceled = "canceled", delivered = "delivered", returned = "returned";
}

// Some pieces of a line of the order.
struct Line {
    std::int32_t line_no;
    std::string_view sku;
    std::int64_t qty;
};

// The row with its lines; the views live in the current memory context.
struct Shipment {
    core::ShipmentId id;
    core::OrderId order_id;
    std::string_view status;
    std::string_view carrier, tracking, assignee, reason;  // empty: none
    Jsonb* metadata;                                       // nullptr: none
    std::int64_t step_id;                                  // the saga's step that made it; 0: none
    std::int32_t version;
    std::int64_t requested_at, updated_at;
    std::int64_t shipped_at, delivered_at;  // 0: not
    std::int64_t last_seq, first_event_id, last_event_id;
    std::span<const Line> lines;

    // It has not left the house, and may.
    bool waits() const { return status == status::pending || status == status::created; }
    // It is on its way to the customer, or there.
    bool is_out() const { return status == status::shipped || status == status::delivered; }
    // Its pieces are spoken for: no other shipment can carry them. What came back can be shipped anew.
    bool carries() const { return waits() || is_out(); }
    // It left the house, and may have come back.
    bool ever_left() const { return shipped_at != 0; }
};
static_assert(pg::JumpSafe<Shipment>);

// What people know of a shipment. A text that is empty and metadata that is nullptr leave what the shipment has.
struct Details {
    std::string_view carrier = {}, tracking = {}, assignee = {};
    Jsonb* metadata = nullptr;
};

struct NewShipment {
    core::OrderId order_id;
    std::string_view status;  // created, or pending while somebody is asked for it
    Details details = {};
    std::int64_t step_id = 0;
    std::span<const Line> lines;
};

Shipment create(const NewShipment& created);

// Takes a shipment to another status, with its event; raises illegal_transition where the machine does not. Answers it afterwards.
Shipment move(const Shipment& shipment, std::string_view to, std::string_view reason = {}, const Details& details = {});

// Writes down what became known of a shipment, without a change of its status.
Shipment note(const Shipment& shipment, const Details& details);

// The order's shipments as they are now, the oldest first.
std::span<Shipment> of_order(const core::OrderId& order);

// The order that a shipment belongs to, without a lock: it never changes. Nothing when there is no such shipment.
std::optional<core::OrderId> order_of(const core::ShipmentId& shipment);

std::string_view id_text(const core::ShipmentId& id);

// [{"line_no", "sku", "qty"}, ...]
Jsonb* lines_json(std::span<const Line> lines);

[[noreturn]] void raise_shipment_not_found(const core::ShipmentId& id);
[[noreturn]] void raise_version_conflict(const Shipment& shipment, std::int32_t expected);

// --- the answer of the commands ----------------------------------------------------------------------------------------

// One row of oms.shipment_state, and the answer as bytes for the idempotency row.
struct State {
    Shipment shipment;
    Jsonb* items;
    std::string_view order_status;  // of its order, when the command was done
};
Datum answer(const pg::Call& call, const State& state, bool replayed);
std::string_view encode(const State& state);
State decode(std::string_view bytes);

pg::Table& table();
pg::Table& item_table();

}  // namespace oms::shipments
