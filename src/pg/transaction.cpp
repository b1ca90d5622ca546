// Locks on names, commit callbacks, NOTIFY.
#include "pg/transaction.hpp"

#include <array>
#include <span>

#include "pg/catalog.hpp"

namespace oms::pg {

namespace {

constexpr std::size_t watchers_max = 8;
constinit std::array<TransactionWatcher, watchers_max> watchers{};
constinit std::size_t watchers_count = 0;

std::span<const TransactionWatcher> registered() { return {watchers.data(), watchers_count}; }

void tell_ended(Ending ending) {
    for (const TransactionWatcher& watcher : registered()) {
        if (watcher.ended != nullptr) watcher.ended(ending);
    }
}

void transaction_event(XactEvent event, void*) {
    switch (event) {
    case XACT_EVENT_PRE_COMMIT:
        for (const TransactionWatcher& watcher : registered()) {
            if (watcher.before_commit != nullptr) watcher.before_commit();
        }
        break;
    case XACT_EVENT_PRE_PREPARE:
        for (const TransactionWatcher& watcher : registered()) {
            if (watcher.before_prepare != nullptr) watcher.before_prepare();
        }
        break;
    case XACT_EVENT_COMMIT: tell_ended(Ending::committed); break;
    case XACT_EVENT_ABORT: tell_ended(Ending::rolled_back); break;
    case XACT_EVENT_PREPARE: tell_ended(Ending::prepared); break;
    default: break;
    }
}

void subtransaction_event(SubXactEvent event, SubTransactionId ended, SubTransactionId parent, void*) {
    if (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB) return;
    Ending ending = event == SUBXACT_EVENT_COMMIT_SUB ? Ending::committed : Ending::rolled_back;
    for (const TransactionWatcher& watcher : registered()) {
        if (watcher.subtransaction_ended != nullptr) watcher.subtransaction_ended(ending, ended, parent);
    }
}

LOCKTAG tag_of(LockSpace space, std::uint64_t name) {
    LOCKTAG tag;
    // Every transaction with an event takes the bell. As a lock on a relation, in a mode that does not exclude its like, it stays in the backend's
    // own memory while nobody sleeps; an advisory lock would go through the shared lock table and its one partition for that name.
    if (space == LockSpace::doorbell) {
        SET_LOCKTAG_RELATION(tag, MyDatabaseId, relation_oid("doorbell"));
        return tag;
    }
    SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, static_cast<uint32>(name >> 32), static_cast<uint32>(name),
                         static_cast<uint16>(space));
    return tag;
}

// When a session ends, the server lets go of its advisory locks, but not of a lock on a relation that the session holds beyond its transactions: the bell
// of a relay that is gone would stay taken, and every commit would pay for a NOTIFY to nobody.
constinit LOCKTAG bell_of_this_session{};
constinit bool bell_is_released_at_exit = false;

void release_bell(int, Datum) {
    if (version::holds_lock(bell_of_this_session, ShareLock)) LockRelease(&bell_of_this_session, ShareLock, true);
}

void release_bell_at_exit(const LOCKTAG& bell) {
    bell_of_this_session = bell;
    if (bell_is_released_at_exit) return;
    before_shmem_exit(release_bell, Datum{0});
    bell_is_released_at_exit = true;
}

LOCKMODE mode_of(LockStrength strength) {
    switch (strength) {
    case LockStrength::producer: return RowExclusiveLock;
    case LockStrength::sleeper: return ShareLock;
    default: return ExclusiveLock;
    }
}

}  // namespace

FullTransactionId assign_transaction_id() {
    // On a standby the server itself would call this an internal error.
    PreventCommandIfReadOnly("this command of oms");
    return GetTopFullTransactionId();
}

bool lock_name(LockSpace space, std::uint64_t name, LockStrength strength, LockDuration duration, bool wait) {
    LOCKTAG tag = tag_of(space, name);
    if (space == LockSpace::doorbell && duration == LockDuration::session) release_bell_at_exit(tag);
    return LockAcquire(&tag, mode_of(strength), duration == LockDuration::session, !wait) != LOCKACQUIRE_NOT_AVAIL;
}

void unlock_name(LockSpace space, std::uint64_t name, LockStrength strength, LockDuration duration) {
    LOCKTAG tag = tag_of(space, name);
    LockRelease(&tag, mode_of(strength), duration == LockDuration::session);
}

bool holds_name(LockSpace space, std::uint64_t name, LockStrength strength) {
    return version::holds_lock(tag_of(space, name), mode_of(strength));
}

void watch_transactions(const TransactionWatcher& watcher) {
    if (watchers_count == watchers_max) elog(ERROR, "more than %zu rooms watch transactions", watchers_max);
    if (watchers_count == 0) {
        RegisterXactCallback(transaction_event, nullptr);
        RegisterSubXactCallback(subtransaction_event, nullptr);
    }
    watchers[watchers_count++] = watcher;
}

void notify(const char* channel) { Async_Notify(channel, ""); }

}  // namespace oms::pg
