// Operations: what is asked of a provider. Each has a row, and a task that carries it out.
#include "payments/rows.hpp"
#include "pg/raise.hpp"
#include "pg/random.hpp"
#include "pg/settings.hpp"
#include "tasks/tasks.hpp"

#include "pg/poison.hpp"

namespace oms::payments {

namespace {

namespace field {
enum : int {
    operation_id,
    payment_id,
    order_id,
    created_at,
    kind,
    status,
    amount_minor,
    currency,
    queue,
    step_id,
    task_id,
    reconciles,
    reason,
    error,
    result,
    requested_at,
    closed_at
};
}

constexpr std::array columns{
    pg::Column{"operation_id", UUIDOID},
    pg::Column{"payment_id", UUIDOID},
    pg::Column{"order_id", UUIDOID},
    pg::Column{"created_at", TIMESTAMPTZOID},
    pg::Column{"kind", TEXTOID},
    pg::Column{"status", TEXTOID},
    pg::Column{"amount_minor", INT8OID},
    pg::Column{"currency", TEXTOID},
    pg::Column{"queue", TEXTOID, true},
    pg::Column{"step_id", INT8OID, true},
    pg::Column{"task_id", INT8OID, true},
    pg::Column{"reconciles", UUIDOID, true},
    pg::Column{"reason", TEXTOID, true},
    pg::Column{"error", TEXTOID, true},
    pg::Column{"result", JSONBOID, true},
    pg::Column{"requested_at", TIMESTAMPTZOID},
    pg::Column{"closed_at", TIMESTAMPTZOID, true},
};
constexpr std::array key_columns{static_cast<int>(field::operation_id), static_cast<int>(field::created_at)};
constexpr pg::TableDefinition definition{
    .name = "payment_operation", .columns = columns, .key = key_columns, .routing_column = field::created_at};
constinit pg::Table operations{definition};

// A customer waits for an authorization and a capture. What gives money back, and the question what became of it, goes on for a day; then it is for
// a person (oms.stuck).
constexpr core::RetryPolicy patient{.attempts_max = 300, .base_ms = 100, .factor = 2, .cap_ms = 300'000, .jitter = 0.2};
constexpr core::RetryPolicy prompt{.attempts_max = 3, .base_ms = 100, .factor = 2, .cap_ms = 5'000, .jitter = 0.2};

const core::RetryPolicy& policy_for(std::string_view operation_kind) {
    return operation_kind == kind::authorize || operation_kind == kind::capture ? prompt : patient;
}

core::OrderId uuid_of(Datum value) {
    core::OrderId id;
    std::memcpy(id.bytes.data(), DatumGetUUIDP(value)->data, id.bytes.size());
    return id;
}

// What the provider's worker is told.
Jsonb* payload_of(const Payment& payment, const Operation& operation) {
    std::string_view id = id_text(operation.id.value);
    pg::JsonObject json;
    json.text("payment_id", id_text(payment.id.value));
    json.text("operation_id", id);
    json.text("idempotency_key", id);
    json.text("order_id", id_text(payment.order_id));
    json.number("amount_minor", operation.amount_minor);
    json.text("currency", payment.currency);
    json.text("provider", payment.provider);
    json.text_or_null("provider_ref", payment.provider_ref);
    if (payment.method != nullptr) json.json("method", payment.method);
    if (operation.reconciles != core::OperationId{}) json.text("reconciles", id_text(operation.reconciles.value));
    return json.finish();
}

void insert(const Operation& operation) {
    pg::RowValues row;
    row.set(field::operation_id, pg::uuid_datum(operation.id.value));
    row.set(field::payment_id, pg::uuid_datum(operation.payment_id.value));
    row.set(field::order_id, pg::uuid_datum(operation.order_id));
    row.set(field::created_at, TimestampTzGetDatum(birth_of(operation.id.value)));
    row.set(field::kind, pg::text_datum(operation.kind));
    row.set(field::status, pg::text_datum(operation_status::pending));
    row.set(field::amount_minor, Int64GetDatum(operation.amount_minor));
    row.set(field::currency, pg::text_datum(operation.currency));
    if (operation.queue.empty()) {
        row.set_null(field::queue);
    } else {
        row.set(field::queue, pg::text_datum(operation.queue));
    }
    if (operation.step_id == 0) {
        row.set_null(field::step_id);
    } else {
        row.set(field::step_id, Int64GetDatum(operation.step_id));
    }
    if (operation.task.value == 0) {
        row.set_null(field::task_id);
    } else {
        row.set(field::task_id, Int64GetDatum(operation.task.value));
    }
    if (operation.reconciles == core::OperationId{}) {
        row.set_null(field::reconciles);
    } else {
        row.set(field::reconciles, pg::uuid_datum(operation.reconciles.value));
    }
    if (operation.reason.empty()) {
        row.set_null(field::reason);
    } else {
        row.set(field::reason, pg::text_datum(operation.reason));
    }
    row.set_null(field::error);
    row.set_null(field::result);
    row.set(field::requested_at, TimestampTzGetDatum(pg::now_us()));
    row.set_null(field::closed_at);
    operations.insert(row);
}

template <class Fn>
bool with_operation(const core::OperationId& id, pg::RowLock lock, Fn&& fn) {
    if (!core::is_order_id(id.value)) return false;
    const Datum key[] = {pg::uuid_datum(id.value), TimestampTzGetDatum(birth_of(id.value))};
    return operations.with_row(key, lock, fn);
}

}  // namespace

core::OperationId new_operation_id(const core::OrderId& order) {
    return {core::make_sibling_id(order, pg::random_bits())};
}

void write_operation(const Payment& payment, const Operation& operation) {
    Operation written = operation;
    written.payment_id = payment.id;
    written.order_id = payment.order_id;
    written.currency = payment.currency;
    insert(written);
}

core::TaskId begin_operation(const Payment& payment, const Operation& operation, const Work& work,
                             std::int64_t run_at) {
    Operation written = operation;
    written.queue = work.queue;
    written.step_id = work.step_id;
    written.task = tasks::create({.queue = work.queue,
                                  .kind = pg::format("payment.%s", pg::c_string(operation.kind)),
                                  .payload = payload_of(payment, operation),
                                  .run_at = run_at,
                                  .policy = work.policy != nullptr ? *work.policy : policy_for(operation.kind),
                                  .deadline_at = work.deadline_at,
                                  .step_id = work.step_id,
                                  .provider_key = id_text(operation.id.value)});
    write_operation(payment, written);
    return written.task;
}

std::optional<Operation> find_operation(const core::OperationId& id, pg::RowLock lock) {
    Operation operation{};
    bool found = with_operation(id, lock, [&](pg::Row& row) {
        auto text = [&](int column) { return pg::copied(pg::text_view(row.value(column))); };
        operation.id = id;
        operation.payment_id = {uuid_of(row.value(field::payment_id))};
        operation.order_id = uuid_of(row.value(field::order_id));
        operation.kind = text(field::kind);
        operation.status = text(field::status);
        operation.currency = text(field::currency);
        if (!row.is_null(field::queue)) operation.queue = text(field::queue);
        if (!row.is_null(field::reason)) operation.reason = text(field::reason);
        operation.amount_minor = DatumGetInt64(row.value(field::amount_minor));
        if (!row.is_null(field::step_id)) operation.step_id = DatumGetInt64(row.value(field::step_id));
        if (!row.is_null(field::task_id)) operation.task = {DatumGetInt64(row.value(field::task_id))};
        if (!row.is_null(field::reconciles)) operation.reconciles = {uuid_of(row.value(field::reconciles))};
    });
    return found ? std::optional{operation} : std::nullopt;
}

void close_operation(const core::OperationId& id, const Closing& closing) {
    constexpr std::array changed{static_cast<int>(field::status), static_cast<int>(field::error),
                                 static_cast<int>(field::result), static_cast<int>(field::closed_at)};
    with_operation(id, pg::RowLock::for_update, [&](pg::Row& row) {
        pg::RowValues values;
        values.set(field::status, pg::text_datum(closing.status));
        if (closing.error.empty()) {
            values.set_null(field::error);
        } else {
            values.set(field::error, pg::text_datum(closing.error));
        }
        if (closing.result == nullptr) {
            values.set_null(field::result);
        } else {
            values.set(field::result, pg::jsonb_datum(closing.result));
        }
        values.set(field::closed_at, TimestampTzGetDatum(pg::now_us()));
        row.update(values, changed);
    });
}

std::optional<core::OrderId> order_of(const core::OperationId& id) {
    std::optional<Operation> operation = find_operation(id, pg::RowLock::none);
    return operation ? std::optional{operation->order_id} : std::nullopt;
}

pg::Table& operation_table() { return operations; }

}  // namespace oms::payments
