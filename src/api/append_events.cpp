// oms.append_events and oms.read_stream: the log as an event store for streams of the application's own.
#include <algorithm>
#include <charconv>

#include "api/filter.hpp"
#include "api/request.hpp"
#include "log/log.hpp"
#include "pg/memory.hpp"
#include "pg/plan.hpp"
#include "pg/raise.hpp"

#include "pg/poison.hpp"

namespace oms::api {
namespace {

constexpr std::size_t name_bytes_max = 255;
constexpr std::size_t topic_bytes_max = 249;  // Kafka's own limit
constexpr std::uint32_t events_max = 10'000;

constexpr const char* event_form = "An event looks like {\"type\": \"account.opened\", \"payload\": {...}}.";

[[noreturn]] void refuse(const char* message, const char* detail) {
    pg::raise(pg::Error::invalid_argument, {.message = message, .detail = detail, .hint = event_form});
}

std::string_view text_member(std::uint32_t i, JsonbContainer* event, const char* name, std::size_t bytes_max) {
    pg::JsonMember member = pg::member_of(event, name);
    if (member.kind == pg::JsonKind::missing || member.kind == pg::JsonKind::null) return {};
    if (member.kind != pg::JsonKind::text || member.text().empty() || member.text().size() > bytes_max) {
        refuse(pg::format("events[%u].%s is not a string of 1 to %zu bytes", i, name, bytes_max),
               pg::format("It is %s.", pg::kind_name(member.kind)));
    }
    return member.text();
}

Jsonb* object_member(std::uint32_t i, JsonbContainer* event, const char* name) {
    pg::JsonMember member = pg::member_of(event, name);
    if (member.kind == pg::JsonKind::missing || member.kind == pg::JsonKind::null) return nullptr;
    if (member.kind != pg::JsonKind::object) {
        refuse(pg::format("events[%u].%s is not an object", i, name),
               pg::format("It is %s.", pg::kind_name(member.kind)));
    }
    return pg::to_jsonb(member);
}

bool is_topic_name(std::string_view topic) {
    return std::ranges::all_of(topic, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
               c == '-';
    });
}

log::StreamEvent parse_event(std::uint32_t i, const pg::JsonMember& element) {
    if (element.kind != pg::JsonKind::object) {
        refuse(pg::format("events[%u] is not an object", i), pg::format("It is %s.", pg::kind_name(element.kind)));
    }
    JsonbContainer* event = element.container();
    pg::for_each_member(event, [&](std::string_view name, const pg::JsonMember&) {
        static constexpr std::array known{std::string_view{"type"}, std::string_view{"payload"},
                                          std::string_view{"headers"}, std::string_view{"topic"},
                                          std::string_view{"key"}};
        if (std::ranges::find(known, name) == known.end()) {
            refuse(pg::format("events[%u] has an unknown member %s", i, pg::quoted(name)),
                   "What is not understood is refused, so that a misspelled member is not lost.");
        }
    });
    log::StreamEvent parsed{};
    parsed.type = text_member(i, event, "type", name_bytes_max);
    if (parsed.type.empty()) refuse(pg::format("events[%u].type is missing", i), "Every event has a type.");
    parsed.payload = object_member(i, event, "payload");
    if (parsed.payload == nullptr)
        refuse(pg::format("events[%u].payload is missing", i), "An event without content is written as {}.");
    parsed.headers = object_member(i, event, "headers");
    parsed.topic = text_member(i, event, "topic", topic_bytes_max);
    parsed.delivery = parsed.topic.empty() ? log::Delivery::routed : log::Delivery::to_topic;
    if (!is_topic_name(parsed.topic)) {
        refuse(pg::format("events[%u].topic is not a topic name", i), "Letters, digits, '.', '_' and '-' are allowed.");
    }
    parsed.key = text_member(i, event, "key", name_bytes_max);
    return parsed;
}

std::span<const log::StreamEvent> parse_events(Jsonb* list) {
    if (pg::kind_of(list) != pg::JsonKind::array)
        refuse("events is not an array", "A JSON array of objects is expected.");
    std::uint32_t count = JsonContainerSize(&list->root);
    if (count == 0 || count > events_max) {
        refuse(pg::format("events must have 1 to %u events", events_max), pg::format("There are %u.", count));
    }
    std::span<log::StreamEvent> events = pg::allocate<log::StreamEvent>(count);
    pg::for_each_element(&list->root,
                         [&](std::uint32_t i, const pg::JsonMember& element) { events[i] = parse_event(i, element); });
    return events;
}

// Their seq belongs to rows of their own, or their history is the commands' alone to write.
constexpr std::array protected_types{orders::aggregate_type,       std::string_view{"saga"},
                                     std::string_view{"payment"},  std::string_view{"stock"},
                                     std::string_view{"shipment"}, std::string_view{"task"}};

std::string_view checked_type(const pg::Call& call, int position) {
    std::string_view type = required_bounded_text(call, position, "aggregate_type", name_bytes_max);
    if (std::ranges::find(protected_types, type) == protected_types.end()) return type;
    pg::raise(pg::Error::protected_row,
              {.message = pg::format("streams of type %s are written by the commands", pg::quoted(type)),
               .detail = "What they say must be what happened.",
               .hint = "Use a type of your own, for example \"order_note\"."});
}

std::int64_t checked_version(const pg::Call& call, int position) {
    std::optional<std::int64_t> version = call.bigint(position);
    if (!version) return log::any_version;
    if (*version >= 0) return *version;
    pg::raise(pg::Error::invalid_argument, {.message = "expected_version must not be negative",
                                            .detail = pg::format("It is " INT64_FORMAT ".", *version),
                                            .hint = "0 means that the stream is new; NULL means any version."});
}

Datum stream_answer(const pg::Call& call, const log::StreamPosition& position, bool replayed) {
    const Datum values[] = {Int64GetDatum(position.first.value), Int64GetDatum(position.last.value),
                            Int64GetDatum(position.version), BoolGetDatum(replayed)};
    const bool nulls[std::size(values)] = {};
    return pg::composite_result(call, values, nulls);
}

// The answer as idempotency keeps it: readable, because three numbers are cheap to write as text.
std::string_view encode(const log::StreamPosition& position) {
    return pg::format(INT64_FORMAT " " INT64_FORMAT " " INT64_FORMAT, position.first.value, position.last.value,
                      position.version);
}

log::StreamPosition decode(std::string_view answer) {
    std::array<std::int64_t, 3> numbers{};
    const char* at = answer.data();
    const char* const end = at + answer.size();
    for (std::int64_t& number : numbers) {
        at = std::from_chars(at, end, number).ptr;
        if (at < end) ++at;
    }
    return {{numbers[0]}, {numbers[1]}, numbers[2]};
}

constinit pg::Plan select_stream{
    "SELECT e.seq, e.id, e.type, e.payload, e.headers, e.occurred_at FROM oms.stream s JOIN oms.event e"
    " ON e.id BETWEEN s.first_event_id AND s.last_event_id AND e.aggregate_id = s.aggregate_id AND e.aggregate_type = "
    "s.aggregate_type"
    " WHERE s.aggregate_type = $1 AND s.aggregate_id = $2 AND e.seq >= $3 ORDER BY e.seq LIMIT $4",
    {TEXTOID, TEXTOID, INT8OID, INT4OID}};

}  // namespace

