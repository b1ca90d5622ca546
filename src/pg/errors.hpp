// Every error of the extension: one row per thing that a caller can act on. The SQLSTATE class is OM.
//
// The table is the only list: raise() takes its SQLSTATE from it, oms.errors() shows it, docs/errors.md is generated from it.
// A number, once released, keeps its meaning; gaps belong to conditions that commands to come will raise.
#pragma once

#include <array>
#include <string_view>

namespace oms::pg {

enum class Error : unsigned char {
    invalid_argument,
    not_found,
    illegal_transition,
    order_on_hold,
    operation_in_progress,
    version_conflict,
    idempotency_key_required,
    idempotency_key_reused,
    idempotency_in_progress,
    insufficient_stock,
    payment_declined,
    payment_indeterminate,
    refund_exceeds_captured,
    currency_mismatch,
    saga_not_resumable,
    task_lease_lost,
    stream_conflict,
    layout_changed,
    protected_row,
    reader_busy,
    reader_exists,
    primary_required,
    too_many_unconfirmed,
    position_unknown,
    dead_letter_state,
    restore_incomplete,
    standby_unconfirmed,
};

struct ErrorEntry {
    Error error;
    const char* sqlstate;
    const char* name;
    bool retryable;  // the same call may succeed later without a change by the caller
    const char* meaning;
    const char* action;
};

inline constexpr std::array errors{
    ErrorEntry{Error::invalid_argument, "OM001", "invalid_argument", false,
               "An argument is missing, has the wrong form, or lies outside its range.",
               "Correct the argument that the message names; the same call will fail again."},
    ErrorEntry{Error::not_found, "OM002", "not_found", false,
               "The order, payment, saga, task, stream or other thing that the call names does not exist.",
               "Check the id. Under REPEATABLE READ the thing may be newer than the transaction's snapshot."},
    ErrorEntry{Error::illegal_transition, "OM003", "illegal_transition", false,
               "The state of the order, payment, saga or task does not allow this.",
               "Read it again; the hint says what is legal now, or what to do first."},
    ErrorEntry{Error::order_on_hold, "OM004", "order_on_hold", false,
               "The order is on hold and the action is one that a hold blocks.",
               "Call oms.release_hold first, or cancel the order."},
    ErrorEntry{Error::operation_in_progress, "OM005", "operation_in_progress", true,
               "Another operation has the order, payment or saga in its hands.",
               "Wait until it has ended (an order's pending_action, a payment's operation_id is empty), then decide "
               "again. Commands on an order can be queued with oms.queue_command."},
    ErrorEntry{Error::version_conflict, "OM006", "version_conflict", false,
               "expected_version is not the row's current version: somebody else changed it.",
               "Read the row again, decide again, and pass the new version."},
    ErrorEntry{Error::idempotency_key_required, "OM007", "idempotency_key_required", false,
               "A command was called without an idempotency key.",
               "Pass a key of 1 to 255 bytes that is unique to this request."},
    ErrorEntry{Error::idempotency_key_reused, "OM008", "idempotency_key_reused", false,
               "The idempotency key belongs to another request.", "Use a new key for a new request."},
    ErrorEntry{Error::idempotency_in_progress, "OM009", "idempotency_in_progress", true,
               "A call with the same key is still running, and oms.idempotency_wait is off.",
               "Repeat the call with the same key a little later."},
    ErrorEntry{Error::insufficient_stock, "OM010", "insufficient_stock", true,
               "There is less of an item available than the call needs.",
               "The detail names each short item with what was asked for and what is available; reduce, wait for more, "
               "or cancel."},
    ErrorEntry{Error::payment_declined, "OM011", "payment_declined", false, "The provider has declined the payment.",
               "Ask the customer for another means of payment, and begin another payment."},
    ErrorEntry{Error::payment_indeterminate, "OM012", "payment_indeterminate", true,
               "Nobody knows yet what became of the payment at the provider.",
               "Wait for the reconciliation, or call oms.reconcile_payment; never take it for a failure."},
    ErrorEntry{Error::refund_exceeds_captured, "OM013", "refund_exceeds_captured", false,
               "The refund is larger than what was paid and not yet refunded.",
               "Ask for at most the amount that the detail names."},
    ErrorEntry{Error::currency_mismatch, "OM014", "currency_mismatch", false, "One order would mix two currencies.",
               "Give all prices in the order's currency, or make two orders."},
    ErrorEntry{
        Error::saga_not_resumable, "OM021", "saga_not_resumable", false,
        "The saga is not parked, or what was done by hand cannot be recorded yet.",
        "Look at oms.saga_status; only a parked saga waits for somebody to resume it. The detail says what is open."},
    ErrorEntry{
        Error::task_lease_lost, "OM022", "task_lease_lost", false,
        "The lease that the call names is over: it ended, the task was answered in another way, or it was withdrawn.",
        "Drop the work, or make it harmless; what counts is the answer that was given under a valid lease."},
    ErrorEntry{Error::stream_conflict, "OM023", "stream_conflict", false,
               "The stream's version is not the expected one: somebody else appended.",
               "Read the stream from the version that the detail names, decide again, and append."},
    ErrorEntry{Error::layout_changed, "OM026", "layout_changed", false,
               "A table of the extension no longer has the columns that this library writes.",
               "Run ALTER EXTENSION oms UPDATE, or undo the change to the table."},
    ErrorEntry{Error::protected_row, "OM027", "protected_row", false,
               "The change would alter what the extension guarantees: a built-in rule or the event log.",
               "Add rows of your own instead; the log only grows."},
    ErrorEntry{Error::reader_busy, "OM028", "reader_busy", true, "Another session or transaction owns the reader.",
               "Wait until it detaches the reader or ends, then read again; one session reads at a time."},
    ErrorEntry{Error::reader_exists, "OM029", "reader_exists", false,
               "There is a reader of this name with other topics or another start.",
               "Use another name, or drop the reader first; its position goes with it."},
    ErrorEntry{Error::primary_required, "OM030", "primary_required", false,
               "Reading the log through a reader moves its position, which a standby cannot store.",
               "Connect to the primary; queries such as oms.list_events work on a standby."},
    ErrorEntry{Error::too_many_unconfirmed, "OM031", "too_many_unconfirmed", true,
               "The session has read so many events ahead that it remembers no more.",
               "Confirm what has been dealt with through oms.commit_reader, then read on."},
    ErrorEntry{Error::position_unknown, "OM032", "position_unknown", false,
               "The event is not among those that this session or transaction has read and not confirmed.",
               "Pass the id of an event that was read here, or NULL for everything that was read."},
    ErrorEntry{Error::dead_letter_state, "OM033", "dead_letter_state", false,
               "The dead letter, or the attempt to replay it, is not in a state that allows this.",
               "Look at it with oms.dlq_list; the detail names its state."},
    ErrorEntry{Error::restore_incomplete, "OM034", "restore_incomplete", true,
               "The data was restored but the sequence of event ids was not, or not yet.",
               "Wait for the restore to end; if it has, set oms.event_id_seq above the highest event id."},
    ErrorEntry{Error::standby_unconfirmed, "OM035", "standby_unconfirmed", true,
               "The wait for the synchronous standby, which oms.publish_after asks for, was canceled.",
               "Read again; nothing was handed out."},
};

constexpr const ErrorEntry& entry_of(Error error) {
    for (const ErrorEntry& entry : errors) {
        if (entry.error == error) return entry;
    }
    return errors[0];
}

}  // namespace oms::pg
