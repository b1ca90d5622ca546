// The layout of oms.task, and what its columns mean to the room.
#include "tasks/rows.hpp"

#include "pg/json.hpp"
#include "pg/memory.hpp"
#include "pg/raise.hpp"
#include "pg/sequence.hpp"
#include "pg/transaction.hpp"
#include "tasks/queues.hpp"

#include "pg/poison.hpp"

namespace oms::tasks {

namespace {

constexpr std::array columns{
    pg::Column{"task_id", INT8OID},
    pg::Column{"queue", TEXTOID},
    pg::Column{"priority", INT4OID},
    pg::Column{"position", INT8OID, true},
    pg::Column{"status", TEXTOID},
    pg::Column{"kind", TEXTOID},
    pg::Column{"payload", JSONBOID},
    pg::Column{"run_at", TIMESTAMPTZOID},
    pg::Column{"attempt", INT4OID},
    pg::Column{"retry", JSONBOID, true},
    pg::Column{"deadline_at", TIMESTAMPTZOID, true},
    pg::Column{"step_id", INT8OID, true},
    pg::Column{"provider_key", TEXTOID, true},
    pg::Column{"lease_epoch", INT8OID},
    pg::Column{"lease_until", TIMESTAMPTZOID, true},
    pg::Column{"lease_owner", INT8OID, true},
    pg::Column{"in_doubt", BOOLOID},
    pg::Column{"last_error", TEXTOID, true},
    pg::Column{"result", JSONBOID, true},
    pg::Column{"created_at", TIMESTAMPTZOID},
    pg::Column{"updated_at", TIMESTAMPTZOID},
};
constexpr std::array key_columns{static_cast<int>(Field::task_id)};

constexpr pg::TableDefinition definition{.name = "task", .columns = columns, .key = key_columns};

constinit pg::Table task_table{definition};
constinit pg::Sequence numbers{"task_id_seq"};

std::int64_t whole_member(JsonbContainer* object, std::string_view name) {
    return pg::whole_number(pg::member_of(object, name).value).value_or(0);
}

double real_member(JsonbContainer* object, std::string_view name) {
    return pg::real_number(pg::member_of(object, name).value);
}

}  // namespace

std::int64_t draw_number() {
    pg::assign_transaction_id();
    return numbers.next();
}

std::int64_t last_number() { return numbers.last(); }

Jsonb* policy_json(const core::RetryPolicy& policy) {
    pg::JsonWriter json;
    json.begin_object();
    json.field("attempts_max", policy.attempts_max);
    json.field("base_ms", policy.base_ms);
    json.real_field("factor", policy.factor);
    json.field("cap_ms", policy.cap_ms);
    json.real_field("jitter", policy.jitter);
    json.end_object();
    return json.finish();
}

core::RetryPolicy policy_of(const pg::Row& row) {
    if (row.is_null(Field::retry)) return queue_named(pg::text_view(row.value(Field::queue))).policy;
    // Written by policy_json() alone, so every member is there and a number.
    JsonbContainer* stored = &DatumGetJsonbP(row.value(Field::retry))->root;
    return {.attempts_max = static_cast<int>(whole_member(stored, "attempts_max")),
            .base_ms = whole_member(stored, "base_ms"),
            .factor = real_member(stored, "factor"),
            .cap_ms = whole_member(stored, "cap_ms"),
            .jitter = real_member(stored, "jitter")};
}

void raise_no_task(core::TaskId task) {
    pg::raise(pg::Error::not_found, {.message = pg::format("no task " INT64_FORMAT, task.value),
                                     .detail = "oms.task has no such row.",
                                     .hint = "A task that is done is kept as long as its queue's keep_done says."});
}

pg::Table& table() { return task_table; }

}  // namespace oms::tasks
