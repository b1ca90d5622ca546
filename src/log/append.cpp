// Appending events: ids, topics, headers, the row.
#include "log/doorbell.hpp"
#include "log/log.hpp"
#include "log/reader_lives.hpp"
#include "log/routes.hpp"
#include "pg/catalog.hpp"
#include "pg/entry.hpp"
#include "pg/memory.hpp"
#include "pg/sequence.hpp"
#include "pg/settings.hpp"
#include "pg/transaction.hpp"

#include "pg/poison.hpp"

namespace oms::log {

namespace {

// The version of the payloads' form, for those who read them.
constexpr std::int64_t schema_version = 1;

enum Field : int { id, xid, aggregate_type, aggregate_id, seq, type, topic, key, payload, headers, occurred_at };

constexpr std::array columns{
    pg::Column{"id", INT8OID},
    pg::Column{"xid", XID8OID},
    pg::Column{"aggregate_type", TEXTOID},
    pg::Column{"aggregate_id", TEXTOID},
    pg::Column{"seq", INT8OID},
    pg::Column{"type", TEXTOID},
    pg::Column{"topic", TEXTOID, true},
    pg::Column{"key", TEXTOID, true},
    pg::Column{"payload", JSONBOID},
    pg::Column{"headers", JSONBOID},
    pg::Column{"occurred_at", TIMESTAMPTZOID},
};
constexpr std::array key_columns{static_cast<int>(Field::id)};

constexpr pg::TableDefinition definition{
    .name = "event", .columns = columns, .key = key_columns, .routing_column = Field::id};

constinit pg::Table event_table{definition};
constinit pg::Sequence id_sequence{"event_id_seq"};

// The headers that the session's settings ask for, kept until one of them changes.
constinit Jsonb* session_headers_built = nullptr;
constinit std::uint64_t session_headers_generation = 0;

void write_session_headers(pg::JsonWriter& json) {
    json.field("schema_version", schema_version);
    auto add = [&](std::string_view name, std::string_view value) {
        if (!value.empty()) json.field(name, value);
    };
    add("correlation_id", pg::settings::correlation_id());
    add("causation_id", pg::settings::causation_id());
    add("traceparent", pg::settings::traceparent());
    add("actor", pg::settings::actor());
}

Jsonb* session_headers() {
    std::uint64_t generation = pg::settings::header_generation();
    if (session_headers_built != nullptr && session_headers_generation == generation) return session_headers_built;
    pg::JsonWriter json;
    json.begin_object();
    write_session_headers(json);
    json.end_object();
    pg::replace_kept(session_headers_built, json.finish());
    session_headers_generation = generation;
    return session_headers_built;
}

// The event's own headers win over the session's.
Jsonb* merged_headers(Jsonb* own) {
    pg::JsonWriter json;
    json.begin_object();
    write_session_headers(json);
    pg::for_each_member(&own->root, [&](std::string_view name, pg::JsonMember member) {
        json.key(name);
        json.push(WJB_VALUE, &member.value);
    });
    json.end_object();
    return json.finish();
}

void form_row(const NewEvent& event, Datum transaction, pg::RowValues& row) {
    row.set(Field::id, Int64GetDatum(event.id.value));
    row.set(Field::xid, transaction);
    row.set(Field::aggregate_type, pg::text_datum(event.aggregate_type));
    Datum aggregate = pg::text_datum(event.aggregate_id);
    row.set(Field::aggregate_id, aggregate);
    row.set(Field::seq, Int64GetDatum(event.seq));
    row.set(Field::type, pg::text_datum(event.type));
    std::string_view to = event.delivery == Delivery::routed     ? route(event.aggregate_type, event.type)
                          : event.delivery == Delivery::to_topic ? event.topic
                                                                 : std::string_view{};
    if (to.empty()) {
        row.set_null(Field::topic);
        row.set_null(Field::key);
    } else {
        row.set(Field::topic, pg::text_datum(to));
        row.set(Field::key, event.key.empty() ? aggregate : pg::text_datum(event.key));
        ring_at_commit();
    }
    row.set(Field::payload, pg::jsonb_datum(event.payload));
    row.set(Field::headers,
            pg::jsonb_datum(event.headers == nullptr ? session_headers() : merged_headers(event.headers)));
    row.set(Field::occurred_at, TimestampTzGetDatum(event.occurred_at));
}

}  // namespace

core::EventId draw_id() {
    // The order matters: a reader that notes the sequence, and then the next transaction id, knows that transactions from that id on draw
    // higher event ids. (Not those from its snapshot's xmax on: that is one past the highest id that has *completed*.)
    pg::assign_transaction_id();
    ensure_life();
    return {id_sequence.next()};
}

void append(std::span<const NewEvent> events) {
    Datum transaction = FullTransactionIdGetDatum(pg::assign_transaction_id());
    if (events.size() == 1) {
        pg::RowValues row;
        form_row(events[0], transaction, row);
        event_table.insert(row);
        return;
    }
    std::span<pg::RowValues> rows = pg::allocate<pg::RowValues>(events.size());
    for (std::size_t i = 0; i < events.size(); ++i) form_row(events[i], transaction, rows[i]);
    event_table.insert_many(rows);
}

pg::Table& table() { return event_table; }

const pg::Sequence& event_ids() { return id_sequence; }

}  // namespace oms::log
