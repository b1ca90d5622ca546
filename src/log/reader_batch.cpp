// From a cursor and a snapshot to the next batch.
#include "log/reader_batch.hpp"

#include "log/log.hpp"
#include "pg/memory.hpp"
#include "pg/raise.hpp"

#include "pg/poison.hpp"

namespace oms::log {

namespace {

// A scan over fewer ids costs less than asking what a transaction has been doing.
constexpr Id rescan_max = 1'000;

// When a transaction that runs for long ends, the ids from its bound on are scanned once. For one that has drawn no id so far, and most of those
// that run for long never do, the bound can follow the log.
void raise_bounds_of_idle(View& view, std::span<Id> bounds) {
    pg::Array<Xid> old;
    for (std::size_t i = 0; i < bounds.size(); ++i) {
        if (bounds[i] < view.above_id - rescan_max) old.push(view.running[i]);
    }
    if (old.size() == 0) return;
    std::span<const bool> idle = event_ids().untouched_by(old.span());
    std::size_t next = 0;
    for (std::size_t i = 0; i < bounds.size(); ++i) {
        if (bounds[i] < view.above_id - rescan_max && idle[next++]) bounds[i] = view.above_id;
    }
}

}  // namespace

Note take_note() {
    Note note{};
    note.above_id = event_ids().last();
    note.from_xid = pg::next_transaction_id();
    return note;
}

View view_of(const pg::ReadSnapshot& snapshot, const Note& note) {
    View view{
        .xmax = snapshot.xmax(), .running = snapshot.running(), .from_xid = note.from_xid, .above_id = note.above_id};
    Xid own = pg::own_transaction_id();
    if (own == 0 || own >= view.xmax) return view;
    std::span<Xid> with_own = pg::allocate<Xid>(view.running.size() + 1);
    auto behind = std::ranges::lower_bound(view.running, own);
    auto place = std::copy(view.running.begin(), behind, with_own.begin());
    *place++ = own;
    std::copy(behind, view.running.end(), place);
    view.running = with_own;
    return view;
}

void set_bounds(View& view, const View& earlier) {
    std::span<Id> bounds = pg::allocate<Id>(view.running.size());
    for (std::size_t i = 0; i < bounds.size(); ++i) bounds[i] = earlier.bound_of(view.running[i]);
    raise_bounds_of_idle(view, bounds);
    view.bounds = bounds;
    // One for them all, and that of the oldest is the least: bounds are notes, and notes only grow.
    view.between = earlier.bound_of(view.xmax);
}

Batch batch_behind(const Cursor& start, Life current, const pg::ReadSnapshot& snapshot, const Note& note) {
    bool of_old_life = start.life != current.number;
    Life next = of_old_life ? life_after(start.life) : Life{};
    Batch batch{.cursor = start,
                .up_to = of_old_life ? next.first_id - 1 : beyond_all_ids,
                .end = {.life = start.life},
                .is_fresh = !of_old_life && !start.paging};
    View seen = view_of(snapshot, note);
    if (!of_old_life && is_older(seen, start.paging ? start.to : start.from)) {
        pg::raise_serialization_failure(
            "could not serialize access: the reader has read further than this transaction's snapshot shows");
    }
    if (!start.paging) {
        if (of_old_life) {
            seen = everything_shown();
        } else {
            set_bounds(seen, start.from);
        }
        batch.cursor.to = seen;
        batch.cursor.paging = true;
        batch.cursor.page_id = start_of_batch(start.from, seen);
    }
    batch.end.from = batch.cursor.to;
    if (of_old_life && batch.cursor.to.xmax == beyond_all_xids) {
        batch.end = {.life = next.number, .from = nothing_shown(next.first_id - 1)};
    }
    return batch;
}

bool belongs(const Batch& batch, pg::OrderedScan& scan) {
    Xid writer = DatumGetUInt64(scan.value(event_field::xid));
    return batch.cursor.to.shows(writer) && !batch.cursor.from.shows(writer);
}

}  // namespace oms::log
