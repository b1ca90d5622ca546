// The statuses an order can have out of the box, and the questions asked about a status alone.
// Owners may add statuses of their own as rows of the transition table; those are not built in, never final
// by themselves, and pass through here unchanged.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

namespace oms::core {

namespace order_status {
inline constexpr std::string_view pending = "pending";
inline constexpr std::string_view reserved = "reserved";
inline constexpr std::string_view paid = "paid";
inline constexpr std::string_view confirmed = "confirmed";
inline constexpr std::string_view shipped = "shipped";
inline constexpr std::string_view completed = "completed";
inline constexpr std::string_view canceled = "canceled";
inline constexpr std::string_view refunded = "refunded";
}  // namespace order_status

inline constexpr std::array builtin_statuses = {
    order_status::pending, order_status::reserved,  order_status::paid,     order_status::confirmed,
    order_status::shipped, order_status::completed, order_status::canceled, order_status::refunded,
};

// Accepts the British spelling on the way in; only "canceled" is ever stored.
constexpr std::string_view normalize_status(std::string_view status) {
    return status == "cancelled" ? order_status::canceled : status;
}

constexpr bool is_builtin_status(std::string_view status) {
    return std::ranges::find(builtin_statuses, status) != builtin_statuses.end();
}

// Says whether nothing may happen to an order any more. "completed" is not final: it can still be refunded.
constexpr bool is_final(std::string_view status) {
    return status == order_status::canceled || status == order_status::refunded;
}

}  // namespace oms::core
