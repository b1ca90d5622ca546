// Reading and confirming: from the cursor to the rows that are handed out, a page at a time.
#include "log/reader.hpp"

#include <array>
#include <limits>
#include <utility>

#include "log/durable.hpp"
#include "log/log.hpp"
#include "log/reader_batch.hpp"
#include "log/reader_session.hpp"
#include "pg/raise.hpp"
#include "pg/wal.hpp"

#include "pg/poison.hpp"

namespace oms::log {

namespace {

// An idle reader of an attached session that has passed so many ids without an event for it stores where it stands, so that a restart does not
// scan them again and retention may have them.
constexpr Id idle_ids_max = 10'000;

void hand_out(pg::OrderedScan& scan, pg::RowSet& answer) {
    std::array<Datum, event_field::count - 1> values;
    std::array<bool, event_field::count - 1> nulls;
    for (int field = event_field::count - 1; field >= 0; --field) {  // from behind: the row is taken apart once
        if (field == event_field::xid) continue;
        auto column = static_cast<std::size_t>(field > event_field::xid ? field - 1 : field);
        values[column] = scan.value(field);
        nulls[column] = scan.is_null(field);
    }
    answer.add(values.data(), nulls.data());
}

std::int64_t bytes_of(pg::OrderedScan& scan) {
    return static_cast<std::int64_t>(scan.bytes(event_field::payload) + scan.bytes(event_field::headers) +
                                     scan.bytes(event_field::key));
}

struct Round {
    Batch batch;
    std::span<const Id> ids;
    std::int64_t bytes;
    Cursor end;  // behind what was handed out
};

// Hands out what the batch has behind its page position.
Round read_batch(const pg::ReadSnapshot& snapshot, const Batch& batch, const Topics& topics, const ReadLimits& limits,
                 pg::RowSet& answer) {
    pg::Array<Id> ids{64};
    std::int64_t bytes = 0;
    bool exhausted = false;
    DurableGate gate{snapshot.running().empty() ? snapshot.xmax() : snapshot.running().front()};
    pg::OrderedScan scan{table(), snapshot, batch.cursor.page_id, batch.up_to};
    while (std::cmp_less(ids.size(), limits.events) && bytes < limits.bytes) {
        if (!scan.next()) {
            exhausted = true;
            break;
        }
        if (!belongs(batch, scan) || !is_wanted(topics, scan)) continue;
        hand_out(scan, answer);
        gate.saw(scan);
        if (limits.bytes != std::numeric_limits<std::int64_t>::max()) bytes += bytes_of(scan);
        ids.push(DatumGetInt64(scan.value(event_field::id)));
    }
    scan.close();
    gate.wait();
    Round round{.batch = batch, .ids = ids.span(), .bytes = bytes, .end = batch.end};
    if (!exhausted) {
        round.end = batch.cursor;
        round.end.page_id = round.ids.back();
    }
    return round;
}

Round read_behind(const Cursor& start, const Topics& topics, const ReadLimits& limits, pg::RowSet& answer) {
    Round round;
    Note note = take_note();
    pg::with_read_snapshot([&](const pg::ReadSnapshot& snapshot) {
        Batch batch = batch_behind(start, current_life(), snapshot, note);
        round = read_batch(snapshot, batch, topics, limits, answer);
    });
    return round;
}

}  // namespace

void require_primary() {
    if (!pg::is_standby()) return;
    pg::raise(pg::Error::primary_required,
              {.message = "readers read on the primary only",
               .detail = "This server is a standby.",
               .hint = "Connect to the primary, for example with target_session_attrs=primary."});
}

namespace {

ReadLimits with_room(const Reading& reading, ReadLimits limits) {
    std::size_t waiting = reading.unconfirmed;
    if (std::cmp_greater_equal(waiting, unconfirmed_max)) {
        pg::raise(pg::Error::too_many_unconfirmed,
                  {.message = pg::format("reader %s has too many unconfirmed events", pg::quoted(reading.reader.name)),
                   .detail = pg::format("This session has read %zu events and not confirmed them.", waiting),
                   .hint = "Call oms.commit_reader for those that have been dealt with."});
    }
    limits.events = std::min(limits.events, unconfirmed_max - static_cast<std::int32_t>(waiting));
    return limits;
}

void report_new_life(const Reading& reading) {
    Life life = current_life();
    if (reading.stored.cursor.life == life.number || reading.newest != nullptr) return;
    pg::report_notice(
        {.message = pg::format("reader %s goes over to another cluster", pg::quoted(reading.reader.name)),
         .detail = pg::format(
             "Its position comes from life %d of the log, this cluster began life %d with event " INT64_FORMAT
             ". What was not read of the old life is read first.",
             reading.stored.cursor.life, life.number, life.first_id)});
}

}  // namespace

bool is_wanted(const Topics& topics, pg::OrderedScan& scan) {
    if (topics.wanted == Wanted::everything) return true;
    if (scan.is_null(event_field::topic)) return false;
    return topics.wanted == Wanted::deliverable ||
           std::ranges::binary_search(topics.list, pg::text_view(scan.value(event_field::topic)));
}

void read_events(std::string_view name, const ReadLimits& asked, pg::RowSet& answer) {
    require_primary();
    Reading& reading = acquire(name);
    ReadLimits limits = with_room(reading, asked);
    ensure_life();
    report_new_life(reading);
    // The rest of a batch that an earlier call began, then a new one: until there is enough, or a view taken now is exhausted.
    bool found = false;
    for (bool is_over = false; !is_over;) {
        Round round = read_behind(front(reading), reading.reader.topics, limits, answer);
        add_page(reading, round.batch.cursor, round.end, round.ids);
        found = found || !round.ids.empty();
        limits.events -= static_cast<std::int32_t>(round.ids.size());
        limits.bytes -= round.bytes;
        is_over = round.batch.is_fresh || limits.events <= 0 || limits.bytes <= 0;
    }
    if (!found && reading.attached && reading.unconfirmed == 0 && !pg::is_read_only_transaction() &&
        front(reading).from.above_id - reading.stored.cursor.from.above_id >= idle_ids_max) {
        commit_reader(name, std::nullopt);
    }
}

void commit_reader(std::string_view name, std::optional<Id> last) {
    require_primary();
    Reading& reading = acquire(name);
    std::optional<Place> place = last ? place_behind(reading, *last) : place_behind_all(reading);
    if (place) return confirm(reading, *place);
    if (!last || *last == reading.last_confirmed) return;
    pg::raise(pg::Error::position_unknown,
              {.message = pg::format("reader %s did not hand out event " INT64_FORMAT " here", pg::quoted(name), *last),
               .detail = reading.attached
                             ? "This session has not read it, or has confirmed it before."
                             : "This transaction has not read it, and the session is not attached to the reader.",
               .hint = "Pass the id of an event that was read and not confirmed yet, or NULL for all of them."});
}

void own_reader(std::string_view name) {
    require_primary();
    acquire(name);
}

bool attach_reader(std::string_view name, std::int32_t wait_ms) {
    require_primary();
    return attach(name, wait_ms);
}

void detach_reader(std::string_view name) { detach(name); }

}  // namespace oms::log
