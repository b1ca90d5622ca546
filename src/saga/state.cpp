// What saga commands answer: as a row, and as the bytes that idempotency keeps.
#include "pg/packed.hpp"
#include "pg/plan.hpp"
#include "pg/raise.hpp"
#include "saga/instance.hpp"

#include "pg/poison.hpp"

namespace oms::saga {

namespace {

struct FixedPart {
    std::int64_t id, deadline_at, created_at, updated_at;
    std::int32_t version;
    std::uint32_t status;
};
static_assert(sizeof(FixedPart) == 40);

constinit pg::Plan select_by_key{
    "SELECT saga_id, definition, version, key, status, waits_for, deadline_at, created_at, updated_at FROM oms.saga "
    "WHERE key = $1 AND definition = $2 ORDER BY saga_id DESC LIMIT 1",
    {TEXTOID, TEXTOID},
    pg::Planned::by_index};

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
    const FixedPart fixed{state.id.value,   state.deadline_at, state.created_at,
                          state.updated_at, state.version,     static_cast<std::uint32_t>(state.status)};
    return pg::pack(fixed, std::array{state.definition, state.key, state.waits_for});
}

State decode(std::string_view bytes) {
    const auto [fixed, texts] = pg::unpack<FixedPart, 3>(bytes);
    State state{};
    state.id = {fixed.id};
    state.version = fixed.version;
    state.status = static_cast<SagaStatus>(fixed.status);
    state.deadline_at = fixed.deadline_at;
    state.created_at = fixed.created_at;
    state.updated_at = fixed.updated_at;
    state.definition = texts[0];
    state.key = texts[1];
    state.waits_for = texts[2];
    return state;
}

void raise_saga_not_found(core::SagaId id) {
    pg::raise(pg::Error::not_found, {.message = pg::format("saga " INT64_FORMAT " does not exist", id.value),
                                     .detail = "No row of oms.saga has this id.",
                                     .hint = "Check the id; it is in the answer of oms.start_saga."});
}

}  // namespace oms::saga
