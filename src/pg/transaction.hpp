// The transaction a command runs in: ids, locks on names, and what happens just before it commits.
#pragma once

#include <cstdint>

#include "pg/postgres.hpp"

namespace oms::pg {

// The top-level transaction's id, assigned now if it has none.
FullTransactionId assign_transaction_id();

// Raises PostgreSQL's own 25006 on a standby, where not even the lock for a look at an idempotency key can be had.
inline void refuse_on_standby() { PreventCommandDuringRecovery("this command of oms"); }

// Makes what this command wrote visible to the next one of the same transaction.
inline void end_of_command() { CommandCounterIncrement(); }

// True under REPEATABLE READ and SERIALIZABLE: the snapshot was taken once, for the whole transaction.
inline bool has_transaction_snapshot() { return IsolationUsesXactSnapshot(); }

inline bool is_read_only_transaction() { return XactReadOnly; }

// The kinds of names that are locked. They live in the advisory lock space under a number of their own, so that no
// application's pg_advisory_lock() can collide with them; but for the doorbell, which is a lock on the view oms.doorbell.
enum class LockSpace : std::uint16_t {
    idempotency_key = 0x4F01,
    doorbell = 0x4F02,
    stream = 0x4F03,
    reader = 0x4F04,
    life = 0x4F05,
    queue = 0x4F06,        // the claimers' doorbell
    clock = 0x4F07,        // the clock's doorbell
    task_owner = 0x4F08,   // held by a session for as long as its leases shall live
    queue_limit = 0x4F09,  // who counts the leases of a limited queue
    task_front = 0x4F0A,   // who is the first to store how far a queue is done
    definition = 0x4F0B,   // who gives a saga its next version
};
// exclusive: one holder. The other two are the doorbell's pair: any number of holders of the same kind, none of the other.
enum class LockStrength : unsigned char { exclusive, producer, sleeper };
enum class LockDuration : bool { transaction, session };

// Takes the lock; with `wait` false answers false instead of waiting.
bool lock_name(LockSpace space, std::uint64_t name, LockStrength strength, LockDuration duration, bool wait);
void unlock_name(LockSpace space, std::uint64_t name, LockStrength strength, LockDuration duration);

// Says whether this session holds the lock, for itself or for its transaction. Session locks can go without notice: DISCARD ALL.
bool holds_name(LockSpace space, std::uint64_t name, LockStrength strength);

enum class Ending : unsigned char { committed, rolled_back, prepared };
using SubtransactionNumber = SubTransactionId;

// The innermost subtransaction that is open; the top-level transaction counts as one.
inline SubtransactionNumber current_subtransaction() { return GetCurrentSubTransactionId(); }

// The same for good: the number alone comes again in the next transaction.
struct Subtransaction {
    LocalTransactionId transaction = InvalidLocalTransactionId;
    SubtransactionNumber number = InvalidSubTransactionId;
    friend bool operator==(const Subtransaction&, const Subtransaction&) = default;
};
inline Subtransaction innermost_subtransaction() { return {version::local_transaction(), current_subtransaction()}; }

// What a room does at the turns of a transaction's life. before_commit runs in the committing transaction before the commit is written (never
// at PREPARE TRANSACTION, never in an abort), before_prepare at PREPARE TRANSACTION; both may raise. The others must not.
struct TransactionWatcher {
    void (*before_commit)() = nullptr;
    void (*before_prepare)() = nullptr;
    void (*ended)(Ending ending) = nullptr;
    void (*subtransaction_ended)(Ending ending, SubtransactionNumber ended, SubtransactionNumber parent) = nullptr;
};

// Called once for each room, from _PG_init.
void watch_transactions(const TransactionWatcher& watcher);

// NOTIFY with an empty payload, delivered when the transaction has committed.
void notify(const char* channel);

}  // namespace oms::pg
