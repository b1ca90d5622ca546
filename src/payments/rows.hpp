// The rows of payments and their operations.
#pragma once

#include <cstring>

#include "log/log.hpp"
#include "payments/payments.hpp"
#include "pg/memory.hpp"

namespace oms::payments {

namespace status {
inline constexpr std::string_view initiated = "initiated", authorized = "authorized", declined = "declined",
                                  indeterminate = "indeterminate", voided = "voided",
                                  capture_pending = "capture_pending", captured = "captured",
                                  capture_failed = "capture_failed", partially_refunded = "partially_refunded",
                                  refunded = "refunded";
}

// What a command or an answer does to a payment: the next state and one event. Without an event nothing is written.
struct Change {
    Payment next;
    std::string_view event = {};
    std::string_view reason = {};
    std::int64_t amount_minor = 0;  // that the event is about
    core::OperationId operation = {};
    bool by_hand = false;
};

// A capture that was to come later does not come any more.
void forget_delay(Change& change);

std::int64_t birth_of(const core::OrderId& id);
Payment read(const pg::Row& row);
Payment write(pg::Row& row, const Payment& before, Change& change);
Payment insert(const NewPayment& created, const core::PaymentId& id);

[[noreturn]] void raise_version_conflict(const Payment& payment, std::int32_t expected);

// Locks the payment, lets `decide(const Payment&, Change&)` decide, writes the next version and its event. Answers the payment afterwards; its
// views live in the current memory context.
template <class Fn>
Payment change(const core::PaymentId& id, std::optional<std::int32_t> expected_version, Fn&& decide) {
    if (!core::is_order_id(id.value)) raise_payment_not_found(id);
    const Datum key[] = {pg::uuid_datum(id.value), TimestampTzGetDatum(birth_of(id.value))};
    Payment after{};
    bool found = table().with_row(key, pg::RowLock::for_update, [&](pg::Row& row) {
        Payment before = read(row);
        if (expected_version && *expected_version != before.version) raise_version_conflict(before, *expected_version);
        Change change{.next = before};
        decide(before, change);
        after = change.event.empty() ? before : write(row, before, change);
    });
    if (!found) raise_payment_not_found(id);
    return after;
}

// --- operations --------------------------------------------------------------------------------------------------------

namespace operation_status {
inline constexpr std::string_view pending = "pending", succeeded = "succeeded", failed = "failed",
                                  indeterminate = "indeterminate";
}

struct Operation {
    core::OperationId id;
    core::PaymentId payment_id;
    core::OrderId order_id;
    std::string_view kind, status, currency;
    std::string_view queue;   // empty: none, no task carries it out
    std::string_view reason;  // why somebody asked for it; empty: they did not say
    std::int64_t amount_minor;
    std::int64_t step_id;          // 0: none
    core::TaskId task;             // 0: none
    core::OperationId reconciles;  // of a reconciliation: what it asks about
};

core::OperationId new_operation_id(const core::OrderId& order);

// Writes the operation's row and makes its task. `run_at` 0: now.
core::TaskId begin_operation(const Payment& payment, const Operation& operation, const Work& work,
                             std::int64_t run_at = 0);

// Writes the row alone, of an operation that no task carries out.
void write_operation(const Payment& payment, const Operation& operation);

// The operation without a lock, or locked; nothing when there is none.
std::optional<Operation> find_operation(const core::OperationId& id, pg::RowLock lock);

struct Closing {
    std::string_view status;
    std::string_view error;
    Jsonb* result;
};
void close_operation(const core::OperationId& id, const Closing& closing);

// --- refunds and the ledger --------------------------------------------------------------------------------------------

void insert_refund(const Payment& payment, const core::OperationId& id, std::int64_t amount_minor,
                   std::string_view reason);
void close_refund(const core::OperationId& id, bool done);

// Money that moved: from the customer to the provider's account with us, or back; or back by other means.
enum class Movement : unsigned char { captured, refunded, by_hand };
void record_movement(const Payment& payment, const core::OperationId& operation, Movement movement,
                     std::int64_t amount_minor);

}  // namespace oms::payments
