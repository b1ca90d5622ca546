// What a session has handed out of one reader and nobody has confirmed yet, kept until a transaction that confirmed it has committed.
//
// Invariant: an abort leaves this as if its transaction, or subtransaction, had not been. What it read is handed out again, what it confirmed is
// unconfirmed again. What earlier transactions of an attached session read stays read.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "log/cursor.hpp"
#include "log/reader_position.hpp"
#include "pg/memory.hpp"
#include "pg/transaction.hpp"

namespace oms::log {

// What one call read. A page without ids is a look that found nothing; it moved on all the same.
struct Page {
    MemoryContext memory;
    Page* older;
    Page* newer;
    Cursor batch;  // where the events came from; with one of the ids as page_id it is the cursor behind that event
    Cursor end;    // the cursor behind all of them
    std::span<const Id> ids;
    pg::SubtransactionNumber read_in;  // until it has committed
};

struct Confirmation;

struct Reading {
    MemoryContext memory;
    Reading* next;
    Reader reader;
    Oid positions;                       // the table that the position is stored in
    bool attached;                       // the session holds the lock; else the transaction does
    pg::SubtransactionNumber opened_in;  // until it has committed; if not attached, its end releases the lock
    bool is_in_doubt;                    // it did not commit: what it saw of the reader may not be so

    Position stored;  // in oms.reader_position, or to be there when this transaction commits
    Page* oldest;     // the pages that are kept
    Page* newest;
    Page* first;            // the oldest one that is not confirmed completely
    std::size_t confirmed;  // how many ids of *first are
    Id last_confirmed;
    std::size_t unconfirmed;  // events handed out and not confirmed
    Confirmation* last_confirmation;
};
static_assert(pg::JumpSafe<Reading>);

// Where the next read goes on.
const Cursor& front(const Reading& reading);

void add_page(Reading& reading, const Cursor& batch, const Cursor& end, std::span<const Id> ids);

// A place in what was handed out.
struct Place {
    Page* page;
    std::size_t count;  // how many ids of the page lie before it
};
std::optional<Place> place_behind(const Reading& reading, Id id);
std::optional<Place> place_behind_all(const Reading& reading);

Cursor cursor_behind(Place place);

// Stores the cursor at this place and takes all before it for confirmed, if the transaction commits.
void confirm(Reading& reading, Place place);

// The ends of transactions. None of these raises.
void settle(Reading& reading);
void undo(Reading& reading);
void undo(Reading& reading, pg::SubtransactionNumber ended);
void hand_to_parent(Reading& reading, pg::SubtransactionNumber ended, pg::SubtransactionNumber parent);
bool is_touched_by_transaction(const Reading& reading);
void drop_all(Reading& reading);

}  // namespace oms::log
