// The rows of sagas: reading one under its lock, writing its next version.
#include "pg/raise.hpp"
#include "pg/sequence.hpp"
#include "pg/settings.hpp"
#include "pg/transaction.hpp"
#include "saga/instance.hpp"
#include "timers/timers.hpp"

#include "pg/poison.hpp"

namespace oms::saga {

namespace {

enum Field : int {
    saga_id,
    definition,
    version,
    key,
    status,
    waits_for,
    deadline_at,
    wake_at,
    position,
    completions,
    signals,
    canceled,
    data,
    failure,
    created_at,
    updated_at,
    finished_at,
    completed_at,
    last_seq,
    first_event_id,
    last_event_id
};

constexpr std::array columns{
    pg::Column{"saga_id", INT8OID},
    pg::Column{"definition", TEXTOID},
    pg::Column{"version", INT4OID},
    pg::Column{"key", TEXTOID, true},
    pg::Column{"status", TEXTOID},
    pg::Column{"waits_for", TEXTOID, true},
    pg::Column{"deadline_at", TIMESTAMPTZOID},
    pg::Column{"wake_at", TIMESTAMPTZOID, true},
    pg::Column{"position", INT4OID},
    pg::Column{"completions", INT4OID},
    pg::Column{"signals", INT4OID},
    pg::Column{"canceled", BOOLOID},
    pg::Column{"data", JSONBOID},
    pg::Column{"failure", TEXTOID, true},
    pg::Column{"created_at", TIMESTAMPTZOID},
    pg::Column{"updated_at", TIMESTAMPTZOID},
    pg::Column{"finished_at", TIMESTAMPTZOID, true},
    pg::Column{"completed_at", TIMESTAMPTZOID, true},
    pg::Column{"last_seq", INT8OID},
    pg::Column{"first_event_id", INT8OID},
    pg::Column{"last_event_id", INT8OID},
};
constexpr std::array key_columns{static_cast<int>(Field::saga_id)};
constexpr pg::TableDefinition table_definition{.name = "saga", .columns = columns, .key = key_columns, .checks = 1};
constinit pg::Table saga_table{table_definition};
constinit pg::Sequence saga_ids{"saga_id_seq"};

// None of them is in an index, so that the new version stays on its page.
constexpr std::array changing{
    static_cast<int>(Field::status),     static_cast<int>(Field::waits_for),     static_cast<int>(Field::wake_at),
    static_cast<int>(Field::position),   static_cast<int>(Field::completions),   static_cast<int>(Field::signals),
    static_cast<int>(Field::canceled),   static_cast<int>(Field::data),          static_cast<int>(Field::failure),
    static_cast<int>(Field::updated_at), static_cast<int>(Field::finished_at),   static_cast<int>(Field::completed_at),
    static_cast<int>(Field::last_seq),   static_cast<int>(Field::last_event_id),
};

std::string_view text_or_empty(const pg::Row& row, int column) {
    return row.is_null(column) ? std::string_view{} : pg::copied(pg::text_view(row.value(column)));
}

std::int64_t time_or_zero(const pg::Row& row, int column) {
    return row.is_null(column) ? 0 : DatumGetTimestampTz(row.value(column));
}

void set_text(pg::RowValues& row, int column, std::string_view text) {
    text.empty() ? row.set_null(column) : row.set(column, pg::text_datum(text));
}

void set_time(pg::RowValues& row, int column, std::int64_t time) {
    time == 0 ? row.set_null(column) : row.set(column, TimestampTzGetDatum(time));
}

void read(const pg::Row& row, Instance& saga) {
    std::string_view name = pg::copied(pg::text_view(row.value(Field::definition)));
    std::int32_t pinned = DatumGetInt32(row.value(Field::version));
    saga.definition = find_definition(name, pinned);
    if (saga.definition == nullptr) {
        pg::raise(pg::Error::not_found,
                  {.message = pg::format("version %d of saga %s does not exist", pinned, pg::quoted(name)),
                   .detail = pg::format("Saga " INT64_FORMAT " was started with it.", saga.id.value),
                   .hint = "Restore the row of oms.saga_definition."});
    }
    saga.key = text_or_empty(row, Field::key);
    saga.status = core::saga::value_of(core::saga::saga_status_names, pg::text_view(row.value(Field::status)),
                                       SagaStatus::parked);
    saga.waits_for = text_or_empty(row, Field::waits_for);
    saga.deadline_at = DatumGetTimestampTz(row.value(Field::deadline_at));
    saga.wake_at = time_or_zero(row, Field::wake_at);
    saga.position = DatumGetInt32(row.value(Field::position));
    saga.completions = DatumGetInt32(row.value(Field::completions));
    saga.signals = DatumGetInt32(row.value(Field::signals));
    saga.canceled = DatumGetBool(row.value(Field::canceled));
    saga.data = DatumGetJsonbPCopy(row.value(Field::data));
    saga.failure = text_or_empty(row, Field::failure);
    saga.created_at = DatumGetTimestampTz(row.value(Field::created_at));
    saga.updated_at = DatumGetTimestampTz(row.value(Field::updated_at));
    saga.finished_at = time_or_zero(row, Field::finished_at);
    saga.completed_at = time_or_zero(row, Field::completed_at);
    saga.last_seq = DatumGetInt64(row.value(Field::last_seq));
    saga.first_event_id = DatumGetInt64(row.value(Field::first_event_id));
    saga.last_event_id = DatumGetInt64(row.value(Field::last_event_id));
    saga.stored = true;
}

void set_changing(pg::RowValues& row, const Instance& saga) {
    // What the table's CHECK says: the direct way in does not ask it.
    Assert(core::saga::is_final(saga.status) == (saga.finished_at != 0));
    Assert(core::saga::is_final(saga.status) == saga.waits_for.empty());
    row.set(Field::status, pg::text_datum(core::saga::name_of(saga.status)));
    set_text(row, Field::waits_for, saga.waits_for);
    set_time(row, Field::wake_at, saga.wake_at);
    row.set(Field::position, Int32GetDatum(saga.position));
    row.set(Field::completions, Int32GetDatum(saga.completions));
    row.set(Field::signals, Int32GetDatum(saga.signals));
    row.set(Field::canceled, BoolGetDatum(saga.canceled));
    row.set(Field::data, pg::jsonb_datum(saga.data));
    set_text(row, Field::failure, saga.failure);
    row.set(Field::updated_at, TimestampTzGetDatum(saga.updated_at));
    set_time(row, Field::finished_at, saga.finished_at);
    set_time(row, Field::completed_at, saga.completed_at);
    row.set(Field::last_seq, Int64GetDatum(saga.last_seq));
    row.set(Field::last_event_id, Int64GetDatum(saga.last_event_id));
}

void insert(const Instance& saga) {
    pg::RowValues row;
    row.set(Field::saga_id, Int64GetDatum(saga.id.value));
    row.set(Field::definition, pg::text_datum(saga.definition->name));
    row.set(Field::version, Int32GetDatum(saga.definition->version));
    set_text(row, Field::key, saga.key);
    row.set(Field::deadline_at, TimestampTzGetDatum(saga.deadline_at));
    row.set(Field::created_at, TimestampTzGetDatum(saga.created_at));
    row.set(Field::first_event_id, Int64GetDatum(saga.first_event_id));
    set_changing(row, saga);
    saga_table.insert(row);
}

// One timer for a saga, for whatever comes first. It is moved only to an earlier time: one that fires too early finds nothing due, and is set
// anew. So a saga whose steps are quick has one timer in its life.
void arm(Instance& saga, std::int64_t due) {
    if (saga.wake_at != 0 && (due == 0 || due < saga.wake_at)) {
        timers::cancel(timers::Kind::saga_deadline, saga.id.value);
        saga.wake_at = 0;
    }
    if (due == 0 || saga.wake_at != 0) return;
    timers::set(timers::Kind::saga_deadline, saga.id.value, due);
    saga.wake_at = due;
}

std::int64_t next_due(Instance& saga) {
    if (core::saga::is_final(saga.status) || saga.status == SagaStatus::parked) return 0;
    std::int64_t due = saga.status == SagaStatus::running ? saga.deadline_at : 0;
    const auto count = static_cast<std::int32_t>(saga.rows.size());
    for (std::int32_t i = 0; i < count; ++i) {
        const StepRow* row = saga.rows[static_cast<std::size_t>(i)];
        // A step that holds others does nothing when its time has passed: they do, and the saga.
        if (row == nullptr || row->due_at == 0 || is_container(saga.definition->node(i).kind)) continue;
        if (due == 0 || row->due_at < due) due = row->due_at;
    }
    return due == 0 ? saga.now + look_again_us : due;
}

}  // namespace

std::int64_t draw_saga_id() { return saga_ids.next(); }

void lock_and_load(core::SagaId id, Instance& saga) {
    saga.id = id;
    const Datum row_key[] = {Int64GetDatum(id.value)};
    if (!saga_table.with_row(row_key, pg::RowLock::for_update, [&](pg::Row& row) { read(row, saga); }))
        raise_saga_not_found(id);
    saga.now = pg::now_us();
    load_steps(saga);
}

const Definition* definition_of(core::SagaId id) {
    // One that was started in this very command has no row yet.
    if (const Instance* advanced = being_advanced(id)) return advanced->definition;
    const Definition* definition = nullptr;
    const Datum row_key[] = {Int64GetDatum(id.value)};
    bool found = saga_table.with_row(row_key, pg::RowLock::none, [&](pg::Row& row) {
        definition =
            find_definition(pg::text_view(row.value(Field::definition)), DatumGetInt32(row.value(Field::version)));
    });
    if (!found) raise_saga_not_found(id);
    return definition;
}

namespace {

struct Subject {
    const Definition* definition = nullptr;
    std::string_view key;
};

// Neither of them ever changes.
bool find_subject(core::SagaId id, Subject& subject) {
    const Datum row_key[] = {Int64GetDatum(id.value)};
    return saga_table.with_row(row_key, pg::RowLock::none, [&](pg::Row& row) {
        subject.definition =
            find_definition(pg::text_view(row.value(Field::definition)), DatumGetInt32(row.value(Field::version)));
        subject.key = text_or_empty(row, Field::key);
    });
}

}  // namespace

bool lock_order_first(core::SagaId id) {
    Subject subject;
    bool found = find_subject(id, subject);
    if (subject.definition != nullptr) lock_order_of(*subject.definition, subject.key);
    return found;
}

std::string_view order_of_step(std::int64_t step_id) {
    Subject subject;
    find_subject({core::saga::saga_of(step_id)}, subject);
    return subject.definition != nullptr && subject.definition->of_order ? subject.key : std::string_view{};
}

void store(Instance& saga) {
    store_steps(saga);
    arm(saga, next_due(saga));
    saga.updated_at = saga.now;
    for (log::NewEvent& event : saga.events.span()) {
        event.id = log::draw_id();
        event.seq = ++saga.last_seq;
        if (saga.first_event_id == 0) saga.first_event_id = event.id.value;
        saga.last_event_id = event.id.value;
    }
    if (saga.stored) {
        pg::RowValues values;
        set_changing(values, saga);
        const Datum row_key[] = {Int64GetDatum(saga.id.value)};
        saga_table.with_row(row_key, pg::RowLock::for_update, [&](pg::Row& row) { row.update(values, changing); });
    } else {
        insert(saga);
        saga.stored = true;
    }
    if (saga.events.size() > 0) log::append(saga.events.span());
    pg::end_of_command();
}

pg::Table& table() { return saga_table; }

}  // namespace oms::saga
