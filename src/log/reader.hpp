// Readers: what the rest of the extension may ask of them. Part of the room's door.
//
// A reader gets every committed event once. In an attached session it goes on behind what the session read last, whatever has been confirmed; in
// any other it belongs to one transaction, which starts at the stored cursor and moves it, or rolls back.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "pg/entry.hpp"
#include "pg/jump.hpp"
#include "pg/table.hpp"

namespace oms::log {

// Which events a reader gets.
enum class Wanted : unsigned char {
    deliverable,  // those that have a topic
    listed,       // those of some topics
    everything,   // also those that stay in the log
};

// The name that stands for everything in a list of topics; it could be no topic of Kafka's.
inline constexpr std::string_view all_topics = "*";

struct Topics {
    Wanted wanted = Wanted::deliverable;
    std::span<const std::string_view> list{};  // sorted
};

enum class StartAt : unsigned char { beginning, now };

// More than this is handed out only after some of it has been confirmed: the session remembers the id of each.
inline constexpr std::int32_t unconfirmed_max = 1'000'000;

// Creates a reader; does nothing if there is one with the same topics and start. Raises reader_exists otherwise.
void create_reader(std::string_view name, const Topics& topics, StartAt start);
void drop_reader(std::string_view name);

bool attach_reader(std::string_view name, std::int32_t wait_ms);
void detach_reader(std::string_view name);

// Makes sure that this session or transaction owns the reader; raises reader_busy otherwise.
void own_reader(std::string_view name);

struct ReadLimits {
    std::int32_t events;
    std::int64_t bytes;  // payload, headers and key; a page ends with the event that reaches it
};

// Adds the next events to the answer. None means that a snapshot taken during this call showed none.
void read_events(std::string_view name, const ReadLimits& limits, pg::RowSet& answer);

// Moves the cursor behind the event `last`, or behind everything that was read.
void commit_reader(std::string_view name, std::optional<std::int64_t> last);

// Where a reader stands, written down to be kept outside of the database, beside what was done with the events.
struct Bookmark {
    std::int64_t cluster;
    Oid database;
    std::uint32_t timeline;
    std::uint64_t wal;  // everything that the place depends on lies below, and is on disk
    std::string_view text;
};

// The place behind the event `last`, or behind everything that was confirmed or read.
Bookmark write_bookmark(std::string_view name, std::optional<std::int64_t> last);

struct Resumption {
    enum class Outcome : unsigned char {
        resumed,  // the reader stands there now
        passed,   // it stands there, or further on, anyway
        refused,  // the history of this database does not have that place
    };
    Outcome outcome;
    const char* reason;
};

// Moves the reader on to a place that was written down. Raises position_unknown when events are on their way in this session.
Resumption resume_reader(std::string_view name, std::string_view bookmark);

// Adds a row for the reader, or for all; none for one that does not exist.
void report_readers(std::optional<std::string_view> name, pg::RowSet& answer);

// The relays' side of the doorbell: see doorbell.cpp.
bool arm_doorbell();
void disarm_doorbell();

// Makes readers and lives hear of the ends of transactions. Called once, from _PG_init.
void install_readers();
void lives_changed(Oid relation);
pg::Table& life_table();

}  // namespace oms::log
