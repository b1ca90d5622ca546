// Readers and their positions as they are stored.
//
// oms.reader_position only grows and shrinks: each position is a row of its own, one generation above the one before, which is deleted by its
// number. The newest is the first that the index gives from behind, so that dead rows are never visited, however many some other session's
// snapshot keeps alive.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "log/cursor.hpp"
#include "log/reader.hpp"
#include "pg/memory.hpp"
#include "pg/ordered_scan.hpp"

namespace oms::log {

struct Reader {
    std::string_view name;
    Topics topics;
};

struct Position {
    MemoryContext memory = nullptr;  // of the cursor, when a session keeps it
    std::int64_t generation = 0;
    Cursor cursor;
};

struct StoredReader {
    Reader reader;
    Position position;
};

// Reads it into the current memory context. One that is to be moved is read as it is by now, and a 40001 is raised if the transaction's only
// snapshot does not show that; one that is looked at is read as the snapshot shows it.
enum class Purpose : bool { look, move };
std::optional<StoredReader> load_reader(std::string_view name, Purpose purpose);

// Replaces the position of generation `generation` - 1.
void store_position(std::string_view reader, std::int64_t generation, const Cursor& cursor);

// The cursor of the reader that has come furthest in this life. Its bounds hold for whoever wants to know where running transactions have ids.
std::optional<Cursor> furthest_cursor(std::int32_t life);

bool is_wanted(const Topics& topics, pg::OrderedScan& scan);

std::string_view snapshot_text(const View& view);

}  // namespace oms::log
