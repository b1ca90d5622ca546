// The gate that events leave by: none is handed out that a crash could still undo.
//
// A transaction run with synchronous_commit = off is visible before its commit is on disk. Lost in a crash, it would never have happened, but its
// events would be out. All others are on disk before they become visible, so almost always there is nothing to flush: flushing up to the end of
// the log for each read would instead make every read wait for a disk, and for other people's unfinished work.
#pragma once

#include <cstdint>

#include "log/cursor.hpp"
#include "pg/jump.hpp"
#include "pg/ordered_scan.hpp"
#include "pg/wal.hpp"

namespace oms::log {

class DurableGate {
  public:
    // Made when the snapshot has been taken; `oldest_running` is the oldest transaction that it does not show.
    explicit DurableGate(Xid oldest_running);

    // The next row of the scan is to leave. What counts is who inserted the row: usually the event's own transaction, but a later one can have
    // restored or moved it.
    void saw(pg::OrderedScan& scan) {
        any_ = true;
        if (all_durable_) return;
        if (Xid inserted_by = scan.inserted_by(); inserted_by != last_seen_) look_at(inserted_by);
    }

    // Waits until everything seen is durable, here and where oms.publish_after wants it.
    void wait();

  private:
    void look_at(Xid inserted_by);

    pg::WalPosition end_;         // every commit that the snapshot shows lies below
    pg::WalPosition needed_ = 0;  // what the rows seen so far need
    Xid last_seen_ = 0;
    bool all_durable_;
    bool any_ = false;
};
static_assert(pg::JumpSafe<DurableGate>);

}  // namespace oms::log
