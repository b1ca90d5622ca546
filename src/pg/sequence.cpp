// nextval without the caller's rights and without the function manager; and looking at a sequence without drawing.
#include "pg/sequence.hpp"

#include "pg/catalog.hpp"
#include "pg/memory.hpp"

namespace oms::pg {

// Looked up each time: the catalog cache answers in a tenth of a microsecond, and an oid kept here would outlive DROP EXTENSION and
// CREATE EXTENSION in one session, whose schema stays the same.
std::int64_t Sequence::next() { return nextval_internal(relation_oid(name_), false); }

std::int64_t Sequence::last() const {
    Relation sequence = relation_open(relation_oid(name_), AccessShareLock);
    Buffer buffer = ReadBuffer(sequence, 0);
    LockBuffer(buffer, BUFFER_LOCK_SHARE);
    Page page = BufferGetPage(buffer);
    auto row = reinterpret_cast<HeapTupleHeader>(PageGetItem(page, PageGetItemId(page, FirstOffsetNumber)));
    auto state = reinterpret_cast<Form_pg_sequence_data>(reinterpret_cast<char*>(row) + row->t_hoff);
    std::int64_t last = state->is_called ? state->last_value : 0;
    UnlockReleaseBuffer(buffer);
    relation_close(sequence, NoLock);
    return last;
}

// nextval locks the sequence for the transaction before it draws, so whoever holds no such lock has drawn nothing. The order of the looks is
// what makes it certain: first the holders, then whether the transaction still runs. One that ended between had released its lock.
std::span<const bool> Sequence::untouched_by(std::span<const std::uint64_t> running) const {
    std::span<bool> untouched = allocate<bool>(running.size());
    LOCKTAG tag;
    SET_LOCKTAG_RELATION(tag, MyDatabaseId, relation_oid(name_));
    int count = 0;
    VirtualTransactionId* holders = GetLockConflicts(&tag, ShareLock, &count);
    for (std::size_t i = 0; i < running.size(); ++i) {
        auto xid = static_cast<TransactionId>(running[i]);
        int pid = BackendXidGetPid(xid);
        PGPROC* backend = pid == 0 ? nullptr : BackendPidGetProc(pid);
        if (backend == nullptr || backend == MyProc) continue;
        VirtualTransactionId transaction;
        GET_VXID_FROM_PGPROC(transaction, *backend);
        // Still the same backend in the same transaction, so the name read above is that transaction's.
        if (BackendXidGetPid(xid) != pid) continue;
        untouched[i] = true;
        for (int k = 0; k < count; ++k) {
            if (VirtualTransactionIdEquals(holders[k], transaction)) untouched[i] = false;
        }
    }
    return untouched;
}

}  // namespace oms::pg
