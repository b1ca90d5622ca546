// The cursor: where a reader stands in the log. Not a number but a snapshot: what it shows has been read, everything else has not.
//
// A batch is what a new view shows and the old one did not, in the order of ids:
//
//   wrong: WHERE id > last. Ids are drawn in one order, transactions commit in another; what commits late would never be read.
//
// A long batch is paged by id inside one pair of views. Beside each snapshot stands a note that bounds ids from below, so that reading does not
// start at the beginning of the log; test/model/cursor.pml checks all of it. Nothing here knows PostgreSQL: it is arithmetic on transaction ids.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "pg/jump.hpp"

namespace oms::log {

using Xid = std::uint64_t;
using Id = std::int64_t;

// What a snapshot shows, and the note that was taken beside it.
struct View {
    Xid xmax = 1;                    // nothing from here on is shown
    std::span<const Xid> running{};  // sorted, below xmax: not shown either

    // The note: the sequence's last value, read before the next transaction id. Transactions from from_xid on draw only ids above above_id. The
    // snapshot's xmax could not stand for from_xid: transactions at or above it may have been running, and drawing ids, for long.
    Xid from_xid = 1;
    Id above_id = 0;

    // For what is not shown and is older than the note: the ids of running[i] are above bounds[i], those of xmax up to from_xid above between.
    std::span<const Id> bounds{};
    Id between = 0;

    bool shows(Xid xid) const {
        return xid < xmax && (running.empty() || xid < running.front() || !std::ranges::binary_search(running, xid));
    }

    // The ids of a transaction that is not shown are above this.
    Id bound_of(Xid xid) const;

    // The ids of everything that is not shown are above this.
    Id least_bound() const;
};
static_assert(pg::JumpSafe<View>);

inline constexpr Xid beyond_all_xids = INT64_MAX;
inline constexpr Id beyond_all_ids = INT64_MAX;

// A view that shows nothing; there are no ids up to `above`.
constexpr View nothing_shown(Id above) { return {.above_id = above, .between = above}; }

// A view that shows everything, for a part of the log that is complete.
constexpr View everything_shown() {
    return {
        .xmax = beyond_all_xids, .from_xid = beyond_all_xids, .above_id = beyond_all_ids, .between = beyond_all_ids};
}

struct Cursor {
    std::int32_t life = 0;  // of the log: transaction ids of different lives do not compare (reader_lives.hpp)
    View from{};
    View to{};            // of the batch being paged
    bool paging = false;  // `to` and page_id count
    Id page_id = 0;       // the last id handed out of the batch

    // Nothing up to this id is still to be read.
    Id passed_id() const;
};
static_assert(pg::JumpSafe<Cursor>);

// A batch starts behind this id: the least bound of the transactions that `from` did not show and `to` shows.
Id start_of_batch(const View& from, const View& to);

// Says whether `later` was taken before `earlier`, that is, does not show something that `earlier` shows.
bool is_older(const View& later, const View& earlier);

// Says whether everything that was read at `earlier` was read at `later`, too.
bool covers(const Cursor& later, const Cursor& earlier);

// Says whether storing `next` in place of `stored` would spare a reader anything. It would not when no id was drawn between the two.
bool is_worth_storing(const Cursor& stored, const Cursor& next);

// Copies with all that they point to, in the current memory context.
View copied(const View& view);
Cursor copied(const Cursor& cursor);

}  // namespace oms::log
