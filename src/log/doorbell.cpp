// At commit, not at insert: the lock is then held for the commit alone, and a transaction that will be prepared has executed no NOTIFY.
//
// The lock says who is awake. Relays hold it as sleepers while they sleep: together, but never beside a producer. A producer that gets it knows
// that every relay is awake, and that none will fall asleep before it has read once more after this commit; one that does not get it queues the
// NOTIFY. Locks are released after the commit has become visible. test/model/doorbell.pml checks the protocol, also with several relays: were
// the sleepers' lock exclusive, the first to sleep would make the others poll for ever.
#include "log/doorbell.hpp"

#include "log/log.hpp"
#include "pg/settings.hpp"
#include "pg/transaction.hpp"

#include "pg/poison.hpp"

namespace oms::log {

namespace {

constexpr const char* channel = "oms_doorbell";
constexpr std::uint64_t the_bell = 0;  // one for the database

constinit bool has_something_to_deliver = false;

void ring() {
    if (!has_something_to_deliver || !pg::settings::doorbell) return;
    bool relays_are_awake = pg::lock_name(pg::LockSpace::doorbell, the_bell, pg::LockStrength::producer,
                                          pg::LockDuration::transaction, false);
    if (!relays_are_awake) pg::notify(channel);
}

void forget(pg::Ending) { has_something_to_deliver = false; }

}  // namespace

void ring_at_commit() { has_something_to_deliver = true; }

void install_doorbell() { pg::watch_transactions({.before_commit = ring, .ended = forget}); }

}  // namespace oms::log
