// Dead letters: events that could not be delivered through their own fault. The door of the room.
//
// A dead letter is a state beside an immutable event: nothing is copied out of the log, and nothing is deleted. A replay is a row of its own,
// written before the event is tried again. Where the topic's policy is block_key, later events of the key are parked behind the rejected one and
// follow one by one when it has been sent or given up, so that the key stays in order.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "pg/entry.hpp"
#include "pg/jump.hpp"

namespace oms::dead_letters {

using Id = std::int64_t;

struct Rejection {
    std::string_view reader;
    std::int64_t event_id;
    std::string_view error;
    std::int32_t attempts;
};
static_assert(pg::JumpSafe<Rejection>);

// Makes the event a dead letter, or leaves it one. Raises not_found when the log has no such event.
Id reject(const Rejection& rejection);

// Parks the event behind one of its key; nothing when none holds the key any more.
std::optional<Id> park(const Rejection& rejection);

// Adds the open attempts of the reader that are due: with block_key one for each key, else all.
void take_replays(std::string_view reader, std::int32_t events_max, pg::RowSet& answer);

// Ends an attempt; does nothing when it has ended the same way before.
void settle_replay(Id attempt, bool ok, std::optional<std::string_view> error);

// The reader that the attempt belongs to, or not_found.
std::string_view reader_of_attempt(Id attempt);

// Adds those of events that the reader's stored position has not passed.
void add_letters_ahead(std::string_view reader, pg::RowSet& answer);

void add_blocked_keys(std::string_view reader, pg::RowSet& answer);

// Who wants something of dead letters, and why.
struct Wish {
    std::string_view actor;
    std::string_view reason;
    std::optional<std::int32_t> rate;  // at most so many a second
};

// Those of `ids` that a change was made to.
using Changed = std::span<const Id>;

// Asks for the failed ones among these to be delivered again, in the order given.
Changed replay(std::span<const Id> ids, const Wish& wish);

// Gives the failed and parked ones among these up, and lets what was parked behind them follow.
Changed discard(std::span<const Id> ids);

}  // namespace oms::dead_letters
