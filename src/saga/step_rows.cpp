// The rows of steps. Forward, only the step that the saga has come to and those inside it are read: what lies behind it is settled.
#include "pg/plan.hpp"
#include "saga/instance.hpp"

#include "pg/poison.hpp"

namespace oms::saga {

namespace {

enum Field : int {
    step_id,
    saga_id,
    name,
    kind,
    status,
    attempts,
    task_id,
    asking,
    due_at,
    completion,
    unknown,
    decided,
    result,
    error,
    undo_attempts,
    outcome,
    started_at,
    finished_at,
    compensated_at
};

constexpr std::array columns{
    pg::Column{"step_id", INT8OID},
    pg::Column{"saga_id", INT8OID},
    pg::Column{"name", TEXTOID},
    pg::Column{"kind", TEXTOID},
    pg::Column{"status", TEXTOID},
    pg::Column{"attempts", INT4OID},
    pg::Column{"task_id", INT8OID, true},
    pg::Column{"asking", BOOLOID},
    pg::Column{"due_at", TIMESTAMPTZOID, true},
    pg::Column{"completion", INT4OID},
    pg::Column{"unknown", BOOLOID},
    pg::Column{"decided", BOOLOID},
    pg::Column{"result", JSONBOID, true},
    pg::Column{"error", TEXTOID, true},
    pg::Column{"undo_attempts", INT4OID},
    pg::Column{"outcome", TEXTOID, true},
    pg::Column{"started_at", TIMESTAMPTZOID},
    pg::Column{"finished_at", TIMESTAMPTZOID, true},
    pg::Column{"compensated_at", TIMESTAMPTZOID, true},
};
constexpr std::array key_columns{static_cast<int>(Field::step_id)};
constexpr pg::TableDefinition table_definition{
    .name = "saga_step", .columns = columns, .key = key_columns, .checks = 2};
constinit pg::Table steps_table{table_definition};

constexpr std::array changing{
    static_cast<int>(Field::status),      static_cast<int>(Field::attempts),       static_cast<int>(Field::task_id),
    static_cast<int>(Field::asking),      static_cast<int>(Field::due_at),         static_cast<int>(Field::completion),
    static_cast<int>(Field::unknown),     static_cast<int>(Field::decided),        static_cast<int>(Field::result),
    static_cast<int>(Field::error),       static_cast<int>(Field::undo_attempts),  static_cast<int>(Field::outcome),
    static_cast<int>(Field::finished_at), static_cast<int>(Field::compensated_at),
};

constinit pg::Plan select_all{
    "SELECT step_id, saga_id, name, kind, status, attempts, task_id, asking, due_at, completion, unknown, decided, "
    "result, error, "
    "undo_attempts, outcome, started_at, finished_at, compensated_at FROM oms.saga_step WHERE step_id BETWEEN $1 AND "
    "$2",
    {INT8OID, INT8OID},
    pg::Planned::by_index};

// One row of a query, in the words of pg::Row.
struct ResultRow {
    const pg::Result& rows;
    std::size_t number;

