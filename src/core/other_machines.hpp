// The smaller machines as data: which status may follow which. What causes a step and what it does belongs to the
// rooms that own the rows; here is only what is legal, so that an illegal write is refused wherever it comes from.
// The empty status stands for "there is no row yet".
#pragma once

#include <algorithm>
#include <array>
#include <span>
#include <string_view>

namespace oms::core {

struct Edge {
    std::string_view from, to;
};

// Says whether a machine may go from one status to another; staying is legal only where an edge says so.
constexpr bool legal(std::span<const Edge> machine, std::string_view from, std::string_view to) {
    return std::ranges::any_of(machine, [&](const Edge& edge) { return edge.from == from && edge.to == to; });
}

constexpr bool has_status(std::span<const Edge> machine, std::string_view status) {
    return !status.empty() &&
           std::ranges::any_of(machine, [&](const Edge& edge) { return edge.from == status || edge.to == status; });
}

// Says whether a status of this machine is one that nothing leaves.
constexpr bool is_final(std::span<const Edge> machine, std::string_view status) {
    return has_status(machine, status) &&
           std::ranges::none_of(machine, [&](const Edge& edge) { return edge.from == status; });
}

namespace machines {

inline constexpr std::string_view none = "";

// A line for each status that something leaves.
// clang-format off

// A time-out is "indeterminate", which only reconciliation resolves: it is never taken for a refusal.
inline constexpr std::array payment = {
    Edge{none, "initiated"},
    Edge{"initiated", "authorized"}, Edge{"initiated", "declined"}, Edge{"initiated", "indeterminate"},
    Edge{"indeterminate", "authorized"}, Edge{"indeterminate", "declined"},
    Edge{"authorized", "capture_pending"}, Edge{"authorized", "voided"},
    Edge{"capture_pending", "captured"}, Edge{"capture_pending", "capture_failed"},
    Edge{"capture_failed", "capture_pending"}, Edge{"capture_failed", "voided"},
    Edge{"captured", "partially_refunded"}, Edge{"captured", "refunded"},
    Edge{"partially_refunded", "partially_refunded"}, Edge{"partially_refunded", "refunded"},
};

inline constexpr std::array refund = {
    Edge{none, "pending"},
    Edge{"pending", "done"}, Edge{"pending", "failed"},
};

inline constexpr std::array reservation = {
    Edge{"pending", "reserved"}, Edge{"pending", "failed"},
    Edge{"reserved", "released"}, Edge{"reserved", "consumed"}, Edge{"reserved", "expired"},
};

inline constexpr std::array shipment = {
    Edge{"pending", "created"}, Edge{"pending", "failed"},
    Edge{"created", "shipped"}, Edge{"created", "canceled"},
    Edge{"shipped", "delivered"}, Edge{"shipped", "returned"},
};

// Nothing leads back to "open": a late notice that a dispute was opened cannot reopen it.
inline constexpr std::array dispute = {
    Edge{"open", "under_review"}, Edge{"open", "submitted"}, Edge{"open", "won"}, Edge{"open", "lost"},
        Edge{"open", "closed"}, Edge{"open", "canceled"},
    Edge{"under_review", "submitted"}, Edge{"under_review", "won"}, Edge{"under_review", "lost"},
        Edge{"under_review", "closed"}, Edge{"under_review", "canceled"},
    Edge{"submitted", "won"}, Edge{"submitted", "lost"}, Edge{"submitted", "closed"},
};

// An order that a provider's webhooks describe.
inline constexpr std::array provider_status = {
    Edge{none, "created"},
    Edge{"created", "updated"}, Edge{"created", "success"}, Edge{"created", "failed"},
    Edge{"updated", "updated"}, Edge{"updated", "success"}, Edge{"updated", "failed"},
};

// "parked" waits for an operator; it is not final. What is completed can be undone when somebody asks for it.
inline constexpr std::array saga = {
    Edge{none, "running"},
    Edge{"running", "completed"}, Edge{"running", "compensating"},
    Edge{"completed", "compensating"},
    Edge{"compensating", "compensated"}, Edge{"compensating", "parked"},
    Edge{"parked", "compensating"},
};

// Running goes back to pending for another attempt; waiting fails when its deadline has passed. What failed without anybody knowing whether it
// was done is compensated like what was completed.
inline constexpr std::array step = {
    Edge{"pending", "running"}, Edge{"pending", "skipped"},
    Edge{"running", "completed"}, Edge{"running", "failed"}, Edge{"running", "waiting"}, Edge{"running", "pending"},
    Edge{"waiting", "completed"}, Edge{"waiting", "failed"},
    Edge{"completed", "compensating"}, Edge{"failed", "compensating"},
    Edge{"compensating", "compensated"}, Edge{"compensating", "compensation_failed"},
    Edge{"compensation_failed", "compensating"},
};

// Leased goes back to ready after a failure that may be retried, and when the lease expires; dead does by replay.
inline constexpr std::array task = {
    Edge{"ready", "leased"},
    Edge{"leased", "done"}, Edge{"leased", "ready"}, Edge{"leased", "dead"},
    Edge{"dead", "ready"},
};

// "parked" waits for its target to become known; failed goes back to pending by replay.
inline constexpr std::array inbox_message = {
    Edge{"pending", "processed"}, Edge{"pending", "parked"}, Edge{"pending", "failed"},
    Edge{"parked", "pending"},
    Edge{"failed", "pending"},
};

inline constexpr std::array breaker = {
    Edge{"closed", "open"},
    Edge{"open", "half_open"},
    Edge{"half_open", "closed"}, Edge{"half_open", "open"},
};

// clang-format on

}  // namespace machines

}  // namespace oms::core
