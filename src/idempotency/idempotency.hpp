// Idempotency: one key, one effect. The door of the room.
//
//   Ticket ticket = begin(key, operation, fingerprint);
//   if (ticket.replayed) answer from ticket.answer; otherwise do the work, then
//   finish(ticket, answer);
//
// The row is written in the caller's transaction: it cannot say "done" for something that was rolled back. Between begin and finish a lock on
// the key keeps a twin out; from finish to commit the unfinished row itself does, so that a transaction of a hundred thousand commands holds
// one such lock at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>

#include "core/fingerprint.hpp"
#include "pg/jump.hpp"
#include "pg/table.hpp"

namespace oms::idempotency {

struct Ticket {
    std::string_view key;
    std::string_view operation;  // a name that lives as long as the library
    core::Fingerprint fingerprint;
    std::uint64_t key_hash;
    bool replayed;
    std::string_view answer;  // when replayed: the bytes that finish() was given, in the current memory context
};
static_assert(pg::JumpSafe<Ticket>);

// Takes the key. Waits for a twin that is still running, or raises idempotency_in_progress, as oms.idempotency_wait says. Raises
// idempotency_key_required for no key, idempotency_key_reused for a key that another request used.
Ticket begin(std::optional<std::string_view> key, std::string_view operation, const core::Fingerprint& fingerprint);

// Records the answer and lets the key go.
void finish(const Ticket& ticket, std::string_view answer);

// The same for several tickets; answers[i] belongs to tickets[i].
void finish(std::span<const Ticket> tickets, std::span<const std::string_view> answers);

// Keeps twins away from a key, as begin() does, for somebody who looks further than this room does before a command runs under it. Raises what begin()
// raises for a key that cannot be used, and idempotency_in_progress.
Ticket hold(std::optional<std::string_view> key);
void let_go(const Ticket& ticket);

// How a command names its request when it is called under a key that is held, for somebody who will carry it out later: `call` calls it, and begin() ends the
// call where it would have let it go on. Nothing: it was answered before, and the call has come to its end. Raises what the call raises before that.
std::optional<Ticket> ask_call(const Ticket& held, void (*call)(void*), void* argument);
template <class Call>
std::optional<Ticket> ask(const Ticket& held, Call&& call) {
    return ask_call(
        held, [](void* callable) { (*static_cast<std::remove_reference_t<Call>*>(callable))(); }, &call);
}

// Takes the key for this request until somebody carries it out: begin() lets the same request pass, and refuses every other.
void reserve(const Ticket& ticket);

// The table that the room writes, for the session's list of watched tables.
pg::Table& table();

}  // namespace oms::idempotency
