// Locks on names, commit callbacks, NOTIFY.
#include "pg/transaction.hpp"

namespace oms::pg {

namespace {

constinit TransactionCallback commit_callback = nullptr;
constinit TransactionCallback end_callback = nullptr;

void transaction_event(XactEvent event, void*) {
    switch (event) {
    case XACT_EVENT_PRE_COMMIT:
        if (commit_callback != nullptr) commit_callback();
        break;
    case XACT_EVENT_COMMIT:
    case XACT_EVENT_ABORT:
    case XACT_EVENT_PREPARE:
        if (end_callback != nullptr) end_callback();
        break;
    default: break;
    }
}

void register_once() {
    if (commit_callback == nullptr && end_callback == nullptr) RegisterXactCallback(transaction_event, nullptr);
}

LOCKTAG tag_of(LockSpace space, std::uint64_t name) {
    LOCKTAG tag;
    SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, static_cast<uint32>(name >> 32), static_cast<uint32>(name),
                         static_cast<uint16>(space));
    return tag;
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
    return LockAcquire(&tag, mode_of(strength), duration == LockDuration::session, !wait) != LOCKACQUIRE_NOT_AVAIL;
}

void unlock_name(LockSpace space, std::uint64_t name, LockStrength strength, LockDuration duration) {
    LOCKTAG tag = tag_of(space, name);
    LockRelease(&tag, mode_of(strength), duration == LockDuration::session);
}

void before_commit(TransactionCallback callback) {
    register_once();
    commit_callback = callback;
}

void after_transaction(TransactionCallback callback) {
    register_once();
    end_callback = callback;
}

void notify(const char* channel) { Async_Notify(channel, ""); }

}  // namespace oms::pg
