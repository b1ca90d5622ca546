// Payments: the table side of the payment and refund machines, and the ledger. The door of the room.
//
// What the outside world does is an operation: a row, and a task (room tasks) that a provider's worker claims. The operation's id is the
// provider's idempotency key; that of the authorization is the payment's own. When the task has closed, settle() applies what is known:
//   succeeded   the machine goes on
//   refused     a definite no
//   unknown     nobody knows (time-outs, attempts used up): the operation is indeterminate and a task asks the provider what became of it.
//               Until that answers, the operation's money stays reserved, and nothing is taken for a failure.
//
// Invariants, under the payment's row lock: refunds pending + done <= captured <= authorized; one authorize, capture or void at a time, any
// number of refunds; the entries of an operation in the ledger add up to zero. The order's row is locked before a payment's.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "core/ids.hpp"
#include "core/retry.hpp"
#include "pg/entry.hpp"
#include "pg/json.hpp"
#include "pg/json_object.hpp"
#include "pg/jump.hpp"
#include "pg/table.hpp"

namespace oms::payments {

inline constexpr std::string_view aggregate_type = "payment";
inline constexpr std::string_view default_queue = "payments";
inline constexpr std::string_view default_provider = "default";

// The kinds of operations; a task's kind is "payment." and the operation's.
namespace kind {
inline constexpr std::string_view authorize = "authorize";
inline constexpr std::string_view capture = "capture";
inline constexpr std::string_view void_it = "void";
inline constexpr std::string_view refund = "refund";
inline constexpr std::string_view reconcile = "reconcile";
}  // namespace kind

// The row, as commands see it; the views live in the current memory context.
struct Payment {
    core::PaymentId id;
    core::OrderId order_id;
    std::string_view status, provider, currency;
    std::string_view provider_ref, reason;  // empty: none
    Jsonb* method;  // what the provider's worker needs to charge: a token, never a card number; may be nullptr
    std::int64_t amount_minor;  // asked for
    std::int64_t authorized_minor, captured_minor;
    std::int64_t refunded_minor;        // done
    std::int64_t refund_pending_minor;  // reserved by refunds that are under way
    std::int64_t capture_due_at;        // 0: no delayed capture
    std::int64_t capture_due_minor;
    std::int32_t version;
    core::OperationId busy_with;  // the authorize, capture or void under way; zeros: none
    std::int64_t initiated_at, updated_at;
    std::int64_t last_seq, first_event_id, last_event_id;