    Datum value(int column) const { return rows.value(number, column); }
    bool is_null(int column) const { return rows.is_null(number, column); }
};

// Whether the step has nothing to do now: an answer is awaited, or its time has not come.
bool is_busy(const Instance& saga, StepStatus status, const StepRow& row) {
    switch (status) {
    case StepStatus::running:
    case StepStatus::waiting: return true;
    case StepStatus::pending: return row.due_at > saga.now;
    case StepStatus::compensating: return row.task_id != 0 || row.due_at > saga.now;
    default: return false;
    }
}

template <class Source>
void read(const Source& source, Instance& saga, std::int32_t i) {
    auto time = [&](int column) { return source.is_null(column) ? 0 : DatumGetTimestampTz(source.value(column)); };
    auto text = [&](int column) {
        return source.is_null(column) ? std::string_view{} : pg::copied(pg::text_view(source.value(column)));
    };
    StepRow& row = saga.row(i);
    row.stored = true;
    row.attempts = DatumGetInt32(source.value(Field::attempts));
    row.undo_attempts = DatumGetInt32(source.value(Field::undo_attempts));
    row.task_id = source.is_null(Field::task_id) ? 0 : DatumGetInt64(source.value(Field::task_id));
    row.asking = DatumGetBool(source.value(Field::asking));
    row.due_at = time(Field::due_at);
    row.started_at = time(Field::started_at);
    row.finished_at = time(Field::finished_at);
    row.compensated_at = time(Field::compensated_at);
    row.outcome = text(Field::outcome);
    row.error = text(Field::error);
    row.result = source.is_null(Field::result) ? nullptr : DatumGetJsonbPCopy(source.value(Field::result));
    Step& step = saga.step(i);
    step.status = core::saga::value_of(core::saga::step_status_names, pg::text_view(source.value(Field::status)),
                                       StepStatus::failed);
    step.unknown = DatumGetBool(source.value(Field::unknown));
    step.decided = DatumGetBool(source.value(Field::decided));
    step.completion = DatumGetInt32(source.value(Field::completion));
    step.begun = true;
    step.busy = is_busy(saga, step.status, row);
}

void form(Instance& saga, std::int32_t i, const StepRow& step, pg::RowValues& row) {
    auto set_time = [&](int column, std::int64_t time) {
        time == 0 ? row.set_null(column) : row.set(column, TimestampTzGetDatum(time));
    };
    auto set_text = [&](int column, std::string_view text) {
        text.empty() ? row.set_null(column) : row.set(column, pg::text_datum(text));
    };
    const Step& state = saga.step(i);
    // What the table's CHECKs say: the direct way in does not ask them.
    Assert((state.status == StepStatus::compensated) == !step.outcome.empty());
    Assert(step.due_at != 0 || (state.status != StepStatus::pending && state.status != StepStatus::running &&
                                state.status != StepStatus::waiting && state.status != StepStatus::compensating));
    row.set(Field::step_id, Int64GetDatum(saga.step_id(i)));
    row.set(Field::saga_id, Int64GetDatum(saga.id.value));
    row.set(Field::name, pg::text_datum(saga.spec(i).name));
    row.set(Field::kind, pg::text_datum(core::saga::name_of(saga.definition->node(i).kind)));
    row.set(Field::status, pg::text_datum(core::saga::name_of(state.status)));
    row.set(Field::attempts, Int32GetDatum(step.attempts));
    step.task_id == 0 ? row.set_null(Field::task_id) : row.set(Field::task_id, Int64GetDatum(step.task_id));
    row.set(Field::asking, BoolGetDatum(step.asking));
    set_time(Field::due_at, step.due_at);
    row.set(Field::completion, Int32GetDatum(state.completion));
    row.set(Field::unknown, BoolGetDatum(state.unknown));
    row.set(Field::decided, BoolGetDatum(state.decided));
    step.result == nullptr ? row.set_null(Field::result) : row.set(Field::result, pg::jsonb_datum(step.result));
    set_text(Field::error, step.error);
    row.set(Field::undo_attempts, Int32GetDatum(step.undo_attempts));
    set_text(Field::outcome, step.outcome);
    row.set(Field::started_at, TimestampTzGetDatum(step.started_at));
    set_time(Field::finished_at, step.finished_at);
    set_time(Field::compensated_at, step.compensated_at);
}

}  // namespace

StepRow& Instance::row(std::int32_t i) {
    StepRow*& kept = rows[static_cast<std::size_t>(i)];
    if (kept == nullptr) kept = pg::allocate<StepRow>(1).data();
    return *kept;
}

void load_steps(Instance& saga) {
    saga.steps = pg::allocate<Step>(saga.definition->nodes.size());
    saga.rows = pg::allocate<StepRow*>(saga.definition->nodes.size());
    if (saga.status != SagaStatus::running) return load_all(saga);
    const auto count = static_cast<std::int32_t>(saga.definition->nodes.size());
    if (saga.position >= count) return;
    for (std::int32_t i = saga.position; i < saga.definition->node(saga.position).end; ++i) {
        const Datum key[] = {Int64GetDatum(saga.step_id(i))};
        steps_table.with_row(key, pg::RowLock::none, [&](pg::Row& row) { read(row, saga, i); });
    }
}

void load_all(Instance& saga) {
    if (saga.all_loaded) return;
    pg::Result rows = select_all.run(pg::Access::writes, {{Int64GetDatum(saga.step_id(0))},
                                                          {Int64GetDatum(saga.step_id(core::saga::steps_max - 1))}});
    for (std::size_t number = 0; number < rows.count; ++number) {
        ResultRow row{rows, number};
        std::int32_t i = core::saga::position_of(DatumGetInt64(row.value(Field::step_id)));
        // What is in memory is newer.
        if (saga.rows[static_cast<std::size_t>(i)] == nullptr) read(row, saga, i);
    }
    saga.all_loaded = true;
}

void store_steps(Instance& saga) {
    const auto count = static_cast<std::int32_t>(saga.rows.size());
    pg::Array<pg::RowValues> added;
    for (std::int32_t i = 0; i < count; ++i) {
        StepRow* step = saga.rows[static_cast<std::size_t>(i)];
        if (step == nullptr || !step->changed) continue;
        pg::RowValues row;
        form(saga, i, *step, row);
        if (step->stored) {
            const Datum key[] = {Int64GetDatum(saga.step_id(i))};
            steps_table.with_row(key, pg::RowLock::for_update, [&](pg::Row& found) { found.update(row, changing); });
        } else {
            added.push(row);
        }
        step->stored = true;
        step->changed = false;
    }
    if (added.size() > 0) steps_table.insert_many(added.span());
    pg::end_of_command();
}

pg::Table& step_table() { return steps_table; }

}  // namespace oms::saga
