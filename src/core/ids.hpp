// Order ids and the distinct types of all other ids.
// An order id is a UUIDv7 (RFC 9562) that says when the order was born and whose it is:
//   48 bits  milliseconds since 1970         -> partition by time
//    4 bits  version 7
//   12 bits  fraction of the millisecond, in 1/4096
//    2 bits  variant 10
//   16 bits  hash of the customer id         -> shard
//   46 bits  random
// The layout and customer_hash are part of the contract: routers in other languages compute them.
#pragma once

#include <algorithm>
#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/xxh3.hpp"

namespace oms::core {

struct OrderId {
    std::array<std::uint8_t, 16> bytes;

    friend constexpr bool operator==(const OrderId&, const OrderId&) = default;
    friend constexpr auto operator<=>(const OrderId&, const OrderId&) = default;
};

// The last microsecond whose milliseconds fit into 48 bits, in the year 10889.
inline constexpr std::int64_t order_time_us_max = (std::int64_t{1} << 48) * 1000 - 1;

// Makes an order id; a time that 48 bits cannot hold becomes the nearest one they can. Only the low 46 bits of
// random_bits are used.
constexpr OrderId make_order_id(std::int64_t unix_us, std::uint16_t customer_hash, std::uint64_t random_bits) {
    const auto us = static_cast<std::uint64_t>(std::clamp(unix_us, std::int64_t{0}, order_time_us_max));
    const std::uint64_t fraction = us % 1000 * 4096 / 1000;
    const std::uint64_t high = us / 1000 << 16 | std::uint64_t{7} << 12 | fraction;
    const std::uint64_t low =
        std::uint64_t{0b10} << 62 | std::uint64_t{customer_hash} << 46 | (random_bits & ((std::uint64_t{1} << 46) - 1));
    OrderId id{};
    for (unsigned i = 0; i < 8; ++i) {
        id.bytes[i] = static_cast<std::uint8_t>(high >> (56 - 8 * i));
        id.bytes[8 + i] = static_cast<std::uint8_t>(low >> (56 - 8 * i));
    }
    return id;
}

// Says whether an id has the version and variant of an order id; ids of other origin mostly do not.
constexpr bool is_order_id(const OrderId& id) { return id.bytes[6] >> 4 == 7 && id.bytes[8] >> 6 == 0b10; }

constexpr std::int64_t order_time_ms(const OrderId& id) {
    std::int64_t ms = 0;
    for (std::size_t i = 0; i < 6; ++i) ms = ms << 8 | id.bytes[i];
    return ms;
}

// Reads the time to the microsecond that the id was made with. 1/4096 ms is finer than 1 us, so rounding the fraction
// up undoes exactly the rounding down of make_order_id.
constexpr std::int64_t order_time_us(const OrderId& id) {
    const std::int64_t fraction = (id.bytes[6] & 0x0f) << 8 | id.bytes[7];
    return order_time_ms(id) * 1000 + (fraction * 1000 + 4095) / 4096;
}

constexpr std::uint16_t customer_hash_of(const OrderId& id) {
    return static_cast<std::uint16_t>((id.bytes[8] & 0x3f) << 10 | id.bytes[9] << 2 | id.bytes[10] >> 6);
}

// Hashes a customer id to the 16 bits in its orders' ids: the low 16 bits of XXH3_64bits (seed 0) over its UTF-8 bytes.
inline std::uint16_t customer_hash(std::string_view customer_id) {
    return static_cast<std::uint16_t>(XXH3_64bits(customer_id.data(), customer_id.size()) & 0xffff);
}

inline constexpr std::size_t uuid_length = 36;

// Writes the canonical lower-case form, 8-4-4-4-12, without a terminating zero.
constexpr void format_uuid(const OrderId& id, char out[uuid_length]) {
    constexpr std::string_view digits = "0123456789abcdef";
    for (std::size_t i = 0; i < id.bytes.size(); ++i) {
        if (i == 4 || i == 6 || i == 8 || i == 10) *out++ = '-';
        *out++ = digits[id.bytes[i] >> 4];
        *out++ = digits[id.bytes[i] & 0x0f];
    }
}

constexpr int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

// Reads the 36-character form in either case; returns false, and leaves out as it was, for anything else.
constexpr bool parse_uuid(std::string_view text, OrderId& out) {
    if (text.size() != uuid_length) return false;
    OrderId id{};
    std::size_t at = 0;
    for (std::size_t i = 0; i < id.bytes.size(); ++i) {
        if ((i == 4 || i == 6 || i == 8 || i == 10) && text[at++] != '-') return false;
        const int high = hex_value(text[at++]);
        const int low = hex_value(text[at++]);
        if (high < 0 || low < 0) return false;
        id.bytes[i] = static_cast<std::uint8_t>(high << 4 | low);
    }
    out = id;
    return true;
}

// An id for something that hangs on an order: the order's time and customer, and random bits of its own. It leads to the order's partition and
// shard without a look at the order.
constexpr OrderId make_sibling_id(const OrderId& order, std::uint64_t random_bits) {
    OrderId id = order;
    id.bytes[10] = static_cast<std::uint8_t>((order.bytes[10] & 0xc0) | (random_bits >> 40 & 0x3f));
    for (unsigned i = 0; i < 5; ++i) id.bytes[11 + i] = static_cast<std::uint8_t>(random_bits >> (32 - 8 * i));
    return id;
}

// The half of an order's or a sibling's id that is random, for what counts its subjects in 64 bits.
constexpr std::int64_t random_half(const OrderId& id) {
    std::uint64_t half = 0;
    for (std::size_t i = 8; i < 16; ++i) half = half << 8 | id.bytes[i];
    return static_cast<std::int64_t>(half);
}

// An id of one kind of what hangs on an order.
template <class Tag>
struct SiblingId {
    OrderId value;

    friend constexpr bool operator==(const SiblingId&, const SiblingId&) = default;
};

using PaymentId = SiblingId<struct PaymentTag>;
using OperationId = SiblingId<struct OperationTag>;  // of a payment; a refund has the id of its operation
using ShipmentId = SiblingId<struct ShipmentTag>;

// An id of one kind of row. Two kinds do not compare or convert, so swapping two arguments is a compile error.
template <class Tag>
struct Id {
    std::int64_t value;

    friend constexpr bool operator==(const Id&, const Id&) = default;
    friend constexpr auto operator<=>(const Id&, const Id&) = default;
};

using EventId = Id<struct EventTag>;
using DeadLetterId = Id<struct DeadLetterTag>;
using DisputeId = Id<struct DisputeTag>;
using SagaId = Id<struct SagaTag>;
using StepId = Id<struct StepTag>;
using TaskId = Id<struct TaskTag>;
using TimerId = Id<struct TimerTag>;

}  // namespace oms::core
