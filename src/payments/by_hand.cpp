// Money that went back by other means than the provider's worker: in cash, by a transfer, in the provider's console. It is written down like what
// the provider did, so that the machine, the refunds and the ledger agree, and nobody asks for the same money again.
#include "payments/rows.hpp"
#include "pg/raise.hpp"
#include "pg/transaction.hpp"

#include "pg/poison.hpp"

namespace oms::payments {

namespace {

Jsonb* says_by_hand() {
    pg::JsonObject json;
    json.boolean("by_hand", true);
    return json.finish();
}

void apply(const Payment& before, Change& change) {
    if (before.captured_minor == 0) {
        forget_delay(change);
        change.next.status = status::voided;
        change.event = "payment.voided";
        change.amount_minor = before.authorized_minor;
    } else {
        change.amount_minor = before.refundable();
        change.next.refunded_minor = before.captured_minor;
        change.next.status = status::refunded;
        change.event = "payment.refunded";
    }
}

[[noreturn]] void raise_unsettled(const Payment& payment) {
    pg::raise(pg::Error::operation_in_progress,
              {.message = pg::format("payment %s cannot be returned by hand while the provider is asked about it",
                                     id_text(payment.id.value).data()),
               .detail = pg::format("Its status is %s, being refunded " INT64_FORMAT ".", pg::c_string(payment.status),
                                    payment.refund_pending_minor),
               .hint = "Wait for the answer, or call oms.reconcile_payment."});
}

}  // namespace

void return_by_hand(const core::PaymentId& id, std::string_view reason) {
    core::OperationId operation = new_operation_id(id.value);
    std::int64_t amount = 0;
    Payment payment = change(id, std::nullopt, [&](const Payment& before, Change& change) {
        if (!before.settled()) raise_unsettled(before);
        apply(before, change);
        change.by_hand = true;
        change.next.reason = change.reason = reason;
        change.operation = operation;
        amount = change.amount_minor;
    });
    Operation written{};
    written.id = operation;
    written.kind = payment.captured_minor == 0 ? kind::void_it : kind::refund;
    written.amount_minor = amount;
    written.reason = reason;
    write_operation(payment, written);
    if (payment.captured_minor > 0) insert_refund(payment, operation, amount, reason);
    pg::end_of_command();
    close_operation(operation, {.status = operation_status::succeeded, .error = {}, .result = says_by_hand()});
    if (payment.captured_minor > 0) {
        close_refund(operation, true);
        record_movement(payment, operation, Movement::by_hand, amount);
    }
    pg::end_of_command();
}

}  // namespace oms::payments
