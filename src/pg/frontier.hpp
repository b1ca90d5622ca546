// Where a walk along a queue has to begin: behind everything that is known to be taken.
//
// A queue is an index whose keys grow, more or less, in the order of insertion; rows are taken from its front. While somebody holds an old snapshot
// what was taken cannot be removed, and a walk from the beginning would pass all of it each time. A session therefore remembers how far it has seen
// that nothing is left. Two things can put a row behind that point, and both are the work of a transaction that was running when the point was set:
// one that had drawn a key and commits it later, and one that had taken a row and rolls back. So for every running transaction the lowest key that
// it may leave behind is remembered too; when it has ended, the point goes back to there, once.
//
// The bounds come from a note: first the highest key drawn so far, then the next transaction id. Whoever inserts gets its transaction id before it
// draws the key, so transactions from the noted id on draw keys above the noted one. (Those from the snapshot's xmax on may already have drawn: that
// is one past the highest id that has *completed*. They share one bound, the tail's.)
//
// Memory of the session, and advice only: forgetting it costs one longer walk.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "pg/jump.hpp"
#include "pg/postgres.hpp"

namespace oms::pg {

class Frontier {
  public:
    // Begins anew: nothing below `from` is left, and nothing will be put there.
    void reset(std::int64_t from);
    void forget() { set_ = false; }
    bool is_set() const { return set_; }

    // Takes note of what is running. `highest_key` was read before this call; returns the snapshot to walk with, registered, which end_look()
    // releases. from() is then where the walk begins.
    Snapshot begin_look(std::int64_t highest_key);
    std::int64_t from() const { return from_; }

    // The row at `key` could not be had: `holder` has it, or, when that is not known, the frontier stays before it.
    void met_holder(std::int64_t key, TransactionId holder);
    // This transaction has taken the row at `key`. It may yet roll back.
    void took(std::int64_t key);
    // Ends the look: everything up to `key` has been seen.
    void end_look(Snapshot snapshot, std::int64_t passed_until);

    // The point below which nothing can appear any more: fit to be stored for other sessions. Not behind what this transaction has taken, which may
    // be free again though it commits, after a rollback to a savepoint.
    std::int64_t settled() const;

  private:
    struct Running {
        TransactionId xid;
        std::int64_t low;  // the lowest key that it may leave behind
    };
    static constexpr std::size_t running_max = 128;  // more than that hold the frontier back instead

    std::int64_t low_of(TransactionId xid) const;
    void remember(TransactionId xid, std::int64_t low);
    void may_give_back(TransactionId xid, std::int64_t key);

    bool set_ = false;
    std::int64_t from_ = 0;
    std::int64_t cap_ = 0;  // the frontier must not pass this in the present look
    std::int64_t noted_key_ = 0;
    TransactionId noted_xid_ = InvalidTransactionId;  // transactions from here on draw keys above noted_key_
    TransactionId tail_xid_ = InvalidTransactionId;   // those from here to noted_xid_ share tail_low_
    std::int64_t tail_low_ = 0;
    std::size_t count_ = 0;
    std::array<Running, running_max> running_{};
};
static_assert(JumpSafe<Frontier>);

}  // namespace oms::pg
