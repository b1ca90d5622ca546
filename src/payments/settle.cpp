// Settling operations: what a closed task says is applied once. What nobody knows is asked about until somebody does.
#include "payments/rows.hpp"
#include "pg/plan.hpp"
#include "pg/raise.hpp"
#include "pg/settings.hpp"
#include "pg/transaction.hpp"

#include "pg/poison.hpp"

namespace oms::payments {

namespace {

// A provider that answers "I do not know yet" is asked again after this long.
constexpr std::int64_t ask_again_after_us = 60 * USECS_PER_SEC;

struct News {
    Outcome outcome;
    Jsonb* result;
    std::string_view reason;
};

std::string_view text_of(Jsonb* result, std::string_view name) {
    if (result == nullptr || pg::kind_of(result) != pg::JsonKind::object) return {};
    return pg::text_member(&result->root, name);
}

// A worker's words go into rows that are read at every change.
constexpr std::size_t reason_bytes_max = 1'000;
std::string_view shortened(std::string_view text) {
    return text.size() <= reason_bytes_max ? text : std::string_view{pg::quoted(text)};
}

void apply_authorize(Change& change, const Operation& operation, const News& news) {
    if (news.outcome == Outcome::succeeded) {
        change.next.status = status::authorized;
        change.next.authorized_minor = operation.amount_minor;
        change.event = "payment.authorized";
    } else if (news.outcome == Outcome::refused) {
        change.next.status = status::declined;
        change.event = "payment.declined";
    } else {
        change.next.status = status::indeterminate;
    }
}

void apply_capture(Change& change, const Operation& operation, const News& news) {
    if (news.outcome == Outcome::succeeded) {
        change.next.status = status::captured;
        change.next.captured_minor = operation.amount_minor;
        change.event = "payment.captured";
    } else if (news.outcome == Outcome::refused) {
        change.next.status = status::capture_failed;
        change.event = "payment.capture_failed";
    }
}

void apply_void(Change& change, const News& news) {
    if (news.outcome == Outcome::succeeded) {
        change.next.status = status::voided;
        change.event = "payment.voided";
    } else if (news.outcome == Outcome::refused) {
        change.event = "payment.void_failed";
    }
}

void apply_refund(Change& change, const Operation& operation, const News& news) {
    if (news.outcome == Outcome::unknown) return;  // its amount stays reserved
    Payment& next = change.next;
    next.refund_pending_minor -= operation.amount_minor;
    if (news.outcome == Outcome::refused) {
        change.event = "payment.refund_failed";
        return;
    }
    next.refunded_minor += operation.amount_minor;
    next.status = next.refunded_minor == next.captured_minor ? status::refunded : status::partially_refunded;
    change.event = "payment.refunded";
}

void apply(Change& change, const Operation& operation, const News& news) {
    if (operation.kind == kind::authorize) {
        apply_authorize(change, operation, news);
    } else if (operation.kind == kind::capture) {
        apply_capture(change, operation, news);
    } else if (operation.kind == kind::void_it) {
        apply_void(change, news);
    } else {
        apply_refund(change, operation, news);
    }
    if (news.outcome == Outcome::unknown) {
        change.event = "payment.indeterminate";
    } else if (change.next.busy_with == operation.id) {
        change.next.busy_with = {};
    }
    // What was done is explained by whoever asked for it, what was not by the provider.
    const bool done = news.outcome == Outcome::succeeded;
    change.reason = done && news.reason.empty() ? operation.reason : news.reason;
    const bool is_void = operation.kind == kind::void_it;
    change.next.reason = done && !is_void ? std::string_view{} : change.reason;
    change.amount_minor = operation.amount_minor;
    change.operation = operation.id;
    std::string_view ref = text_of(news.result, "provider_ref");
    if (operation.kind == kind::authorize && !ref.empty()) change.next.provider_ref = shortened(ref);
}

// What of the books goes with it, beside the payment's row.
void write_books(const Operation& operation, const Payment& payment, const News& news) {
    if (news.outcome == Outcome::unknown) return;
    bool done = news.outcome == Outcome::succeeded;
    if (operation.kind == kind::refund) close_refund(operation.id, done);
    if (!done) return;
    if (operation.kind == kind::capture) {
        record_movement(payment, operation.id, Movement::captured, operation.amount_minor);
    } else if (operation.kind == kind::refund) {
        record_movement(payment, operation.id, Movement::refunded, operation.amount_minor);
    }
}

// Asks the provider what became of an operation.
void ask(const Payment& payment, const Operation& about, std::int64_t run_at) {
    Operation question{};
    question.id = new_operation_id(payment.order_id);
    question.kind = kind::reconcile;
    question.amount_minor = about.amount_minor;
    question.reconciles = about.id;
    begin_operation(payment, question, {.queue = about.queue, .step_id = about.step_id}, run_at);
}

std::string_view status_after(Outcome outcome) {
    switch (outcome) {
    case Outcome::succeeded: return operation_status::succeeded;
    case Outcome::refused: return operation_status::failed;
    case Outcome::unknown: break;
    }
    return operation_status::indeterminate;
}

bool is_closed(const Operation& operation) {
    return operation.status == operation_status::succeeded || operation.status == operation_status::failed;
}

Settled settle_operation(const Operation& named, const News& news) {
    Settled settled{.open = news.outcome == Outcome::unknown,
                    .repeated = false,
                    .succeeded = news.outcome == Outcome::succeeded,
                    .kind = named.kind,
                    .payment = {},
                    .operation = named.id,
                    .task = named.task,
                    .amount_minor = named.amount_minor,
                    .step_id = named.step_id,
                    .reason = news.reason};
    settled.payment = change(named.payment_id, std::nullopt, [&](const Payment&, Change& change) {
        // Read again under the payment's lock: whoever settles one operation twice meets here.
        std::optional<Operation> operation = find_operation(named.id, pg::RowLock::for_update);
        if (is_closed(*operation)) {
            settled.repeated = true;
            settled.open = false;
            settled.succeeded = operation->status == operation_status::succeeded;
        } else if (settled.open && operation->status == operation_status::indeterminate) {
            settled.repeated = true;
        } else {
            apply(change, *operation, news);
            settled.reason = change.reason;
        }
    });
    if (settled.repeated) return settled;
    close_operation(named.id, {.status = status_after(news.outcome), .error = news.reason, .result = news.result});
    write_books(named, settled.payment, news);
    if (settled.open) ask(settled.payment, named, 0);
    pg::end_of_command();
    return settled;
}

[[noreturn]] void raise_operation_not_found(const core::OperationId& id) {
    pg::raise(pg::Error::not_found,
              {.message = pg::format("payment operation %s does not exist", id_text(id.value).data()),
               .detail = "oms.payment_operation has no such row.",
               .hint = "oms.get_payment shows the operations of a payment."});
}

Outcome outcome_named(std::string_view name) {
    if (name == "succeeded") return Outcome::succeeded;
    if (name == "refused") return Outcome::refused;
    return Outcome::unknown;
}

// An answer to a question: settles what was asked about. An operation that was settled meanwhile, by a late answer of its own, stays as it is.
Settled settle_question(const Operation& question, Outcome outcome, const News& news) {
    Outcome found = outcome == Outcome::succeeded ? outcome_named(text_of(news.result, "outcome")) : Outcome::unknown;
    bool asked_in_vain = outcome != Outcome::succeeded;
    std::optional<Operation> about = find_operation(question.reconciles, pg::RowLock::none);
    Settled settled = settle_operation(*about, {.outcome = found, .result = news.result, .reason = news.reason});
    std::optional<Operation> current = find_operation(question.id, pg::RowLock::for_update);
    if (is_closed(*current)) return settled;
    close_operation(question.id, {.status = asked_in_vain ? operation_status::failed : operation_status::succeeded,
                                  .error = news.reason,
                                  .result = news.result});
    // A provider that could not even be asked has used up its attempts: what is open then is a matter for an operator, and is listed as such.
    if (settled.open && !asked_in_vain) ask(settled.payment, *about, pg::now_us() + ask_again_after_us);
    pg::end_of_command();
    return settled;
}

constinit pg::Plan select_unasked{
    "SELECT o.operation_id FROM oms.payment_operation o WHERE o.payment_id = $1 AND o.created_at = $2 AND o.status = "
    "'indeterminate' "
    "AND NOT EXISTS (SELECT FROM oms.payment_operation q WHERE q.payment_id = o.payment_id AND q.created_at = "
    "o.created_at "
    "AND q.reconciles = o.operation_id AND q.status = 'pending') ORDER BY o.requested_at, o.operation_id",
    {UUIDOID, TIMESTAMPTZOID},
    pg::Planned::by_index};

}  // namespace

Settled settle(const core::OperationId& id, Outcome outcome, Jsonb* result, std::string_view error) {
    std::optional<Operation> operation = find_operation(id, pg::RowLock::none);
    if (!operation) raise_operation_not_found(id);
    std::string_view said = text_of(result, "reason");
    News news{outcome, result, shortened(said.empty() ? error : said)};
    if (operation->kind == kind::reconcile) return settle_question(*operation, outcome, news);
    return settle_operation(*operation, news);
}

int reconcile(const core::PaymentId& id) {
    int questions = 0;
    change(id, std::nullopt, [&](const Payment& payment, Change&) {
        pg::Result rows = select_unasked.run(pg::Access::writes,
                                             {{pg::uuid_datum(id.value)}, {TimestampTzGetDatum(birth_of(id.value))}});
        for (std::size_t i = 0; i < rows.rows.size(); ++i) {
            core::OperationId about;
            std::memcpy(about.value.bytes.data(), DatumGetUUIDP(rows.value(i, 0))->data, about.value.bytes.size());
            ask(payment, *find_operation(about, pg::RowLock::none), 0);
            ++questions;
        }
    });
    pg::end_of_command();
    return questions;
}

}  // namespace oms::payments
