// Which rows of the log a reader is to get next, as a pair of views and a range of ids.
#pragma once

#include <cstdint>

#include "log/cursor.hpp"
#include "log/reader_lives.hpp"
#include "pg/ordered_scan.hpp"
#include "pg/snapshot.hpp"

namespace oms::log {

// What is noted before a snapshot is taken: the sequence first, then the next transaction id.
struct Note {
    Id above_id;
    Xid from_xid;
};
Note take_note();

// What the snapshot shows to others, too: the session's own transaction counts as running. Its bounds are still to be filled in.
View view_of(const pg::ReadSnapshot& snapshot, const Note& note);

// Fills in the bounds of a view that follows `earlier`.
void set_bounds(View& view, const View& earlier);

struct Batch {
    Cursor cursor;  // always paging: its views, and the id that the scan starts behind
    Id up_to;       // the last id that can belong to it
    Cursor end;     // the cursor when all of it has been read
    bool is_fresh;  // under a view that was taken for it: nothing found means that there is nothing
};

// The batch that follows `start`, the rest of an open one or a new one that ends with the snapshot. Raises 40001 if the snapshot is older than
// the cursor.
Batch batch_behind(const Cursor& start, Life current, const pg::ReadSnapshot& snapshot, const Note& note);

// Says whether the row that the scan stands at belongs to the batch.
bool belongs(const Batch& batch, pg::OrderedScan& scan);

// The columns of oms.event, in the order of the table.
namespace event_field {
enum : int { id, xid, aggregate_type, aggregate_id, seq, type, topic, key, payload, headers, occurred_at, count };
}

}  // namespace oms::log
