// Positions in the write-ahead log, flushing, waiting for standbys.
#include "pg/wal.hpp"

#include "pg/raise.hpp"

namespace oms::pg {

WalPosition wal_end() {
    XLogRecPtr end = GetXLogInsertRecPtr();
    // When the last record ended with its page, the position given is behind the next page's header, which does not exist yet and cannot be
    // flushed.
    std::uint64_t header =
        XLogSegmentOffset(end, wal_segment_size) < XLOG_BLCKSZ ? SizeOfXLogLongPHD : SizeOfXLogShortPHD;
    return end % XLOG_BLCKSZ == header ? end - header : end;
}

bool is_durable(WalPosition position) { return version::flushed_until() >= position; }

WalPosition commit_position(std::uint64_t xid) { return TransactionIdGetCommitLSN(static_cast<TransactionId>(xid)); }

void make_durable(WalPosition position) { XLogFlush(position); }

namespace {

struct Wait {
    const char* level;  // as synchronous_commit calls it
    int mode;           // as the waiting queue calls it
};

Wait wait_for(PublishAfter copy) {
    switch (copy) {
    case PublishAfter::remote_write: return {"remote_write", SYNC_REP_WAIT_WRITE};
    case PublishAfter::remote_apply: return {"remote_apply", SYNC_REP_WAIT_APPLY};
    default: return {"on", SYNC_REP_WAIT_FLUSH};
    }
}

bool is_confirmed(WalPosition position, int mode) {
    LWLockAcquire(SyncRepLock, LW_SHARED);
    bool confirmed = WalSndCtl->lsn[mode] >= position;
    LWLockRelease(SyncRepLock);
    return confirmed;
}

}  // namespace

bool await_standby(WalPosition position, PublishAfter copy) {
    if (copy == PublishAfter::local || max_wal_senders == 0 || SyncRepStandbyNames == nullptr ||
        *SyncRepStandbyNames == '\0') {
        return true;
    }
    Wait wait = wait_for(copy);
    if (is_confirmed(position, wait.mode)) return true;
    // The wait takes its strength from the session's synchronous_commit, which the caller may have lowered for his own commits.
    int level = NewGUCNestLevel();
    (void)set_config_option("synchronous_commit", wait.level, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
                            false);
    // As HOLD_INTERRUPTS does: the queue must be left in order. A cancel request still ends the wait.
    InterruptHoldoffCount = InterruptHoldoffCount + 1;
    SyncRepWaitForLSN(position, true);
    InterruptHoldoffCount = InterruptHoldoffCount - 1;
    AtEOXact_GUC(false, level);
    CHECK_FOR_INTERRUPTS();
    return is_confirmed(position, wait.mode);
}

std::uint32_t timeline() { return version::writing_timeline(); }

bool history_has(std::uint32_t timeline, WalPosition position) {
    if (position == 0 || position > GetXLogInsertRecPtr()) return false;
    TimeLineID current = version::writing_timeline();
    if (timeline == current) return true;
    // The byte before: at the very position where a timeline ends, the next one begins.
    List* history = readTimeLineHistory(current);
    return timeline < current && tliOfPointInHistory(position - 1, history) == timeline;
}

std::int64_t cluster_identifier() { return static_cast<std::int64_t>(GetSystemIdentifier()); }

bool is_standby() { return RecoveryInProgress(); }

}  // namespace oms::pg