OMS_FUNCTION(oms_append_events) {
    enum : int { aggregate_type, aggregate_id, expected_version, events, idempotency_key };
    pg::Call call{fcinfo};
    std::string_view type = checked_type(call, aggregate_type);
    std::string_view id = required_bounded_text(call, aggregate_id, "aggregate_id", name_bytes_max);
    Jsonb* list = call.required_jsonb(events, "events");
    std::span<const log::StreamEvent> parsed = parse_events(list);
    std::int64_t expected = checked_version(call, expected_version);

    // Without a key, the expected version is what keeps a repeated call from appending twice.
    if (call.is_null(idempotency_key)) {
        log::StreamPosition position = log::append_to_stream(type, id, expected, parsed);
        pg::end_of_command();
        return stream_answer(call, position, false);
    }
    RequestFingerprint request{"append_events"};
    request.add(type).add(id).add(call.bigint(expected_version)).add(list);
    idempotency::Ticket ticket = idempotency::begin(call.text(idempotency_key), "append_events", request.finish());
    if (ticket.replayed) return stream_answer(call, decode(ticket.answer), true);
    log::StreamPosition position = log::append_to_stream(type, id, expected, parsed);
    idempotency::finish(ticket, encode(position));
    pg::end_of_command();
    return stream_answer(call, position, false);
}

OMS_FUNCTION(oms_read_stream) {
    enum : int { aggregate_type, aggregate_id, from_version, limit };
    constexpr std::int32_t limit_max = 10'000;
    pg::Call call{fcinfo};
    std::string_view type = required_bounded_text(call, aggregate_type, "aggregate_type", name_bytes_max);
    std::string_view id = required_bounded_text(call, aggregate_id, "aggregate_id", name_bytes_max);
    std::int32_t most = checked_count(call, limit, "limit", 1000, limit_max);
    pg::RowSet answer{call};
    answer.add(select_stream.run(pg::Access::reads, {{pg::text_datum(type)},
                                                     {pg::text_datum(id)},
                                                     {Int64GetDatum(call.bigint(from_version).value_or(1))},
                                                     {Int32GetDatum(most)}}));
    return Datum{0};
}

}  // namespace oms::api
