// Streams of any type on the one log, with an expected version. The row in oms.stream is the lock that serialises a stream's appenders.
#include "core/fingerprint.hpp"
#include "log/log.hpp"
#include "pg/entry.hpp"
#include "pg/memory.hpp"
#include "pg/raise.hpp"
#include "pg/settings.hpp"
#include "pg/transaction.hpp"

#include "pg/poison.hpp"

namespace oms::log {

namespace {

enum Field : int { aggregate_type, aggregate_id, version, first_event_id, last_event_id, created_at, updated_at };

constexpr std::array columns{
    pg::Column{"aggregate_type", TEXTOID},    pg::Column{"aggregate_id", TEXTOID},
    pg::Column{"version", INT8OID},           pg::Column{"first_event_id", INT8OID},
    pg::Column{"last_event_id", INT8OID},     pg::Column{"created_at", TIMESTAMPTZOID},
    pg::Column{"updated_at", TIMESTAMPTZOID},
};
constexpr std::array key_columns{static_cast<int>(Field::aggregate_id), static_cast<int>(Field::aggregate_type)};
constexpr pg::TableDefinition definition{.name = "stream", .columns = columns, .key = key_columns};

constinit pg::Table streams{definition};

struct Stream {
    std::string_view type, id;
};

[[noreturn]] void raise_conflict(Stream stream, std::int64_t expected, std::int64_t found) {
    pg::raise(pg::Error::stream_conflict,
              {.message = pg::format("stream %s of type %s is not at version " INT64_FORMAT, pg::quoted(stream.id),
                                     pg::quoted(stream.type), expected),
               .detail = pg::format("Its version is " INT64_FORMAT ".", found),
               .hint = "Read the stream from there, decide again, and append with the new version."});
}

void check_version(Stream stream, std::int64_t expected, std::int64_t found) {
    if (expected != any_version && expected != found) raise_conflict(stream, expected, found);
}

// Draws an id for each event, appends them behind `version`, and answers where they went.
StreamPosition write_events(Stream stream, std::int64_t version_before, std::span<const StreamEvent> events,
                            std::int64_t now) {
    std::span<NewEvent> batch = pg::allocate<NewEvent>(events.size());
    for (std::size_t i = 0; i < events.size(); ++i) {
        const StreamEvent& event = events[i];
        batch[i] = {.id = draw_id(),
                    .aggregate_type = stream.type,
                    .aggregate_id = stream.id,
                    .seq = version_before + static_cast<std::int64_t>(i) + 1,
                    .type = event.type,
                    .payload = event.payload,
                    .occurred_at = now,
                    .headers = event.headers,
                    .delivery = event.delivery,
                    .topic = event.topic,
                    .key = event.key};
    }
    append(batch);
    return {batch.front().id, batch.back().id, batch.back().seq};
}

std::uint64_t lock_of(Stream stream) {
    core::FingerprintBuilder name;
    name.add(stream.type);
    name.add(stream.id);
    return name.finish().low;
}

void create(Stream stream, const StreamPosition& position, std::int64_t now) {
    pg::RowValues row;
    row.set(Field::aggregate_type, pg::text_datum(stream.type));
    row.set(Field::aggregate_id, pg::text_datum(stream.id));
    row.set(Field::version, Int64GetDatum(position.version));
    row.set(Field::first_event_id, Int64GetDatum(position.first.value));
    row.set(Field::last_event_id, Int64GetDatum(position.last.value));
    row.set(Field::created_at, TimestampTzGetDatum(now));
    row.set(Field::updated_at, TimestampTzGetDatum(now));
    streams.insert(row);
}

void advance(pg::Row& head, const StreamPosition& position, std::int64_t now) {
    constexpr std::array changed{static_cast<int>(Field::version), static_cast<int>(Field::last_event_id),
                                 static_cast<int>(Field::updated_at)};
    pg::RowValues row;
    row.set(Field::version, Int64GetDatum(position.version));
    row.set(Field::last_event_id, Int64GetDatum(position.last.value));
    row.set(Field::updated_at, TimestampTzGetDatum(now));
    head.update(row, changed);
}

}  // namespace

StreamPosition append_to_stream(std::string_view type, std::string_view id, std::int64_t expected_version,
                                std::span<const StreamEvent> events) {
    Stream stream{type, id};
    const Datum key[] = {pg::text_datum(id), pg::text_datum(type)};
    StreamPosition position{};
    for (;;) {
        std::int64_t now = pg::now_us();
        bool exists = streams.with_row(key, pg::RowLock::for_update, [&](pg::Row& head) {
            std::int64_t found = DatumGetInt64(head.value(Field::version));
            check_version(stream, expected_version, found);
            position = write_events(stream, found, events, now);
            advance(head, position, now);
        });
        if (exists) return position;
        // The name is locked only until the row stands guard for it, so that a transaction may make any number of streams.
        std::uint64_t name = lock_of(stream);
        pg::lock_name(pg::LockSpace::stream, name, pg::LockStrength::exclusive, pg::LockDuration::transaction, true);
        pg::Probe found = streams.probe(Field::aggregate_id, key[0], 0, [&](const pg::FoundRow& row) {
            return pg::text_view(row.values[Field::aggregate_type]) == type;
        });
        if (found == pg::Probe::nothing) {
            check_version(stream, expected_version, 0);
            position = write_events(stream, 0, events, now);
            create(stream, position, now);
        }
        pg::unlock_name(pg::LockSpace::stream, name, pg::LockStrength::exclusive, pg::LockDuration::transaction);
        if (found == pg::Probe::nothing) return position;
        if (found == pg::Probe::unfinished) pg::wait_for_writer();
    }
}

pg::Table& stream_table() { return streams; }

}  // namespace oms::log
