// Snapshots as readers of the log see them: which transactions' work is shown, in transaction ids that never wrap around.
#pragma once

#include <cstdint>
#include <span>

#include "pg/jump.hpp"
#include "pg/postgres.hpp"

namespace oms::pg {

// The snapshot that a read runs under: the newest one under READ COMMITTED, the transaction's only one otherwise.
class ReadSnapshot {
  public:
    void take();
    void release();

    // Transactions from xmax() on are not shown. This is one past the highest *finished* one, not the next to be assigned.
    std::uint64_t xmax() const { return xmax_; }

    // Transactions below xmax() that were running, sorted, by their top-level ids; never the session's own. In the context of take().
    std::span<const std::uint64_t> running() const { return running_; }

    // A 32-bit id that a row carries, in 64 bits.
    std::uint64_t widened(TransactionId xid) const;

  private:
    friend class OrderedScan;

    Snapshot raw_ = nullptr;
    FullTransactionId next_{};
    std::uint64_t xmax_ = 0;
    std::span<const std::uint64_t> running_;
};
static_assert(JumpSafe<ReadSnapshot>);

// Calls fn(const ReadSnapshot&). An abort releases the snapshot if `fn` raises.
template <class Fn>
void with_read_snapshot(Fn&& fn) {
    ReadSnapshot snapshot;
    snapshot.take();
    fn(static_cast<const ReadSnapshot&>(snapshot));
    snapshot.release();
}

// The next transaction id to be assigned in the cluster.
std::uint64_t next_transaction_id();

// The top-level id of this transaction, or 0 if it has none.
std::uint64_t own_transaction_id();

}  // namespace oms::pg
