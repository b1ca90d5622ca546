// The log: the only place where "something happened" is written. The door of the room.
//
// Invariants: an event is in the log iff its transaction committed; ids of one aggregate are drawn while its row is locked, so that their order
// is commit order; the transaction has its id before an event id is drawn, so that a reader can bound the ids of all transactions to come.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "core/ids.hpp"
#include "log/reader.hpp"
#include "pg/json.hpp"
#include "pg/jump.hpp"
#include "pg/sequence.hpp"
#include "pg/table.hpp"

namespace oms::log {

// Says where an event is delivered to.
enum class Delivery : unsigned char {
    routed,    // as oms.topic_route says for its aggregate and type
    to_topic,  // to the topic named in the event
    nowhere,   // it stays in the log
};

struct NewEvent {
    core::EventId id;
    std::string_view aggregate_type;
    std::string_view aggregate_id;
    std::int64_t seq;
    std::string_view type;
    Jsonb* payload;
    std::int64_t occurred_at;
    Jsonb* headers = nullptr;  // added to those of the session
    Delivery delivery = Delivery::routed;
    std::string_view topic = {};
    std::string_view key = {};  // empty: the aggregate's id
};
static_assert(pg::JumpSafe<NewEvent>);

// Draws the next event id. The caller holds the lock of the aggregate that the event will belong to.
core::EventId draw_id();

// Appends events, and makes the commit of this transaction wake a sleeping relay if one of them is to be delivered.
void append(std::span<const NewEvent> events);

// Makes the doorbell ring at commits. Called once, from _PG_init.
void install_doorbell();

// Drops what the session remembers of the topic routes if `relation` is their table, or InvalidOid.
void routes_changed(Oid relation);

pg::Table& table();
const pg::Sequence& event_ids();

// One more stream on the same log: appending at an expected version.
struct StreamEvent {
    std::string_view type;
    Jsonb* payload;
    Jsonb* headers;
    Delivery delivery;
    std::string_view topic;
    std::string_view key;
};

struct StreamPosition {
    core::EventId first, last;
    std::int64_t version;
};

inline constexpr std::int64_t any_version = -1;

// Appends to a stream whose version is `expected_version` (0: it does not exist yet); raises stream_conflict otherwise.
StreamPosition append_to_stream(std::string_view aggregate_type, std::string_view aggregate_id,
                                std::int64_t expected_version, std::span<const StreamEvent> events);

pg::Table& stream_table();

}  // namespace oms::log
