// Refunds, and the ledger: money that really moved, in entries that add up to zero for each operation.
#include "core/other_machines.hpp"
#include "payments/rows.hpp"
#include "pg/raise.hpp"
#include "pg/settings.hpp"

#include "pg/poison.hpp"

namespace oms::payments {

namespace {

namespace refund_field {
enum : int {
    refund_id,
    payment_id,
    order_id,
    created_at,
    status,
    amount_minor,
    currency,
    reason,
    requested_at,
    closed_at
};
}

constexpr std::array refund_columns{
    pg::Column{"refund_id", UUIDOID},
    pg::Column{"payment_id", UUIDOID},
    pg::Column{"order_id", UUIDOID},
    pg::Column{"created_at", TIMESTAMPTZOID},
    pg::Column{"status", TEXTOID},
    pg::Column{"amount_minor", INT8OID},
    pg::Column{"currency", TEXTOID},
    pg::Column{"reason", TEXTOID, true},
    pg::Column{"requested_at", TIMESTAMPTZOID},
    pg::Column{"closed_at", TIMESTAMPTZOID, true},
};
constexpr std::array refund_key{static_cast<int>(refund_field::refund_id), static_cast<int>(refund_field::created_at)};
constexpr pg::TableDefinition refund_definition{.name = "refund",
                                                .columns = refund_columns,
                                                .key = refund_key,
                                                .routing_column = refund_field::created_at,
                                                .checks = 1};
constinit pg::Table refunds{refund_definition};

constexpr std::string_view pending = "pending", done = "done", failed = "failed";
static_assert(core::legal(core::machines::refund, core::machines::none, pending));
static_assert(core::legal(core::machines::refund, pending, done));
static_assert(core::legal(core::machines::refund, pending, failed));

namespace entry_field {
enum : int { operation_id, line_no, payment_id, order_id, created_at, account, amount_minor, currency, recorded_at };
}

constexpr std::array entry_columns{
    pg::Column{"operation_id", UUIDOID},       pg::Column{"line_no", INT2OID},
    pg::Column{"payment_id", UUIDOID},         pg::Column{"order_id", UUIDOID},
    pg::Column{"created_at", TIMESTAMPTZOID},  pg::Column{"account", TEXTOID},
    pg::Column{"amount_minor", INT8OID},       pg::Column{"currency", TEXTOID},
    pg::Column{"recorded_at", TIMESTAMPTZOID},
};
constexpr pg::TableDefinition entry_definition{
    .name = "ledger_entry", .columns = entry_columns, .key = {}, .routing_column = entry_field::created_at};
constinit pg::Table entries{entry_definition};

}  // namespace

void insert_refund(const Payment& payment, const core::OperationId& id, std::int64_t amount_minor,
                   std::string_view reason) {
    Assert(amount_minor > 0);
    pg::RowValues row;
    row.set(refund_field::refund_id, pg::uuid_datum(id.value));
    row.set(refund_field::payment_id, pg::uuid_datum(payment.id.value));
    row.set(refund_field::order_id, pg::uuid_datum(payment.order_id));
    row.set(refund_field::created_at, TimestampTzGetDatum(birth_of(id.value)));
    row.set(refund_field::status, pg::text_datum(pending));
    row.set(refund_field::amount_minor, Int64GetDatum(amount_minor));
    row.set(refund_field::currency, pg::text_datum(payment.currency));
    if (reason.empty()) {
        row.set_null(refund_field::reason);
    } else {
        row.set(refund_field::reason, pg::text_datum(reason));
    }
    row.set(refund_field::requested_at, TimestampTzGetDatum(pg::now_us()));
    row.set_null(refund_field::closed_at);
    refunds.insert(row);
}

void close_refund(const core::OperationId& id, bool succeeded) {
    constexpr std::array changed{static_cast<int>(refund_field::status), static_cast<int>(refund_field::closed_at)};
    const Datum key[] = {pg::uuid_datum(id.value), TimestampTzGetDatum(birth_of(id.value))};
    refunds.with_row(key, pg::RowLock::for_update, [&](pg::Row& row) {
        pg::RowValues values;
        values.set(refund_field::status, pg::text_datum(succeeded ? done : failed));
        values.set(refund_field::closed_at, TimestampTzGetDatum(pg::now_us()));
        row.update(values, changed);
    });
}

void record_movement(const Payment& payment, const core::OperationId& operation, Movement movement,
                     std::int64_t amount_minor) {
    // What the provider owes us grows by what the customer gave, and shrinks by what he got back.
    const std::int64_t to_provider = movement == Movement::captured ? amount_minor : -amount_minor;
    const std::array<std::int64_t, 2> amounts{to_provider, -to_provider};
    // By hand it is not the provider who paid: who did is for the books to say.
    const std::array<std::string_view, 2> accounts{
        movement == Movement::by_hand ? "by_hand" : pg::format("provider:%s", pg::c_string(payment.provider)),
        "customer"};
    Datum now = TimestampTzGetDatum(pg::now_us());
    std::array<pg::RowValues, 2> rows;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        rows[i].set(entry_field::operation_id, pg::uuid_datum(operation.value));
        rows[i].set(entry_field::line_no, Int16GetDatum(static_cast<std::int16_t>(i + 1)));
        rows[i].set(entry_field::payment_id, pg::uuid_datum(payment.id.value));
        rows[i].set(entry_field::order_id, pg::uuid_datum(payment.order_id));
        rows[i].set(entry_field::created_at, TimestampTzGetDatum(birth_of(operation.value)));
        rows[i].set(entry_field::account, pg::text_datum(accounts[i]));
        rows[i].set(entry_field::amount_minor, Int64GetDatum(amounts[i]));
        rows[i].set(entry_field::currency, pg::text_datum(payment.currency));
        rows[i].set(entry_field::recorded_at, now);
    }
    entries.insert_many(rows);
}

pg::Table& refund_table() { return refunds; }
pg::Table& ledger_table() { return entries; }

}  // namespace oms::payments