    // Says whether everything that was asked of the provider is answered.
    bool settled() const { return !busy() && status != "indeterminate" && refund_pending_minor == 0; }
    bool busy() const { return busy_with != core::OperationId{}; }
    std::int64_t refundable() const { return captured_minor - refunded_minor - refund_pending_minor; }
};
static_assert(pg::JumpSafe<Payment>);

// Who does an operation's work, and for whom.
struct Work {
    std::string_view queue = default_queue;
    std::int64_t step_id = 0;                   // the saga's step that waits for it; 0: none
    const core::RetryPolicy* policy = nullptr;  // nullptr: the operation's own
    std::int64_t deadline_at = 0;               // 0: none but the policy's
};

struct NewPayment {
    core::OrderId order_id;
    std::string_view currency;
    std::int64_t amount_minor;
    std::string_view provider = default_provider;
    Jsonb* method = nullptr;
};

// An operation that was begun: the payment afterwards, the operation, its task.
struct Begun {
    Payment payment;
    core::OperationId operation;
    core::TaskId task;
};

// Each locks the payment, checks that the machine allows it, writes the operation, its event and its task. They raise not_found,
// version_conflict, illegal_transition, operation_in_progress, payment_declined, payment_indeterminate, refund_exceeds_captured.
Begun authorize(const NewPayment& payment, const Work& work);
// What the order owes to the payment is as much as can be captured: `owed`. `amount`: nothing = all that is authorized, or what is owed if that is
// less. A delayed capture has no task yet: it is due at `due_at` (timer capture_due, on the payment).
Begun capture(const core::PaymentId& id, std::optional<std::int64_t> amount, std::int64_t owed, std::int64_t due_at,
              const Work& work, std::optional<std::int32_t> expected_version = std::nullopt);
Begun void_payment(const core::PaymentId& id, std::string_view reason, const Work& work,
                   std::optional<std::int32_t> expected_version = std::nullopt);
// `amount`: nothing = the rest. Reserved now, and counted as refunded when the provider has done it.
Begun refund(const core::PaymentId& id, std::optional<std::int64_t> amount, std::string_view reason, const Work& work,
             std::optional<std::int32_t> expected_version = std::nullopt);

// Begins the capture of a payment whose timer is due; nothing when it was voided or captured meanwhile, or when its order owes nothing any more.
// `timer_data` is what the timer kept.
std::optional<Begun> capture_due(const core::PaymentId& id, std::int64_t owed, JsonbContainer* timer_data);

// Writes down that all that the payment holds is back with the customer, by other means than the provider's worker: an authorization is voided, what
// was captured and is not being refunded is refunded. Nobody is asked for it. The payment is settled: nothing of it is under way or unknown.
void return_by_hand(const core::PaymentId& id, std::string_view reason);

// Asks the provider what became of each indeterminate operation of the payment that nobody asks about already; answers how many it began.
int reconcile(const core::PaymentId& id);

enum class Outcome : unsigned char { succeeded, refused, unknown };

// What the payment's order and saga should know of a settled operation.
struct Settled {
    bool open;      // nothing is decided yet: a reconciliation goes on, and will settle it
    bool repeated;  // it was settled before, the same answer came twice; nothing happened now
    bool succeeded;
    std::string_view kind;  // of the operation that is settled: never reconcile
    Payment payment;
    core::OperationId operation;
    core::TaskId task;  // the operation's own, also when a reconciliation's answer settled it
    std::int64_t amount_minor;
    std::int64_t step_id;  // 0: none
    std::string_view reason;
};

// Applies what a closed task says about an operation. `result` is the worker's (may be nullptr): members provider_ref, reason, and for a
// reconciliation outcome ("succeeded", "refused", "unknown"). `error` is what a failed task said. Whoever withdraws an operation's task settles
// the operation too: as refused if nobody ever had the task, as unknown otherwise.
Settled settle(const core::OperationId& operation, Outcome outcome, Jsonb* result, std::string_view error);

// --- questions ---------------------------------------------------------------------------------------------------------

// The order that an operation or a payment belongs to, without a lock: it never changes. Nothing when there is no such row.
std::optional<core::OrderId> order_of(const core::OperationId& operation);
std::optional<core::OrderId> order_of(const core::PaymentId& payment);

// The order's payments as they are now, the oldest first. Under the order's lock no other session changes them.
std::span<const Payment> of_order(const core::OrderId& order);

// What the order's payments come to.
struct Sums {
    int payments = 0;
    // Asked for, authorized or captured, or possibly so, and not declined, voided or refunded: what has to go back before the goods do, and what
    // a further payment leaves room for.
    std::int64_t held_minor = 0;
    // The part of it that the provider has answered for: authorized, or captured and not refunded. What an order can count as paid.
    std::int64_t secured_minor = 0;
    std::int64_t captured_minor = 0;
    std::int64_t refunded_minor = 0;  // done
};
Sums sums_of(const core::OrderId& order);

// What was captured for the order and not refunded, or is being captured; without one payment, if one is named.
std::int64_t taken_of(const core::OrderId& order, const core::PaymentId& without = {});

// The payment as it is now; raises not_found.
Payment current(const core::PaymentId& id);
[[noreturn]] void raise_payment_not_found(const core::PaymentId& id);

std::string_view id_text(const core::OrderId& id);

// --- the answer of the commands ----------------------------------------------------------------------------------------

// One row of oms.payment_state, and the answer as bytes for the idempotency row.
struct State {
    Payment payment;
    core::OperationId operation;  // what the command began; zeros: nothing
};
Datum answer(const pg::Call& call, const State& state, bool replayed);
std::string_view encode(const State& state);
State decode(std::string_view bytes);

pg::Table& table();
pg::Table& operation_table();
pg::Table& refund_table();
pg::Table& ledger_table();

}  // namespace oms::payments
