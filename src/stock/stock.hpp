// Stock: what is on hand of each sku, what of it is reserved, and for which order. The door of the room.
//
// Invariants: 0 <= reserved <= on_hand; reserved = the sum of the reservations that are "reserved". Rows of stock are locked in the order of
// (sku, bucket), after the order's row, which the caller of everything that names an order has locked.
//
// A sku may be kept in several buckets, each a row with a share of the pieces, so that buyers of a hot item do not queue behind one row. One
// bucket is the rule.
//
// The room does not know about money. That stock is given back only when the money is back is the rule of those who compose it (api/goods.hpp).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "core/ids.hpp"
#include "pg/entry.hpp"
#include "pg/jump.hpp"
#include "pg/table.hpp"

namespace oms::stock {

struct Line {
    std::string_view sku;
    std::int64_t qty;
};

struct Shortage {
    std::string_view sku;
    std::int64_t asked, available;
};

inline constexpr std::int64_t never = 0;  // as expires_at

// Reserves every line for the order, or none; empty when it is done, else each sku that is short. Lines of one sku add up. The order has no
// reservation that is "reserved".
std::span<const Shortage> reserve(const core::OrderId& order, std::span<const Line> lines, std::int64_t expires_at);

// The three ends of a reservation: the order's pieces are free again, have left the stock, or were not fetched in time. Each answers what it moved, in sku order: nothing when there was nothing reserved.
std::span<const Line> release(const core::OrderId& order);
std::span<const Line> consume(const core::OrderId& order);
std::span<const Line> expire(const core::OrderId& order);

// Puts what was consumed back on the shelf, once; but for what has `gone`: that has left the house. Lines of one sku add up.
std::span<const Line> take_back(const core::OrderId& order, std::span<const Line> gone);

// Locks the stock of all that these orders hold, in the order of such locks: for who is about to move the goods of several, one after the other.
void lock_held(std::span<const core::OrderId> orders);

// What the order holds now, and until when.
struct Held {
    std::span<const Line> lines;
    std::int64_t expires_at;  // never, when it does not expire or nothing is held

    bool empty() const { return lines.empty(); }
};
Held held(const core::OrderId& order);

// --- what is on hand -------------------------------------------------------------------------------------------------

struct Level {
    std::string_view sku;
    std::int64_t on_hand, reserved;
    std::int32_t buckets;
    std::int64_t updated_at;
};
static_assert(pg::JumpSafe<Level>);

inline constexpr std::int32_t buckets_max = 64;

// Sets what is on hand, over all buckets; `buckets` changes their number. Raises insufficient_stock when less than what is reserved would be
// left. Answers the level afterwards.
Level set(std::string_view sku, std::int64_t on_hand, std::optional<std::int32_t> buckets);

// Adds to what is on hand, or takes from it; raises not_found for a sku that was never set, and what set() raises.
Level adjust(std::string_view sku, std::int64_t delta);

// One row of oms.stock_level, and the answer as bytes for the idempotency row.
Datum answer(const pg::Call& call, const Level& level, bool replayed);
std::string_view encode(const Level& level);
Level decode(std::string_view bytes);

pg::Table& table();
pg::Table& reservation_table();

}  // namespace oms::stock
