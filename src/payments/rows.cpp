// The payment's row, and the event that each of its versions appends.
#include "payments/rows.hpp"

#include <algorithm>
#include <utility>

#include "core/other_machines.hpp"
#include "pg/raise.hpp"
#include "pg/settings.hpp"
#include "pg/table_walk.hpp"

#include "pg/poison.hpp"

namespace oms::payments {

namespace {

namespace field {
enum : int {
    payment_id,
    order_id,
    created_at,
    status,
    provider,
    provider_ref,
    method,
    currency,
    amount_minor,
    authorized_minor,
    captured_minor,
    refunded_minor,
    refund_pending_minor,
    capture_due_at,
    capture_due_minor,
    reason,
    operation_id,
    version,
    initiated_at,
    updated_at,
    last_seq,
    first_event_id,
    last_event_id
};
}

constexpr std::array columns{
    pg::Column{"payment_id", UUIDOID},
    pg::Column{"order_id", UUIDOID},
    pg::Column{"created_at", TIMESTAMPTZOID},
    pg::Column{"status", TEXTOID},
    pg::Column{"provider", TEXTOID},
    pg::Column{"provider_ref", TEXTOID, true},
    pg::Column{"method", JSONBOID, true},
    pg::Column{"currency", TEXTOID},
    pg::Column{"amount_minor", INT8OID},
    pg::Column{"authorized_minor", INT8OID},
    pg::Column{"captured_minor", INT8OID},
    pg::Column{"refunded_minor", INT8OID},
    pg::Column{"refund_pending_minor", INT8OID},
    pg::Column{"capture_due_at", TIMESTAMPTZOID, true},
    pg::Column{"capture_due_minor", INT8OID},
    pg::Column{"reason", TEXTOID, true},
    pg::Column{"operation_id", UUIDOID, true},
    pg::Column{"version", INT4OID},
    pg::Column{"initiated_at", TIMESTAMPTZOID},
    pg::Column{"updated_at", TIMESTAMPTZOID},
    pg::Column{"last_seq", INT8OID},
    pg::Column{"first_event_id", INT8OID},
    pg::Column{"last_event_id", INT8OID},
};
constexpr std::array key_columns{static_cast<int>(field::payment_id), static_cast<int>(field::created_at)};
constexpr pg::TableDefinition definition{
    .name = "payment", .columns = columns, .key = key_columns, .routing_column = field::created_at, .checks = 1};
constinit pg::Table payments{definition};

// The columns that a change may touch. None of them is in an index of ours, so that the new version stays on its page.
constexpr std::array changing{
    static_cast<int>(field::status),           static_cast<int>(field::provider_ref),
    static_cast<int>(field::authorized_minor), static_cast<int>(field::captured_minor),
    static_cast<int>(field::refunded_minor),   static_cast<int>(field::refund_pending_minor),
    static_cast<int>(field::capture_due_at),   static_cast<int>(field::capture_due_minor),
    static_cast<int>(field::reason),           static_cast<int>(field::operation_id),
    static_cast<int>(field::version),          static_cast<int>(field::updated_at),
    static_cast<int>(field::last_seq),         static_cast<int>(field::last_event_id),
};

void set_text(pg::RowValues& row, int column, std::string_view text) {
    if (text.empty()) {
        row.set_null(column);
    } else {
        row.set(column, pg::text_datum(text));
    }
}

void set_changing(pg::RowValues& row, const Payment& payment) {
    // What the table's CHECK says: the direct way in does not ask it.
    Assert(payment.refundable() >= 0 && payment.captured_minor <= payment.authorized_minor);
    row.set(field::status, pg::text_datum(payment.status));
    set_text(row, field::provider_ref, payment.provider_ref);
    row.set(field::authorized_minor, Int64GetDatum(payment.authorized_minor));
    row.set(field::captured_minor, Int64GetDatum(payment.captured_minor));
    row.set(field::refunded_minor, Int64GetDatum(payment.refunded_minor));
    row.set(field::refund_pending_minor, Int64GetDatum(payment.refund_pending_minor));
    if (payment.capture_due_at == 0) {
        row.set_null(field::capture_due_at);
    } else {
        row.set(field::capture_due_at, TimestampTzGetDatum(payment.capture_due_at));
    }
    row.set(field::capture_due_minor, Int64GetDatum(payment.capture_due_minor));
    set_text(row, field::reason, payment.reason);
    if (payment.busy()) {
        row.set(field::operation_id, pg::uuid_datum(payment.busy_with.value));
    } else {
        row.set_null(field::operation_id);
    }
    row.set(field::version, Int32GetDatum(payment.version));
    row.set(field::updated_at, TimestampTzGetDatum(payment.updated_at));
    row.set(field::last_seq, Int64GetDatum(payment.last_seq));
    row.set(field::last_event_id, Int64GetDatum(payment.last_event_id));
}

core::OrderId uuid_of(Datum value) {
    core::OrderId id;
    std::memcpy(id.bytes.data(), DatumGetUUIDP(value)->data, id.bytes.size());
    return id;
}

void append_event(const Payment& after, std::string_view prev_status, const Change& change) {
    std::string_view id = id_text(after.id.value);
    pg::JsonObject json;
    json.text("payment_id", id);
    json.text("order_id", id_text(after.order_id));
    json.text_or_null("prev_status", prev_status);
    json.text("status", after.status);
    json.text_or_null("reason", change.reason);
    json.number("version", after.version);
    json.time("occurred_at", after.updated_at);
    json.text("operation_id", id_text(change.operation.value));
    json.number("amount_minor", change.amount_minor);
    json.text("currency", after.currency);
    json.number("captured_minor", after.captured_minor);
    json.number("refunded_minor", after.refunded_minor);
    json.text("provider", after.provider);
    if (change.by_hand) json.boolean("by_hand", true);
    if (!after.provider_ref.empty()) json.text("provider_ref", after.provider_ref);
    const log::NewEvent event{.id = {after.last_event_id},
                              .aggregate_type = aggregate_type,
                              .aggregate_id = id,
                              .seq = after.last_seq,
                              .type = change.event,
                              .payload = json.finish(),
                              .occurred_at = after.updated_at};
    log::append({&event, 1});
}

constexpr std::array of_one_order{static_cast<int>(field::order_id)};

// What has to go back before the goods do. A refund under way has not gone back yet, and what nobody knows may have been taken.
std::int64_t held_by(const Payment& payment) {
    if (payment.status == status::declined || payment.status == status::voided) return 0;
    if (payment.captured_minor > 0) return payment.captured_minor - payment.refunded_minor;
    return payment.amount_minor;
}

std::int64_t secured_by(const Payment& payment) {
    const bool authorized = payment.status == status::authorized || payment.status == status::capture_pending ||
                            payment.status == status::capture_failed;
    return authorized ? payment.authorized_minor : payment.captured_minor - payment.refunded_minor;
}

}  // namespace

std::string_view id_text(const core::OrderId& id) {
    char* text = pg::allocate<char>(core::uuid_length + 1).data();
    core::format_uuid(id, text);
    return {text, core::uuid_length};
}

std::int64_t birth_of(const core::OrderId& id) { return pg::postgres_us(core::order_time_us(id)); }

void raise_payment_not_found(const core::PaymentId& id) {
    pg::raise(pg::Error::not_found, {.message = pg::format("payment %s does not exist", id_text(id.value).data()),
                                     .detail = "oms.payment has no such row.",
                                     .hint = "oms.get_order shows the payments of an order."});
}

void raise_version_conflict(const Payment& payment, std::int32_t expected) {
    pg::raise(pg::Error::version_conflict,
              {.message = pg::format("payment %s is not at version %d", id_text(payment.id.value).data(), expected),
               .detail = pg::format("Its version is %d, its status %s.", payment.version, pg::c_string(payment.status)),
               .hint = "Read it again, decide again, and pass the new version."});
}

Payment read(const pg::Row& row) {
    auto text = [&](int column) {
        return row.is_null(column) ? std::string_view{} : pg::copied(pg::text_view(row.value(column)));
    };
    auto number = [&](int column) { return DatumGetInt64(row.value(column)); };
    auto time = [&](int column) { return row.is_null(column) ? 0 : DatumGetTimestampTz(row.value(column)); };
    Payment payment{};
    payment.id = {uuid_of(row.value(field::payment_id))};
    payment.order_id = uuid_of(row.value(field::order_id));
    payment.status = text(field::status);
    payment.provider = text(field::provider);
    payment.currency = text(field::currency);
    payment.provider_ref = text(field::provider_ref);
    payment.reason = text(field::reason);
    if (!row.is_null(field::method)) payment.method = DatumGetJsonbPCopy(row.value(field::method));
    payment.amount_minor = number(field::amount_minor);
    payment.authorized_minor = number(field::authorized_minor);
    payment.captured_minor = number(field::captured_minor);
    payment.refunded_minor = number(field::refunded_minor);
    payment.refund_pending_minor = number(field::refund_pending_minor);
    payment.capture_due_at = time(field::capture_due_at);
    payment.capture_due_minor = number(field::capture_due_minor);
    payment.version = DatumGetInt32(row.value(field::version));
    if (!row.is_null(field::operation_id)) payment.busy_with = {uuid_of(row.value(field::operation_id))};
    payment.initiated_at = time(field::initiated_at);
    payment.updated_at = time(field::updated_at);
    payment.last_seq = number(field::last_seq);
    payment.first_event_id = number(field::first_event_id);
    payment.last_event_id = number(field::last_event_id);
    return payment;
}

Payment write(pg::Row& row, const Payment& before, Change& change) {
    Payment& next = change.next;
    if (next.status != before.status && !core::legal(core::machines::payment, before.status, next.status)) {
        pg::raise(pg::Error::illegal_transition,
                  {.message = pg::format("payment %s cannot become %s while it is %s", id_text(before.id.value).data(),
                                         pg::c_string(next.status), pg::c_string(before.status)),
                   .detail = pg::format("Its version is %d.", before.version),
                   .hint = "Read the payment again."});
    }
    next.version = before.version + 1;
    next.updated_at = pg::now_us();
    next.last_event_id = log::draw_id().value;
    next.last_seq = before.last_seq + 1;
    pg::RowValues values;
    set_changing(values, next);
    row.update(values, changing);
    append_event(next, before.status, change);
    return next;
}

Payment insert(const NewPayment& created, const core::PaymentId& id) {
    Payment payment{};
    payment.id = id;
    payment.order_id = created.order_id;
    payment.status = status::initiated;
    payment.provider = created.provider;
    payment.currency = created.currency;
    payment.method = created.method;
    payment.amount_minor = created.amount_minor;
    payment.version = 1;
    payment.busy_with = {id.value};
    payment.initiated_at = payment.updated_at = pg::now_us();
    payment.last_seq = 1;
    payment.first_event_id = payment.last_event_id = log::draw_id().value;

    pg::RowValues row;
    row.set(field::payment_id, pg::uuid_datum(id.value));
    row.set(field::order_id, pg::uuid_datum(payment.order_id));
    row.set(field::created_at, TimestampTzGetDatum(birth_of(id.value)));
    row.set(field::provider, pg::text_datum(payment.provider));
    if (payment.method == nullptr) {
        row.set_null(field::method);
    } else {
        row.set(field::method, pg::jsonb_datum(payment.method));
    }
    row.set(field::currency, pg::text_datum(payment.currency));
    row.set(field::amount_minor, Int64GetDatum(payment.amount_minor));
    row.set(field::initiated_at, TimestampTzGetDatum(payment.initiated_at));
    row.set(field::first_event_id, Int64GetDatum(payment.first_event_id));
    set_changing(row, payment);
    payments.insert(row);
    append_event(payment, {},
                 {.next = payment,
                  .event = "payment.initiated",
                  .amount_minor = payment.amount_minor,
                  .operation = payment.busy_with});
    return payment;
}

Payment current(const core::PaymentId& id) {
    Payment payment{};
    const Datum key[] = {pg::uuid_datum(id.value), TimestampTzGetDatum(birth_of(id.value))};
    bool found = payments.with_row(key, pg::RowLock::none, [&](pg::Row& row) { payment = read(row); });
    if (!found) raise_payment_not_found(id);
    return payment;
}

std::span<const Payment> of_order(const core::OrderId& order) {
    pg::Array<Payment> found{2};
    const std::array equal{pg::uuid_datum(order)};
    pg::walk_now(payments, {.columns = of_one_order, .equal = equal, .routing = birth_of(order)},
                 [&](pg::Row& row) { found.push(read(row)); });
    std::ranges::sort(found.span(), {}, [](const Payment& payment) {
        return std::pair{payment.initiated_at, payment.first_event_id};
    });
    return found.span();
}

Sums sums_of(const core::OrderId& order) {
    Sums sums;
    for (const Payment& payment : of_order(order)) {
        ++sums.payments;
        sums.held_minor += held_by(payment);
        sums.secured_minor += secured_by(payment);
        sums.captured_minor += payment.captured_minor;
        sums.refunded_minor += payment.refunded_minor;
    }
    return sums;
}

std::optional<core::OrderId> order_of(const core::PaymentId& payment) {
    if (!core::is_order_id(payment.value)) return std::nullopt;
    const Datum key[] = {pg::uuid_datum(payment.value), TimestampTzGetDatum(birth_of(payment.value))};
    core::OrderId order;
    bool found =
        payments.with_row(key, pg::RowLock::none, [&](pg::Row& row) { order = uuid_of(row.value(field::order_id)); });
    return found ? std::optional{order} : std::nullopt;
}

pg::Table& table() { return payments; }

}  // namespace oms::payments
