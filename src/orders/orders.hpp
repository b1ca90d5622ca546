// Orders: the table side of the order machine. The door of the room.
//
// Invariants: total = sum of qty x price; 0 <= refunded <= paid; version counts the changes; last_seq is the seq of the order's last event;
// created_at is the time in order_id.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "core/ids.hpp"
#include "core/order_machine.hpp"
#include "pg/entry.hpp"
#include "pg/json.hpp"
#include "pg/json_object.hpp"
#include "pg/jump.hpp"
#include "pg/table.hpp"

namespace oms::orders {

inline constexpr std::string_view aggregate_type = "order";

// --- items ----------------------------------------------------------------------------------------------------------

inline constexpr std::size_t items_max = 100'000;  // more in one order is a mistake of the caller's

struct Item {
    std::string_view sku;
    std::int64_t qty;
    std::int64_t price_minor;
    Jsonb* details;  // what the caller gave beyond sku, qty and price; nullptr for nothing
};
static_assert(pg::JumpSafe<Item>);

struct ItemList {
    std::span<const Item> items;
    std::int64_t total_minor;
};

// Reads [{"sku", "qty", "price_minor", ...}, ...]; raises invalid_argument or currency_mismatch that names the item and the member.
ItemList parse_items(JsonbContainer* items, std::string_view currency, std::string_view where);

// --- an order --------------------------------------------------------------------------------------------------------

// The public columns of a row; the views live as long as the row is open.
struct Order {
    core::OrderId id;
    std::string_view customer_id, status, hold_reason, pending_action, currency;
    std::int64_t total_minor, paid_minor, refunded_minor;
    std::int32_t version;
    bool on_hold;
    std::int64_t created_at, updated_at;
    std::int64_t last_seq, first_event_id, last_event_id;

    core::OrderFacts facts() const {
        return {status, on_hold, pending_action, total_minor, paid_minor, refunded_minor};
    }
};
static_assert(pg::JumpSafe<Order>);

// A new order: its facts, its items, its first event.
struct NewOrder {
    std::string_view customer_id, currency;
    ItemList list;
    const Jsonb* items_json;  // as the caller gave them, for the event
    std::optional<std::string_view> external_ref;
    Jsonb* metadata;
};

// Writes new orders with their items and order.created events; answers them in the same order.
void insert(std::span<const NewOrder> created, std::span<Order> answers);

// An event of an order, as a command sees it; what all order events have in common is added when it is written.
struct OrderEvent {
    std::string_view type;
    std::string_view reason = {};
    void (*details)(pg::JsonObject& json, const Order& before, const Order& after) = nullptr;
    Jsonb* payload = nullptr;      // the caller's own, as member "data"
    std::string_view actor = {};   // who did it, when the command was told
    const Jsonb* items = nullptr;  // as member "items"
};

// Enough for a transition with the refund before it and the goods behind it.
inline constexpr std::size_t events_max = 4;

// What a command decided: the next state, and what to say about it.
struct Change {
    Order next;
    std::array<OrderEvent, events_max> events;
    unsigned event_count = 0;

    void say(const OrderEvent& event) { events[event_count++] = event; }
};

// Locks the order, lets `decide(const Order&, Change&)` decide, writes the next version and its events. Raises not_found, version_conflict, or
// what `decide` raises. Answers the order as it is afterwards; its views live in the current memory context.
template <class Fn>
Order change(const core::OrderId& id, std::optional<std::int32_t> expected_version, Fn&& decide);

// Locks the order's row and does nothing else: what hangs on the order is changed under it. Raises not_found.
Order lock(const core::OrderId& id);

// The items of an order, in their order. The views live in the current memory context.
std::span<const Item> items_of(const Order& order);

// Replaces the items of an order that the caller has locked.
void replace_items(const Order& order, std::span<const Item> items);

// --- the answer ------------------------------------------------------------------------------------------------------

// One row of oms.order_state.
inline constexpr int state_columns = 13;
struct StateRow {
    std::array<Datum, state_columns> values;
    std::array<bool, state_columns> nulls;
};
StateRow state_row(const Order& order, bool replayed);
Datum answer(const pg::Call& call, const Order& order, bool replayed);

// The answer as bytes for the idempotency row, and back. The form has a version of its own: what an older library stored stays readable.
std::string_view encode(const Order& order);
Order decode(std::string_view bytes);

// --- the rules -------------------------------------------------------------------------------------------------------

// Transitions that the owner added, read once in a session and again after a change. The views live until the next call of any command.
std::span<const core::Transition> owner_transitions();
bool status_exists(std::string_view status);
bool is_final(std::string_view status);
void rules_changed(Oid relation);

// The actions that are legal in a status, for a hint.
const char* legal_actions(std::string_view status);

// An id as text.
std::string_view id_text(const core::OrderId& id);

// --- internals that change() needs -------------------------------------------------------------------------------------

[[noreturn]] void raise_order_not_found(const core::OrderId& id);
[[noreturn]] void raise_version_conflict(const Order& order, std::int32_t expected);
Order read(const pg::Row& row);
Order write(pg::Row& row, const Order& before, Change& change);
std::int64_t birth_time(const core::OrderId& id);

pg::Table& table();
pg::Table& item_table();

template <class Fn>
Order change(const core::OrderId& id, std::optional<std::int32_t> expected_version, Fn&& decide) {
    if (!core::is_order_id(id)) raise_order_not_found(id);
    const Datum key[] = {pg::uuid_datum(id), TimestampTzGetDatum(birth_time(id))};
    Order after{};
    bool found = table().with_row(key, pg::RowLock::for_update, [&](pg::Row& row) {
        Order before = read(row);
        if (expected_version && *expected_version != before.version) raise_version_conflict(before, *expected_version);
        Change change{.next = before, .events = {}, .event_count = 0};
        decide(before, change);
        after = write(row, before, change);
    });
    if (!found) raise_order_not_found(id);
    return after;
}

}  // namespace oms::orders
