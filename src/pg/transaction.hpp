// The transaction a command runs in: ids, locks on names, and what happens just before it commits.
#pragma once

#include <cstdint>

#include "pg/postgres.hpp"

namespace oms::pg {

// The top-level transaction's id, assigned now if it has none.
FullTransactionId assign_transaction_id();

// Makes what this command wrote visible to the next one of the same transaction.
inline void end_of_command() { CommandCounterIncrement(); }

// True under REPEATABLE READ and SERIALIZABLE: the snapshot was taken once, for the whole transaction.
inline bool has_transaction_snapshot() { return IsolationUsesXactSnapshot(); }

// The kinds of names that are locked. They live in the advisory lock space under a number of their own, so that no
// application's pg_advisory_lock() can collide with them.
enum class LockSpace : std::uint16_t { idempotency_key = 0x4F01, doorbell = 0x4F02, stream = 0x4F03, reader = 0x4F04 };
// exclusive: one holder. The other two are the doorbell's pair: any number of holders of the same kind, none of the other.
enum class LockStrength : unsigned char { exclusive, producer, sleeper };
enum class LockDuration : bool { transaction, session };

// Takes the lock; with `wait` false answers false instead of waiting.
bool lock_name(LockSpace space, std::uint64_t name, LockStrength strength, LockDuration duration, bool wait);
void unlock_name(LockSpace space, std::uint64_t name, LockStrength strength, LockDuration duration);

// Registers what runs in the committing transaction before the commit is written (never at PREPARE TRANSACTION, never in an abort), and
// what runs when the transaction has ended either way. Called once each, from _PG_init.
using TransactionCallback = void (*)();
void before_commit(TransactionCallback callback);
void after_transaction(TransactionCallback callback);

// NOTIFY with an empty payload, delivered when the transaction has committed.
void notify(const char* channel);

}  // namespace oms::pg
