// What saga commands answer: as a row, and as the bytes that idempotency keeps.
#include "pg/plan.hpp"
#include "pg/raise.hpp"
#include "saga/instance.hpp"

#include "pg/poison.hpp"

namespace oms::saga {

namespace {

// The form of the stored answer: its number, the fixed part as it lies in memory, three texts behind their lengths.
constexpr char form_1 = 1;

struct FixedPart {
    std::int64_t id, deadline_at, created_at, updated_at;
    std::int32_t version;
    std::uint32_t status;
};
static_assert(sizeof(FixedPart) == 40);

char* put_text(char* to, std::string_view text) {
    auto length = static_cast<std::uint32_t>(text.size());
    std::memcpy(to, &length, sizeof(length));
    std::memcpy(to + sizeof(length), text.data(), text.size());
    return to + sizeof(length) + text.size();
}

std::string_view take_text(std::string_view& rest) {
    std::uint32_t length;
    std::memcpy(&length, rest.data(), sizeof(length));
    std::string_view text{rest.data() + sizeof(length), length};
    rest.remove_prefix(sizeof(length) + length);
    return text;
}

constinit pg::Plan select_by_key{
    "SELECT saga_id, definition, version, key, status, waits_for, deadline_at, created_at, updated_at FROM oms.saga "
    "WHERE key = $1 AND definition = $2 ORDER BY saga_id DESC LIMIT 1",
    {TEXTOID, TEXTOID}};

}  // namespace

State Instance::state() const {
    return {id, definition->name, definition->version, key, status, waits_for, deadline_at, created_at, updated_at};
}

std::optional<State> find_by_key(std::string_view definition, std::string_view key) {
    pg::Result rows = select_by_key.run(pg::Access::writes, {{pg::text_datum(key)}, {pg::text_datum(definition)}});
    if (rows.empty()) return std::nullopt;
    auto text = [&](int column) {
        return rows.is_null(0, column) ? std::string_view{} : pg::text_view(rows.value(0, column));
    };
    return State{{DatumGetInt64(rows.value(0, 0))},
                 text(1),
                 DatumGetInt32(rows.value(0, 2)),
                 text(3),
                 core::saga::value_of(core::saga::saga_status_names, text(4), SagaStatus::parked),
                 text(5),
                 DatumGetTimestampTz(rows.value(0, 6)),
                 DatumGetTimestampTz(rows.value(0, 7)),
                 DatumGetTimestampTz(rows.value(0, 8))};
}

Datum answer(const pg::Call& call, const State& state, bool replayed) {
    auto text_or_null = [](std::string_view text) { return text.empty() ? Datum{0} : pg::text_datum(text); };
    const Datum values[] = {Int64GetDatum(state.id.value),
                            pg::text_datum(state.definition),
                            Int32GetDatum(state.version),
                            text_or_null(state.key),
                            pg::text_datum(core::saga::name_of(state.status)),
                            text_or_null(state.waits_for),
                            TimestampTzGetDatum(state.deadline_at),
                            TimestampTzGetDatum(state.created_at),
                            TimestampTzGetDatum(state.updated_at),
                            BoolGetDatum(replayed)};
    const bool nulls[] = {false, false, false, state.key.empty(), false, state.waits_for.empty(), false,
                          false, false, false};
    return pg::composite_result(call, values, nulls);
}

std::string_view encode(const State& state) {
    std::size_t size = 1 + sizeof(FixedPart) + 3 * sizeof(std::uint32_t) + state.definition.size() + state.key.size() +
                       state.waits_for.size();
    char* bytes = pg::allocate<char>(size).data();
    const FixedPart fixed{state.id.value,   state.deadline_at, state.created_at,
                          state.updated_at, state.version,     static_cast<std::uint32_t>(state.status)};
    bytes[0] = form_1;
    std::memcpy(bytes + 1, &fixed, sizeof(fixed));
    char* end = bytes + 1 + sizeof(fixed);
    for (std::string_view text : {state.definition, state.key, state.waits_for}) end = put_text(end, text);
    return {bytes, size};
}

State decode(std::string_view bytes) {
    if (bytes.size() < 1 + sizeof(FixedPart) || bytes[0] != form_1) {
        pg::raise(pg::Error::layout_changed, {.message = "a stored answer has a form that this library does not know",
                                              .detail = pg::format("It is %zu bytes long.", bytes.size()),
                                              .hint = "Install the newer version of the library that wrote it."});
    }
    FixedPart fixed;
    std::memcpy(&fixed, bytes.data() + 1, sizeof(fixed));
    bytes.remove_prefix(1 + sizeof(fixed));
    State state{};
    state.id = {fixed.id};
    state.version = fixed.version;
    state.status = static_cast<SagaStatus>(fixed.status);
    state.deadline_at = fixed.deadline_at;
    state.created_at = fixed.created_at;
    state.updated_at = fixed.updated_at;
    state.definition = take_text(bytes);
    state.key = take_text(bytes);
    state.waits_for = take_text(bytes);
    return state;
}

void raise_saga_not_found(core::SagaId id) {
    pg::raise(pg::Error::not_found, {.message = pg::format("saga " INT64_FORMAT " does not exist", id.value),
                                     .detail = "No row of oms.saga has this id.",
                                     .hint = "Check the id; it is in the answer of oms.start_saga."});
}

}  // namespace oms::saga
