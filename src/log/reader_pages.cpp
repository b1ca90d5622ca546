// Pages, confirmations, and undoing them.
//
// Everything kept has a memory context of its own below the session's. It is made whole first and hung in last, so that an error on the way
// leaves nothing behind.
#include "log/reader_pages.hpp"

#include "log/reader_session.hpp"

#include "pg/poison.hpp"

namespace oms::log {

// What a commit_reader changed, until its transaction has committed.
struct Confirmation {
    MemoryContext memory;
    Confirmation* earlier;
    pg::SubtransactionNumber made_in;
    Position stored;
    Page* first;
    std::size_t confirmed;
    Id last_confirmed;
};

namespace {

void drop_pages(Reading& reading, Page* from_newest_to) {
    while (reading.newest != from_newest_to) {
        Page* page = reading.newest;
        reading.newest = page->older;
        pg::drop_context(page->memory);
    }
    if (reading.newest == nullptr) {
        reading.oldest = nullptr;
    } else {
        reading.newest->newer = nullptr;
    }
}

// Takes back what this (sub)transaction confirmed, or everything that is not committed.
void undo_confirmations(Reading& reading, pg::SubtransactionNumber made_in) {
    while (reading.last_confirmation != nullptr &&
           (made_in == InvalidSubTransactionId || reading.last_confirmation->made_in == made_in)) {
        Confirmation* undone = reading.last_confirmation;
        pg::drop_context(reading.stored.memory);
        reading.stored = undone->stored;
        reading.first = undone->first;
        reading.confirmed = undone->confirmed;
        reading.last_confirmed = undone->last_confirmed;
        reading.last_confirmation = undone->earlier;
        pg::drop_context(undone->memory);
    }
}

// Forgets the pages that this (sub)transaction read, or all whose transaction has not committed. They are the newest: whoever read after it is
// part of it.
void undo_reads(Reading& reading, pg::SubtransactionNumber read_in) {
    Page* last_kept = reading.newest;
    while (last_kept != nullptr && last_kept->read_in != InvalidSubTransactionId &&
           (read_in == InvalidSubTransactionId || last_kept->read_in == read_in)) {
        if (reading.first == last_kept) reading.first = nullptr;
        last_kept = last_kept->older;
    }
    drop_pages(reading, last_kept);
}

std::size_t count_unconfirmed(const Reading& reading) {
    std::size_t count = 0;
    for (const Page* page = reading.first; page != nullptr; page = page->newer) count += page->ids.size();
    return count - (reading.first != nullptr ? reading.confirmed : 0);
}

// Made of the ids of one or two reads; only as long-lived as the current context until it is hung in.
Page* new_page(const Cursor& batch, const Cursor& end, std::span<const Id> ids, std::span<const Id> more) {
    MemoryContext memory = pg::new_context("oms reader page");
    Page* page = pg::in_context(memory, [&] {
        Page* made = pg::allocate<Page>(1).data();
        if (!ids.empty()) made->batch = copied(batch);
        made->end = copied(end);
        std::span<Id> copy = pg::allocate<Id>(ids.size() + more.size());
        std::ranges::copy(more, std::ranges::copy(ids, copy.begin()).out);
        made->ids = copy;
        return made;
    });
    page->memory = memory;
    return page;
}

void hang_in(Reading& reading, Page* page) {
    pg::keep_context(page->memory);
    page->older = reading.newest;
    if (reading.newest != nullptr) reading.newest->newer = page;
    if (reading.oldest == nullptr) reading.oldest = page;
    if (reading.first == nullptr) {
        reading.first = page;
        reading.confirmed = 0;
    }
    reading.newest = page;
}

// Makes one page of the two newest if they are small: a reader that is handed events one by one, and must wait long for their confirmation, would
// else keep two views for each. The pair of the first view and the last one says the same as the two pairs as long as all ids of the second are
// above those of the first: behind any of the ids it leaves what the two would have left.
void merge_newest(Reading& reading) {
    constexpr std::size_t ids_max = 1'024;
    Page* last = reading.newest;
    Page* before = last != nullptr ? last->older : nullptr;
    if (before == nullptr || before->ids.empty() || last->ids.empty() ||
        before->ids.size() + last->ids.size() > ids_max || before->ids.back() > last->ids.front() ||
        before->batch.life != last->batch.life || reading.last_confirmation != nullptr ||
        last->read_in != before->read_in) {
        return;
    }
    Cursor batch = last->batch;
    batch.from = before->batch.from;
    Cursor end = last->end;
    if (end.paging) end.from = batch.from;
    Page* merged = new_page(batch, end, before->ids, last->ids);
    merged->read_in = last->read_in;
    std::size_t confirmed = reading.first == before
                                ? reading.confirmed
                                : before->ids.size() + (reading.first == last ? reading.confirmed : 0);
    bool is_first = reading.first == before || reading.first == last;
    if (is_first) reading.first = nullptr;
    drop_pages(reading, before->older);
    hang_in(reading, merged);
    if (is_first) reading.confirmed = confirmed;
}

}  // namespace

const Cursor& front(const Reading& reading) {
    return reading.newest != nullptr ? reading.newest->end : reading.stored.cursor;
}

void add_page(Reading& reading, const Cursor& batch, const Cursor& end, std::span<const Id> ids) {
    merge_newest(reading);
    Page* page = new_page(batch, end, ids, {});
    page->read_in = pg::current_subtransaction();
    // A look that found nothing and is followed by another one need not be remembered.
    Page* newest = reading.newest;
    if (newest != nullptr && newest->ids.empty() && reading.last_confirmation == nullptr &&
        (newest->read_in == page->read_in || newest->read_in == InvalidSubTransactionId)) {
        if (reading.first == newest) reading.first = nullptr;
        drop_pages(reading, newest->older);
    }
    hang_in(reading, page);
    reading.unconfirmed += ids.size();
}

std::optional<Place> place_behind(const Reading& reading, Id id) {
    for (Page* page = reading.first; page != nullptr; page = page->newer) {
        auto found = std::ranges::lower_bound(page->ids, id);
        if (found == page->ids.end() || *found != id) continue;
        auto count = static_cast<std::size_t>(found - page->ids.begin()) + 1;
        if (page == reading.first && count <= reading.confirmed) return std::nullopt;
        // What follows without an event is behind the last event, too.
        while (count == page->ids.size() && page->newer != nullptr && page->newer->ids.empty()) {
            page = page->newer;
            count = 0;
        }
        return Place{page, count};
    }
    return std::nullopt;
}

std::optional<Place> place_behind_all(const Reading& reading) {
    if (reading.first == nullptr) return std::nullopt;
    return Place{reading.newest, reading.newest->ids.size()};
}

Cursor cursor_behind(Place place) {
    if (place.count == place.page->ids.size()) return place.page->end;
    Cursor cursor = place.page->batch;
    cursor.page_id = place.page->ids[place.count - 1];
    return cursor;
}

void confirm(Reading& reading, Place place) {
    Page* page = place.page;
    bool whole = place.count == page->ids.size();
    Cursor cursor = cursor_behind(place);

    std::size_t events = place.count;
    Id last = place.count > 0 ? page->ids[place.count - 1] : reading.last_confirmed;
    for (Page* each = reading.first; each != page; each = each->newer) {
        events += each->ids.size();
        if (place.count == 0 && !each->ids.empty()) last = each->ids.back();
    }
    events -= reading.confirmed;
    if (events == 0 && !is_worth_storing(reading.stored.cursor, cursor)) return;

    // Also when the session owns the reader: should it detach before this transaction ends, nobody else may start from the old position.
    lock_reader(reading.reader.name, pg::LockDuration::transaction);
    MemoryContext position = pg::new_context("oms reader position");
    Cursor kept_cursor = pg::in_context(position, [&] { return copied(cursor); });
    MemoryContext memory = pg::new_context("oms reader confirmation");
    Confirmation* confirmation = pg::in_context(memory, [&] { return pg::allocate<Confirmation>(1).data(); });
    store_position(reading.reader.name, reading.stored.generation + 1, cursor);

    *confirmation = {memory,        reading.last_confirmation, pg::current_subtransaction(), reading.stored,
                     reading.first, reading.confirmed,         reading.last_confirmed};
    pg::keep_context(position);
    pg::keep_context(memory);
    reading.last_confirmation = confirmation;
    reading.stored = {position, reading.stored.generation + 1, kept_cursor};
    reading.first = whole ? page->newer : page;
    reading.confirmed = whole ? 0 : place.count;
    reading.last_confirmed = last;
    reading.unconfirmed -= events;
}

// What was confirmed is confirmed for good: its pages and what it would have taken to undo it go.
void settle(Reading& reading) {
    while (reading.last_confirmation != nullptr) {
        Confirmation* done = reading.last_confirmation;
        reading.last_confirmation = done->earlier;
        pg::drop_context(done->stored.memory);
        pg::drop_context(done->memory);
    }
    while (reading.oldest != nullptr && reading.oldest != reading.first) {
        Page* page = reading.oldest;
        reading.oldest = page->newer;
        pg::drop_context(page->memory);
    }
    if (reading.oldest == nullptr) {
        reading.newest = nullptr;
    } else {
        reading.oldest->older = nullptr;
    }
    for (Page* page = reading.newest; page != nullptr && page->read_in != InvalidSubTransactionId; page = page->older) {
        page->read_in = InvalidSubTransactionId;
    }
}

void undo(Reading& reading) {
    undo_confirmations(reading, InvalidSubTransactionId);
    undo_reads(reading, InvalidSubTransactionId);
    reading.unconfirmed = count_unconfirmed(reading);
}

void undo(Reading& reading, pg::SubtransactionNumber ended) {
    undo_confirmations(reading, ended);
    undo_reads(reading, ended);
    reading.unconfirmed = count_unconfirmed(reading);
}

void hand_to_parent(Reading& reading, pg::SubtransactionNumber ended, pg::SubtransactionNumber parent) {
    for (Page* page = reading.newest; page != nullptr && page->read_in == ended; page = page->older)
        page->read_in = parent;
    for (Confirmation* each = reading.last_confirmation; each != nullptr && each->made_in == ended;
         each = each->earlier) {
        each->made_in = parent;
    }
    if (reading.opened_in == ended) reading.opened_in = parent;
}

bool is_touched_by_transaction(const Reading& reading) {
    return reading.last_confirmation != nullptr ||
           (reading.newest != nullptr && reading.newest->read_in != InvalidSubTransactionId);
}

void drop_all(Reading& reading) {
    drop_pages(reading, nullptr);
    while (reading.last_confirmation != nullptr) {
        Confirmation* each = reading.last_confirmation;
        reading.last_confirmation = each->earlier;
        pg::drop_context(each->stored.memory);
        pg::drop_context(each->memory);
    }
}

}  // namespace oms::log
