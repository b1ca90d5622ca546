// The sagas that this session is advancing, the innermost last: a step's function may start and signal sagas, and those come back here.
#include <array>

#include "pg/raise.hpp"
#include "saga/instance.hpp"

#include "pg/poison.hpp"

namespace oms::saga {

namespace {

// A function that starts the saga that calls it would go on until the stack ends; nobody needs this many.
constexpr int nesting_max = 16;

// Instances live in the frames of those who advance them. An error leaves those frames before the (sub)transaction's end is told: what is
// needed to forget an instance must not be looked up in it.
struct Advanced {
    Instance* saga;
    pg::SubtransactionNumber entered_in;
};
constinit std::array<Advanced, nesting_max> advanced{};
constinit int depth = 0;

// The subtransaction of together(), should one be going on. Inside of another one that is nested in it nothing is shared.
constinit pg::SubtransactionNumber shared = 0;

using LockOrder = void (*)(std::string_view order_id);
constinit LockOrder lock_order = nullptr;

}  // namespace

void enter(Instance& saga) {
    if (depth >= nesting_max) {
        pg::raise(pg::Error::invalid_argument,
                  {.message = pg::format("sagas are started from each other more than %d deep", nesting_max),
                   .detail = pg::format("The innermost is of definition %s.", pg::quoted(saga.definition->name)),
                   .hint = "A saga must not start itself from one of its own steps; hand out a task that does."});
    }
    advanced[static_cast<std::size_t>(depth++)] = {&saga, pg::current_subtransaction()};
}

void leave(Instance&) { --depth; }

Instance* being_advanced(core::SagaId id) {
    for (int i = depth; i-- > 0;) {
        Instance* each = advanced[static_cast<std::size_t>(i)].saga;
        if (each->id == id) return each;
    }
    return nullptr;
}

bool is_advancing() { return depth > 0; }

bool shares_subtransaction(const Definition& definition) {
    return definition.builtin && shared != 0 && shared == pg::current_subtransaction();
}

void together_call(void (*call)(void*), void* argument) {
    if (shared != 0 && shared == pg::current_subtransaction()) return call(argument);
    const pg::SubtransactionNumber outer = shared;
    const std::optional<pg::Failure> failure = pg::attempt([&] {
        shared = pg::current_subtransaction();
        call(argument);
    });
    shared = outer;
    if (failure) call(argument);
}

void refuse_nested(core::SagaId id) {
    if (being_advanced(id) == nullptr) return;
    pg::raise(pg::Error::operation_in_progress,
              {.message = pg::format("saga " INT64_FORMAT " is being advanced by this very session", id.value),
               .detail = "A function of one of its steps made the call.",
               .hint = "Let the function return; a signal may be sent from where you are."});
}

namespace {

// What an error left behind is gone with the subtransaction in which it was entered.
void forget_from(pg::SubtransactionNumber subtransaction) {
    while (depth > 0 && advanced[static_cast<std::size_t>(depth - 1)].entered_in >= subtransaction) --depth;
}

void transaction_ended(pg::Ending) {
    depth = 0;
    shared = 0;
}

void subtransaction_ended(pg::Ending ending, pg::SubtransactionNumber ended, pg::SubtransactionNumber) {
    if (ending == pg::Ending::rolled_back) forget_from(ended);
}

}  // namespace

void watch_transactions() {
    pg::watch_transactions({.ended = transaction_ended, .subtransaction_ended = subtransaction_ended});
}

void on_lock_order(void (*lock)(std::string_view)) { lock_order = lock; }

void lock_order_of(const Definition& definition, std::string_view key) {
    if (definition.of_order && lock_order != nullptr) lock_order(key);
}

}  // namespace oms::saga
