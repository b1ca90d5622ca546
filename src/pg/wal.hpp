// Durability as a reader needs it: is what a snapshot shows on disk, and on the standby if that is asked for.
#pragma once

#include <cstdint>

#include "pg/postgres.hpp"

namespace oms::pg {

using WalPosition = std::uint64_t;

// Where the log of writes ends now. The commit of every transaction that a snapshot taken before shows lies below.
WalPosition wal_end();

bool is_durable(WalPosition position);

// A position whose flush makes the commit of this transaction durable; 0 when it is. The transaction must be one that committed not long
// ago: what the server remembers of old ones is cut off.
WalPosition commit_position(std::uint64_t xid);

void make_durable(WalPosition position);

// Which copy an event must have reached before it is handed out; the values of oms.publish_after.
enum class PublishAfter : int { local, remote_write, remote_flush, remote_apply };

// Waits until the synchronous standbys have what lies below `position`; false when the wait was canceled. True at once when
// synchronous_standby_names is empty.
bool await_standby(WalPosition position, PublishAfter copy);

// The timeline that a primary writes; each promotion, and each recovery to a point in time, begins a new one.
std::uint32_t timeline();

// Says whether what a server wrote on this timeline below this position is part of the history of ours.
bool history_has(std::uint32_t timeline, WalPosition position);

// The number that initdb gives a cluster: physical copies have the same, a restored dump and an upgraded cluster do not.
std::int64_t cluster_identifier();

bool is_standby();

}  // namespace oms::pg
