// The answer of the payment commands: as a row, and as the bytes that idempotency keeps.
#include "payments/rows.hpp"
#include "pg/raise.hpp"

#include "pg/poison.hpp"

namespace oms::payments {

namespace {

constexpr core::OperationId nothing{};

core::OrderId uuid_member(JsonbContainer* object, std::string_view name) {
    core::OrderId id{};
    core::parse_uuid(pg::text_member(object, name), id);
    return id;
}

}  // namespace

std::string_view encode(const State& state) {
    const Payment& payment = state.payment;
    pg::JsonObject json;
    json.text("payment_id", id_text(payment.id.value));
    json.text("order_id", id_text(payment.order_id));
    json.text("status", payment.status);
    json.number("version", payment.version);
    json.text("currency", payment.currency);
    json.number("amount_minor", payment.amount_minor);
    json.number("authorized_minor", payment.authorized_minor);
    json.number("captured_minor", payment.captured_minor);
    json.number("refunded_minor", payment.refunded_minor);
    json.number("refund_pending_minor", payment.refund_pending_minor);
    json.text("provider", payment.provider);
    json.text("provider_ref", payment.provider_ref);
    json.text("reason", payment.reason);
    if (state.operation != nothing) json.text("operation_id", id_text(state.operation.value));
    json.number("capture_due_at", payment.capture_due_at);
    json.number("initiated_at", payment.initiated_at);
    json.number("updated_at", payment.updated_at);
    return pg::stored_bytes(json.finish());
}

State decode(std::string_view bytes) {
    JsonbContainer* json = pg::from_stored_bytes(bytes);
    State state{};
    Payment& payment = state.payment;
    payment.id = {uuid_member(json, "payment_id")};
    payment.order_id = uuid_member(json, "order_id");
    payment.status = pg::text_member(json, "status");
    payment.version = static_cast<std::int32_t>(pg::number_member(json, "version"));
    payment.currency = pg::text_member(json, "currency");
    payment.amount_minor = pg::number_member(json, "amount_minor");
    payment.authorized_minor = pg::number_member(json, "authorized_minor");
    payment.captured_minor = pg::number_member(json, "captured_minor");
    payment.refunded_minor = pg::number_member(json, "refunded_minor");
    payment.refund_pending_minor = pg::number_member(json, "refund_pending_minor");
    payment.provider = pg::text_member(json, "provider");
    payment.provider_ref = pg::text_member(json, "provider_ref");
    payment.reason = pg::text_member(json, "reason");
    state.operation = {uuid_member(json, "operation_id")};
    payment.capture_due_at = pg::number_member(json, "capture_due_at");
    payment.initiated_at = pg::number_member(json, "initiated_at");
    payment.updated_at = pg::number_member(json, "updated_at");
    return state;
}

Datum answer(const pg::Call& call, const State& state, bool replayed) {
    constexpr std::size_t width = 18;
    std::array<Datum, width> values{};
    std::array<bool, width> nulls{};
    std::size_t i = 0;
    auto add = [&](Datum value, bool null = false) {
        values[i] = value;
        nulls[i++] = null;
    };
    auto add_text = [&](std::string_view text) { add(text.empty() ? Datum{0} : pg::text_datum(text), text.empty()); };
    const Payment& payment = state.payment;
    add(pg::uuid_datum(payment.id.value));
    add(pg::uuid_datum(payment.order_id));
    add_text(payment.status);
    add(Int32GetDatum(payment.version));
    add_text(payment.currency);
    add(Int64GetDatum(payment.amount_minor));
    add(Int64GetDatum(payment.authorized_minor));
    add(Int64GetDatum(payment.captured_minor));
    add(Int64GetDatum(payment.refunded_minor));
    add(Int64GetDatum(payment.refund_pending_minor));
    add_text(payment.provider);
    add_text(payment.provider_ref);
    add_text(payment.reason);
    add(pg::uuid_datum(state.operation.value), state.operation == nothing);
    add(TimestampTzGetDatum(payment.capture_due_at), payment.capture_due_at == 0);
    add(TimestampTzGetDatum(payment.initiated_at));
    add(TimestampTzGetDatum(payment.updated_at));
    add(BoolGetDatum(replayed));
    return pg::composite_result(call, values.data(), nulls.data());
}

}  // namespace oms::payments
