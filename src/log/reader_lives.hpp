// The lives of the log: which cluster wrote which range of event ids.
//
// Transaction ids belong to a cluster. In a log that was dumped and restored into another one, or whose cluster was upgraded, those stored in the
// older events compare among themselves only. So the first append or read in a cluster whose identifier is new begins a life: it records the
// first event id of the cluster's own. A reader finishes the old life by its old snapshots before it begins the new one at that id.
#pragma once

#include <cstdint>

#include "log/cursor.hpp"
#include "pg/transaction.hpp"

namespace oms::log {

struct Life {
    std::int32_t number = 0;
    Id first_id = 0;
};
static_assert(pg::JumpSafe<Life>);

extern bool life_is_known;

// Finds out which life this is; records it if nobody has.
void look_up_life();

// Makes sure that no event id is drawn, and none is read, before the life it belongs to is on record. Once in a session.
inline void ensure_life() {
    if (!life_is_known) [[unlikely]]
        look_up_life();
}

// After ensure_life().
Life current_life();

// The life that a look at the log would begin, without recording it; where it has begun, the same as current_life().
Life peek_at_life();

// The life that follows this one.
Life life_after(std::int32_t number);

// The oldest life on record.
Life first_life();

[[noreturn]] void raise_restore_incomplete(const char* who, Id seen, Id drawn);

// Called by the watcher of transactions.
void life_transaction_ended(pg::Ending ending);
void life_subtransaction_ended(pg::Ending ending, pg::SubtransactionNumber ended, pg::SubtransactionNumber parent);

}  // namespace oms::log
