// Beginning operations: what the machine allows, the amounts, the row, the event, the task.
#include <algorithm>

#include "core/money.hpp"
#include "core/other_machines.hpp"
#include "payments/rows.hpp"
#include "pg/raise.hpp"
#include "pg/transaction.hpp"
#include "timers/timers.hpp"

#include "pg/poison.hpp"

namespace oms::payments {

namespace {

const char* name_of(const Payment& payment) { return id_text(payment.id.value).data(); }

// The statuses that the machine allows next, for a hint.
const char* legal_next(std::string_view from) {
    StringInfoData names;
    initStringInfo(&names);
    for (const core::Edge& edge : core::machines::payment) {
        if (edge.from == from) appendStringInfo(&names, "%s%s", names.len == 0 ? "" : ", ", pg::c_string(edge.to));
    }
    return names.len == 0 ? "Nothing follows this status." : pg::format("What can follow: %s.", names.data);
}

// Refuses an operation that the payment's state does not allow, with the error that a caller can act on.
void require(const Payment& payment, const char* verb, bool allowed) {
    const char* found = pg::format("Its status is %s, its version %d.", pg::c_string(payment.status), payment.version);
    if (payment.status == status::declined) {
        pg::raise(pg::Error::payment_declined,
                  {.message = pg::format("payment %s cannot be %s: it was declined", name_of(payment), verb),
                   .detail = payment.reason.empty() ? "The provider gave no reason."
                                                    : pg::format("The provider said %s.", pg::quoted(payment.reason)),
                   .hint = "Begin another payment with oms.authorize_payment."});
    }
    if (payment.status == status::indeterminate) {
        pg::raise(
            pg::Error::payment_indeterminate,
            {.message = pg::format("payment %s cannot be %s: nobody knows what became of it", name_of(payment), verb),
             .detail = found,
             .hint = "Wait for the reconciliation, or call oms.reconcile_payment."});
    }
    if (payment.busy()) {
        pg::raise(
            pg::Error::operation_in_progress,
            {.message = pg::format("payment %s cannot be %s while another operation has it", name_of(payment), verb),
             .detail = pg::format("Its status is %s, the operation %s.", pg::c_string(payment.status),
                                  id_text(payment.busy_with.value).data()),
             .hint = "Wait until the operation is settled, then decide again."});
    }
    if (allowed) return;
    pg::raise(pg::Error::illegal_transition,
              {.message = pg::format("payment %s cannot be %s while it is %s", name_of(payment), verb,
                                     pg::c_string(payment.status)),
               .detail = found,
               .hint = legal_next(payment.status)});
}

bool may_capture(const Payment& payment) {
    return payment.status == status::authorized || payment.status == status::capture_failed;
}

[[noreturn]] void raise_not_positive(std::int64_t amount) {
    pg::raise(pg::Error::invalid_argument, {.message = "amount_minor must be at least 1",
                                            .detail = pg::format("It is " INT64_FORMAT ".", amount),
                                            .hint = "Leave it out, or pass NULL, for all that there is."});
}

std::int64_t capture_amount(const Payment& payment, std::optional<std::int64_t> amount, std::int64_t owed) {
    if (amount && *amount <= 0) raise_not_positive(*amount);
    const std::int64_t most = std::min(payment.authorized_minor, owed);
    const char* found = pg::format("Authorized is " INT64_FORMAT ", and its order owes " INT64_FORMAT ".",
                                   payment.authorized_minor, std::max<std::int64_t>(owed, 0));
    if (most <= 0) {
        pg::raise(pg::Error::illegal_transition,
                  {.message = pg::format("nothing of payment %s can be captured", name_of(payment)),
                   .detail = found,
                   .hint = "Void it; what the order owes was taken from elsewhere."});
    }
    if (amount.value_or(most) <= most) return amount.value_or(most);
    pg::raise(pg::Error::invalid_argument,
              {.message = pg::format("cannot capture " INT64_FORMAT " of payment %s", *amount, name_of(payment)),
               .detail = found,
               .hint = pg::format("Ask for at most " INT64_FORMAT ".", most)});
}

std::int64_t refund_amount(const Payment& payment, std::optional<std::int64_t> amount) {
    std::int64_t rest = payment.refundable();
    if (amount && *amount <= 0) raise_not_positive(*amount);
    if (rest > 0 && amount.value_or(rest) <= rest) return amount.value_or(rest);
    pg::raise(
        pg::Error::refund_exceeds_captured,
        {.message = pg::format("cannot refund " INT64_FORMAT " of payment %s", amount.value_or(rest), name_of(payment)),
         .detail = pg::format("Captured is " INT64_FORMAT ", refunded " INT64_FORMAT ", being refunded " INT64_FORMAT
                              ", left " INT64_FORMAT ".",
                              payment.captured_minor, payment.refunded_minor, payment.refund_pending_minor, rest),
         .hint = rest > 0 ? pg::format("Ask for at most " INT64_FORMAT ".", rest) : "Nothing is left to refund."});
}

void request_capture(Change& change, std::int64_t amount, const core::OperationId& operation) {
    forget_delay(change);
    change.next.status = status::capture_pending;
    change.next.reason = {};
    change.next.busy_with = operation;
    change.event = "payment.capture_requested";
    change.amount_minor = amount;
    change.operation = operation;
}

// Notes a capture for later: the payment stays as it is, and can still be voided.
void schedule_capture(Change& change, std::int64_t amount, std::int64_t due_at, const Work& work) {
    forget_delay(change);
    change.next.capture_due_at = due_at;
    change.next.capture_due_minor = amount;
    change.event = "payment.capture_scheduled";
    change.amount_minor = amount;
    pg::JsonObject data;
    data.text("payment_id", id_text(change.next.id.value));
    data.text("queue", work.queue);
    data.number("step_id", work.step_id);
    timers::set(timers::Kind::capture_due, core::random_half(change.next.id.value), due_at, data.finish());
}

Begun begin(const Payment& payment, std::string_view operation_kind, const core::OperationId& id, std::int64_t amount,
            const Work& work, std::string_view reason = {}) {
    Operation operation{};
    operation.id = id;
    operation.kind = operation_kind;
    operation.amount_minor = amount;
    operation.reason = reason;
    core::TaskId task = begin_operation(payment, operation, work);
    pg::end_of_command();
    return {payment, id, task};
}

}  // namespace

void forget_delay(Change& change) {
    if (change.next.capture_due_at == 0) return;
    timers::cancel(timers::Kind::capture_due, core::random_half(change.next.id.value));
    change.next.capture_due_at = 0;
    change.next.capture_due_minor = 0;
}

Begun authorize(const NewPayment& created, const Work& work) {
    core::OperationId id = new_operation_id(created.order_id);
    Payment payment = insert(created, {id.value});
    return begin(payment, kind::authorize, id, created.amount_minor, work);
}

std::int64_t taken_of(const core::OrderId& order, const core::PaymentId& without) {
    std::int64_t taken = 0;
    for (const Payment& payment : of_order(order)) {
        if (payment.id == without) continue;
        taken += payment.status == status::capture_pending
                     ? find_operation(payment.busy_with, pg::RowLock::none)->amount_minor
                     : payment.captured_minor - payment.refunded_minor;
    }
    return taken;
}

Begun capture(const core::PaymentId& id, std::optional<std::int64_t> amount, std::int64_t owed, std::int64_t due_at,
              const Work& work, std::optional<std::int32_t> expected_version) {
    core::OperationId operation = new_operation_id(id.value);
    std::int64_t wanted = 0;
    Payment payment = change(id, expected_version, [&](const Payment& before, Change& change) {
        require(before, "captured", may_capture(before));
        wanted = capture_amount(before, amount, owed);
        if (due_at == 0) {
            request_capture(change, wanted, operation);
        } else {
            schedule_capture(change, wanted, due_at, work);
        }
    });
    if (due_at == 0) return begin(payment, kind::capture, operation, wanted, work);
    pg::end_of_command();
    return {payment, {}, {}};
}

std::optional<Begun> capture_due(const core::PaymentId& id, std::int64_t owed, JsonbContainer* timer_data) {
    core::OperationId operation = new_operation_id(id.value);
    std::int64_t wanted = 0;
    Payment payment = change(id, std::nullopt, [&](const Payment& before, Change& change) {
        if (before.capture_due_at == 0 || before.busy() || !may_capture(before)) return;
        wanted = std::min(before.capture_due_minor, owed);
        if (wanted > 0) return request_capture(change, wanted, operation);
        forget_delay(change);
        change.event = "payment.capture_dropped";
        change.reason = "the order owes nothing more";
    });
    if (wanted <= 0) return std::nullopt;
    return begin(payment, kind::capture, operation, wanted,
                 {.queue = pg::text_member(timer_data, "queue"), .step_id = pg::number_member(timer_data, "step_id")});
}

Begun void_payment(const core::PaymentId& id, std::string_view reason, const Work& work,
                   std::optional<std::int32_t> expected_version) {
    core::OperationId operation = new_operation_id(id.value);
    Payment payment = change(id, expected_version, [&](const Payment& before, Change& change) {
        require(before, "voided", may_capture(before));
        forget_delay(change);
        change.next.busy_with = operation;
        change.event = "payment.void_requested";
        change.reason = reason;
        change.amount_minor = before.authorized_minor;
        change.operation = operation;
    });
    return begin(payment, kind::void_it, operation, payment.authorized_minor, work, reason);
}

Begun refund(const core::PaymentId& id, std::optional<std::int64_t> amount, std::string_view reason, const Work& work,
             std::optional<std::int32_t> expected_version) {
    core::OperationId operation = new_operation_id(id.value);
    std::int64_t wanted = 0;
    Payment payment = change(id, expected_version, [&](const Payment& before, Change& change) {
        require(before, "refunded", before.captured_minor > 0);
        wanted = refund_amount(before, amount);
        change.next.refund_pending_minor += wanted;
        change.event = "payment.refund_requested";
        change.reason = reason;
        change.amount_minor = wanted;
        change.operation = operation;
    });
    insert_refund(payment, operation, wanted, reason);
    return begin(payment, kind::refund, operation, wanted, work, reason);
}

}  // namespace oms::payments
