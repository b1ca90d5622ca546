// The sagas that this session is advancing, the innermost first: a step's function may start and signal sagas, and those come back here.
#include "pg/raise.hpp"
#include "saga/instance.hpp"

#include "pg/poison.hpp"

namespace oms::saga {

namespace {

// A function that starts the saga that calls it would go on until the stack ends; nobody needs this many.
constexpr int nesting_max = 16;

constinit Instance* innermost = nullptr;
using LockOrder = void (*)(std::string_view order_id);
constinit LockOrder lock_order = nullptr;

}  // namespace

void enter(Instance& saga) {
    int depth = 0;
    for (const Instance* each = innermost; each != nullptr; each = each->outer) ++depth;
    if (depth >= nesting_max) {
        pg::raise(pg::Error::invalid_argument,
                  {.message = pg::format("sagas are started from each other more than %d deep", nesting_max),
                   .detail = pg::format("The innermost is of definition %s.", pg::quoted(saga.definition->name)),
                   .hint = "A saga must not start itself from one of its own steps; hand out a task that does."});
    }
    saga.outer = innermost;
    saga.subtransaction = pg::current_subtransaction();
    innermost = &saga;
}

void leave(Instance& saga) { innermost = saga.outer; }

Instance* being_advanced(core::SagaId id) {
    for (Instance* each = innermost; each != nullptr; each = each->outer) {
        if (each->id == id) return each;
    }
    return nullptr;
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
    while (innermost != nullptr && innermost->subtransaction >= subtransaction) innermost = innermost->outer;
}

void transaction_ended(pg::Ending) { innermost = nullptr; }

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
