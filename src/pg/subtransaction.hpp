// Where an error becomes data: a callable in a subtransaction of its own. The only place that catches.
//
//   std::optional<Failure> failure = attempt([&] { ... });
//
// Without a failure the subtransaction was released and what it did belongs to the transaction. With one it was rolled back, and the session is
// as it was before the call: memory context, resource owner, current role, settings, open SPI levels. The callable's own variables are what they
// were when the error was raised: assign results last.
//
// Not every error may become data. One that says that the whole transaction has lost (class 40), or that the session was told to stop (query_canceled,
// class 57), is raised again after the rollback: whoever started the transaction has to see it. Under READ COMMITTED the first kind may be asked for
// all the same: a deadlock ended with the locks of the subtransaction.
#pragma once

#include <optional>
#include <string_view>

#include "pg/jump.hpp"
#include "pg/postgres.hpp"

namespace oms::pg {

// In the memory context that was current when the attempt was made. Empty texts for what the error did not say.
struct Failure {
    std::string_view sqlstate, message, detail, hint;
};
static_assert(JumpSafe<Failure>);

// Raises what an attempt ended with, after all.
[[noreturn]] void raise_again(const Failure& failure);

enum class Conflicts : bool { end_the_transaction, become_data };

std::optional<Failure> attempt_call(void (*call)(void*), void* argument, Conflicts conflicts);

template <class Fn>
std::optional<Failure> attempt(Fn&& fn, Conflicts conflicts = Conflicts::end_the_transaction) {
    return attempt_call([](void* callable) { (*static_cast<std::remove_reference_t<Fn>*>(callable))(); }, &fn,
                        conflicts);
}

}  // namespace oms::pg
