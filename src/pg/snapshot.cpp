// Taking snapshots and widening what they name to 64 bits.
#include "pg/snapshot.hpp"

#include <algorithm>

#include "pg/memory.hpp"

namespace oms::pg {

// It belongs to the last cycle of ids before the next one: no transaction that a snapshot or an unfrozen row names is older than that.
std::uint64_t ReadSnapshot::widened(TransactionId xid) const {
    std::uint32_t epoch = EpochFromFullTransactionId(next_);
    if (xid > XidFromFullTransactionId(next_)) --epoch;
    return U64FromFullTransactionId(FullTransactionIdFromEpochAndXid(epoch, xid));
}

void ReadSnapshot::take() {
    raw_ = RegisterSnapshot(IsolationUsesXactSnapshot() ? GetTransactionSnapshot() : GetLatestSnapshot());
    next_ = ReadNextFullTransactionId();
    xmax_ = widened(raw_->xmax);
    std::span<std::uint64_t> running = allocate<std::uint64_t>(raw_->xcnt);
    for (std::size_t i = 0; i < running.size(); ++i) running[i] = widened(raw_->xip[i]);
    std::ranges::sort(running);
    // One that is being prepared is there twice for a moment: as the session's, and as that of nobody.
    running_ = running.first(running.size() - std::ranges::unique(running).size());
}

void ReadSnapshot::release() { UnregisterSnapshot(raw_); }

std::uint64_t next_transaction_id() { return U64FromFullTransactionId(ReadNextFullTransactionId()); }

std::uint64_t own_transaction_id() { return U64FromFullTransactionId(GetTopFullTransactionIdIfAny()); }

}  // namespace oms::pg
