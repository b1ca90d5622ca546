// What the order commands have in common: reading the request, and the frame around the one thing that each of them decides.
#pragma once

#include <cstdint>

#include "core/fingerprint.hpp"
#include "idempotency/idempotency.hpp"
#include "orders/orders.hpp"
#include "pg/entry.hpp"
#include "pg/transaction.hpp"

namespace oms::api {

// Which arguments of the SQL function carry what every command has; -1: the command has no such argument.
struct Positions {
    int idempotency_key;
    int expected_version = -1;
};

// A reason is for people: longer than this it is a document.
inline constexpr std::size_t reason_bytes_max = 2'000;

// An optional text argument, checked against a length.
std::string_view bounded_text(const pg::Call& call, int position, const char* name, std::size_t bytes_max);

// The same for one that must be there and must not be empty.
std::string_view required_bounded_text(const pg::Call& call, int position, const char* name, std::size_t bytes_max);

// The fingerprint of a request: the operation's name, then its arguments in order, NULL being a value of its own. The key is no part of it.
class RequestFingerprint {
  public:
    explicit RequestFingerprint(std::string_view operation) { builder_.add(operation); }

    RequestFingerprint& add(std::string_view text) {
        builder_.add(text);
        return *this;
    }
    RequestFingerprint& add(const std::optional<std::string_view>& text);
    RequestFingerprint& add(const std::optional<std::int32_t>& number);
    RequestFingerprint& add(const std::optional<std::int64_t>& number);
    RequestFingerprint& add(const core::OrderId& id);
    RequestFingerprint& add(const Jsonb* json);
    core::Fingerprint finish() const { return builder_.finish(); }

  private:
    core::FingerprintBuilder builder_;
};
static_assert(pg::JumpSafe<RequestFingerprint>);

// Raises the error for a decision that says no.
[[noreturn]] void raise_refusal(const orders::Order& order, std::string_view action, core::Refusal refusal);

// The frame of every command: key -> (the answer it had before | work -> record the answer) -> answer. What a command answers with has
// encode(), decode() and answer() in its room.
template <class Work, class State>
Datum run_command(const pg::Call& call, int idempotency_key, std::string_view operation,
                  const RequestFingerprint& request, State (*decode)(std::string_view), Work&& work) {
    idempotency::Ticket ticket = idempotency::begin(call.text(idempotency_key), operation, request.finish());
    if (ticket.replayed) return answer(call, decode(ticket.answer), true);
    State after = work();
    idempotency::finish(ticket, encode(after));
    pg::end_of_command();
    return answer(call, after, false);
}

// The life of a command that changes one order: idempotency key -> lock the row -> decide -> write state and events -> answer.
template <class Decide>
Datum change_order(const pg::Call& call, std::string_view operation, const Positions& at, const core::OrderId& id,
                   const RequestFingerprint& request, Decide&& decide) {
    return run_command(call, at.idempotency_key, operation, request, orders::decode, [&] {
        std::optional<std::int32_t> expected_version;
        if (at.expected_version >= 0) expected_version = call.integer(at.expected_version);
        return orders::change(id, expected_version, decide);
    });
}

}  // namespace oms::api
