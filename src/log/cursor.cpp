// Arithmetic of views and cursors.
#include "log/cursor.hpp"

#include "pg/memory.hpp"

#include "pg/poison.hpp"

namespace oms::log {

Id View::bound_of(Xid xid) const {
    if (xid >= from_xid) return above_id;
    if (xid >= xmax) return between;
    auto found = std::ranges::lower_bound(running, xid);
    // A transaction that is shown has no ids to come, so any answer is right.
    if (found == running.end() || *found != xid) return above_id;
    return bounds[static_cast<std::size_t>(found - running.begin())];
}

Id View::least_bound() const {
    Id least = from_xid > xmax ? std::min(above_id, between) : above_id;
    for (Id bound : bounds) least = std::min(least, bound);
    return least;
}

Id Cursor::passed_id() const {
    if (!paging) return from.least_bound();
    return std::min(std::max(page_id, start_of_batch(from, to)), to.least_bound());
}

Id start_of_batch(const View& from, const View& to) {
    Id start = from.above_id;
    if (from.from_xid > from.xmax && to.xmax > from.xmax) start = std::min(start, from.between);
    for (std::size_t i = 0; i < from.running.size(); ++i) {
        if (to.shows(from.running[i])) start = std::min(start, from.bounds[i]);
    }
    return start;
}

bool is_older(const View& later, const View& earlier) {
    if (later.xmax < earlier.xmax) return true;
    return std::ranges::any_of(later.running, [&](Xid xid) { return earlier.shows(xid); });
}

bool covers(const Cursor& later, const Cursor& earlier) {
    if (later.life != earlier.life) return later.life > earlier.life;
    if (is_older(later.from, earlier.from)) return false;
    if (!earlier.paging || !is_older(later.from, earlier.to)) return true;
    return later.paging && !is_older(later.to, earlier.to) && later.page_id >= earlier.page_id;
}

bool is_worth_storing(const Cursor& stored, const Cursor& next) {
    return stored.paging || next.paging || stored.life != next.life || stored.from.above_id != next.from.above_id;
}

namespace {

template <class T>
std::span<const T> copied(std::span<const T> values) {
    std::span<T> copy = pg::allocate<T>(values.size());
    std::ranges::copy(values, copy.begin());
    return copy;
}

}  // namespace

View copied(const View& view) {
    View copy = view;
    copy.running = copied(view.running);
    copy.bounds = copied(view.bounds);
    return copy;
}

Cursor copied(const Cursor& cursor) {
    Cursor copy = cursor;
    copy.from = copied(cursor.from);
    copy.to = copied(cursor.to);
    return copy;
}

}  // namespace oms::log
