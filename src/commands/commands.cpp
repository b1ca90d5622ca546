// The rows of queued commands, and their timers.
#include "commands/commands.hpp"

#include <cstring>

#include "core/retry.hpp"
#include "pg/entry.hpp"
#include "pg/function.hpp"
#include "pg/json_object.hpp"
#include "pg/memory.hpp"
#include "pg/plan.hpp"
#include "pg/settings.hpp"
#include "pg/transaction.hpp"
#include "timers/timers.hpp"

#include "pg/poison.hpp"

namespace oms::commands {

namespace {

// As far as order_is_free() looks; everything else is for SQL.
enum Field : int { command_id, order_id };
constexpr std::array columns{pg::Column{"command_id", INT8OID}, pg::Column{"order_id", UUIDOID}};
constexpr std::array key_columns{static_cast<int>(Field::command_id)};
constexpr pg::TableDefinition definition{.name = "queued_command", .columns = columns, .key = key_columns};
constinit pg::Table command_table{definition};

// The subject of a timer that is not about one command.
constexpr std::int64_t whole_order = 0;
constexpr core::RetryPolicy after_conflict{
    .attempts_max = 0, .base_ms = 1'000, .factor = 2, .cap_ms = 300'000, .jitter = 0.2};

#define OMS_COMMAND                                                                                                \
    "command_id, order_id, command, idempotency_key, status, arguments, asked_by, headers, asked_at, give_up_at, " \
    "attempts, error_code, error, answer"

constinit pg::Plan insert_command{
    "INSERT INTO oms.queued_command (order_id, command, idempotency_key, arguments, asked_by, headers, asked_at, "
    "give_up_at, status, attempts) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'waiting', 0) "
    "ON CONFLICT (idempotency_key) DO NOTHING RETURNING " OMS_COMMAND,
    {UUIDOID, TEXTOID, TEXTOID, JSONBOID, REGROLEOID, JSONBOID, TIMESTAMPTZOID, TIMESTAMPTZOID}};
constinit pg::Plan select_by_id{
    "SELECT " OMS_COMMAND " FROM oms.queued_command WHERE command_id = $1", {INT8OID}, pg::Planned::by_index};
constinit pg::Plan select_by_key{
    "SELECT " OMS_COMMAND " FROM oms.queued_command WHERE idempotency_key = $1", {TEXTOID}, pg::Planned::by_index};
constinit pg::Plan select_waiting{"SELECT " OMS_COMMAND
                                  " FROM oms.queued_command WHERE order_id = $1 AND status = 'waiting' ORDER BY "
                                  "command_id LIMIT $2",
                                  {UUIDOID, INT4OID},
                                  pg::Planned::by_index};
constinit pg::Plan select_overdue{"SELECT " OMS_COMMAND
                                  " FROM oms.queued_command WHERE order_id = $1 AND status = 'waiting' AND give_up_at "
                                  "<= $3 ORDER BY command_id LIMIT $2",
                                  {UUIDOID, INT4OID, TIMESTAMPTZOID},
                                  pg::Planned::by_index};
constinit pg::Plan update_closed{
    "UPDATE oms.queued_command SET status = $2, closed_at = $3, error_code = $4, error = "
    "$5, answer = $6 WHERE command_id = $1 AND status = 'waiting' RETURNING " OMS_COMMAND,
    {INT8OID, TEXTOID, TIMESTAMPTZOID, TEXTOID, TEXTOID, JSONBOID},
    pg::Planned::by_index};
constinit pg::Plan update_failed{
    "UPDATE oms.queued_command SET attempts = $2, error_code = $3, error = $4 WHERE command_id = $1",
    {INT8OID, INT4OID, TEXTOID, TEXTOID},
    pg::Planned::by_index};

#undef OMS_COMMAND

Command read(const pg::Result& rows, std::size_t row) {
    int column = 0;
    auto next = [&] { return rows.value(row, column++); };
    auto next_text = [&] {
        const int at = column++;
        return rows.is_null(row, at) ? std::string_view{} : pg::text_view(rows.value(row, at));
    };
    auto next_json = [&]() -> Jsonb* {
        const int at = column++;
        return rows.is_null(row, at) ? nullptr : DatumGetJsonbP(rows.value(row, at));
    };
    Command command{};
    command.id = DatumGetInt64(next());
    std::memcpy(command.order.bytes.data(), DatumGetUUIDP(next())->data, command.order.bytes.size());
    command.name = next_text();
    command.key = next_text();
    command.status = next_text();
    command.arguments = next_json();
    command.asked_by = DatumGetObjectId(next());
    command.headers = next_json();
    command.asked_at = DatumGetTimestampTz(next());
    command.give_up_at = DatumGetTimestampTz(next());
    command.attempts = DatumGetInt32(next());
    command.error_code = next_text();
    command.error = next_text();
    command.answer = next_json();
    return command;
}

std::optional<Command> only_row(const pg::Result& rows) {
    return rows.empty() ? std::nullopt : std::optional{read(rows, 0)};
}

std::span<const Command> all_rows(const pg::Result& rows) {
    std::span<Command> found = pg::allocate<Command>(rows.count);
    for (std::size_t i = 0; i < found.size(); ++i) found[i] = read(rows, i);
    return found;
}

pg::Parameter text_or_null(std::string_view text) {
    return text.empty() ? pg::Parameter{Datum{0}, true} : pg::Parameter{pg::text_datum(text)};
}

Jsonb* session_headers() {
    pg::JsonObject json;
    auto add = [&](std::string_view name, std::string_view value) {
        if (!value.empty()) json.text(name, value);
    };
    add("actor", pg::settings::actor());
    add("correlation_id", pg::settings::correlation_id());
    add("causation_id", pg::settings::causation_id());
    add("traceparent", pg::settings::traceparent());
    return json.finish();
}

void look_at(const core::OrderId& order, std::int64_t subject, std::int64_t due_at) {
    char* text = pg::allocate<char>(core::uuid_length + 1).data();
    core::format_uuid(order, text);
    pg::JsonObject json;
    json.text("order_id", {text, core::uuid_length});
    timers::set(timers::Kind::queued_command, subject, due_at, json.finish());
}

}  // namespace

std::optional<Command> add(const NewCommand& wanted) {
    const std::int64_t now = pg::now_us();
    pg::Result rows = insert_command.run(pg::Access::writes, {{pg::uuid_datum(wanted.order)},
                                                              {pg::text_datum(wanted.name)},
                                                              {pg::text_datum(wanted.key)},
                                                              {pg::jsonb_datum(wanted.arguments)},
                                                              {ObjectIdGetDatum(pg::current_role())},
                                                              {pg::jsonb_datum(session_headers())},
                                                              {TimestampTzGetDatum(now)},
                                                              {TimestampTzGetDatum(now + wanted.patience_us)}});
    std::optional<Command> added = only_row(rows);
    if (added) look_at(added->order, added->id, added->give_up_at);
    return added;
}

std::optional<Command> with_id(std::int64_t id) {
    return only_row(select_by_id.run(pg::Access::writes, {{Int64GetDatum(id)}}));
}

std::optional<Command> with_key(std::string_view key) {
    return only_row(select_by_key.run(pg::Access::writes, {{pg::text_datum(key)}}));
}

std::span<const Command> waiting_for(const core::OrderId& order, int limit) {
    if (!command_table.may_contain(Field::order_id, pg::uuid_datum(order), 0)) return {};
    return all_rows(select_waiting.run(pg::Access::writes, {{pg::uuid_datum(order)}, {Int32GetDatum(limit)}}));
}

std::span<const Command> overdue_for(const core::OrderId& order, int limit) {
    return all_rows(select_overdue.run(
        pg::Access::writes, {{pg::uuid_datum(order)}, {Int32GetDatum(limit)}, {TimestampTzGetDatum(pg::now_us())}}));
}

Command close(const Command& command, const Ending& ending) {
    pg::Result rows =
        update_closed.run(pg::Access::writes, {{Int64GetDatum(command.id)},
                                               {pg::text_datum(ending.status)},
                                               {TimestampTzGetDatum(pg::now_us())},
                                               text_or_null(ending.error_code),
                                               text_or_null(ending.error),
                                               {pg::jsonb_datum(ending.answer), ending.answer == nullptr}});
    timers::cancel(timers::Kind::queued_command, command.id);
    Assert(rows.count == 1);
    return read(rows, 0);
}

void put_off(const Command& command, std::string_view error_code, std::string_view error) {
    const std::int32_t attempts = command.attempts + 1;
    update_failed.run(pg::Access::writes, {{Int64GetDatum(command.id)},
                                           {Int32GetDatum(attempts)},
                                           {pg::text_datum(error_code)},
                                           {pg::text_datum(error)}});
    const auto seed = static_cast<std::uint64_t>(command.id);
    // Whatever had it looked at, it has one timer for the next attempt, and one for its end.
    timers::cancel(timers::Kind::queued_command, command.id);
    look_at(command.order, command.id, command.give_up_at);
    look_at(command.order, command.id, pg::now_us() + core::backoff_ms(after_conflict, attempts, seed) * 1'000);
}

void look_soon(const core::OrderId& order) { look_at(order, whole_order, pg::now_us()); }

void order_is_free(const core::OrderId& order) {
    if (command_table.may_contain(Field::order_id, pg::uuid_datum(order), 0)) look_soon(order);
}

pg::Table& table() { return command_table; }

}  // namespace oms::commands
