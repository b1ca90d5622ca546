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

// The outermost open subtransaction that appended something to deliver; what those inside it appended as well changes nothing.
constinit pg::SubtransactionNumber appended_in = InvalidSubTransactionId;

void ring() {
    if (appended_in == InvalidSubTransactionId || !pg::settings::doorbell) return;
    bool relays_are_awake = pg::lock_name(pg::LockSpace::doorbell, the_bell, pg::LockStrength::producer,
                                          pg::LockDuration::transaction, false);
    if (!relays_are_awake) pg::notify(channel);
}

void forget(pg::Ending) { appended_in = InvalidSubTransactionId; }

void hand_to_parent_or_forget(pg::Ending ending, pg::SubtransactionNumber ended, pg::SubtransactionNumber parent) {
    if (appended_in != ended) return;
    appended_in = ending == pg::Ending::committed ? parent : InvalidSubTransactionId;
}

}  // namespace

void ring_at_commit() {
    if (appended_in == InvalidSubTransactionId) appended_in = pg::current_subtransaction();
}

void install_doorbell() {
    pg::watch_transactions({.before_commit = ring, .ended = forget, .subtransaction_ended = hand_to_parent_or_forget});
}

// Held for the session, not counted: arming twice is arming once.
bool arm_doorbell() {
    if (pg::holds_name(pg::LockSpace::doorbell, the_bell, pg::LockStrength::sleeper)) return true;
    return pg::lock_name(pg::LockSpace::doorbell, the_bell, pg::LockStrength::sleeper, pg::LockDuration::session,
                         false);
}

void disarm_doorbell() {
    if (!pg::holds_name(pg::LockSpace::doorbell, the_bell, pg::LockStrength::sleeper)) return;
    pg::unlock_name(pg::LockSpace::doorbell, the_bell, pg::LockStrength::sleeper, pg::LockDuration::session);
}

}  // namespace oms::log
