// oms.queue_command: a command that waits until its order is free, instead of being refused; and oms.cancel_queued_command.
//
// The command itself says whether the order is free for it, so it is tried first, under its own key. One that other commands wait in front of is not:
// they were asked for before.
#include "api/queueable.hpp"
#include "api/queued_commands.hpp"
#include "api/request.hpp"
#include "pg/function.hpp"
#include "pg/memory.hpp"
#include "pg/raise.hpp"
#include "pg/settings.hpp"
#include "pg/subtransaction.hpp"

#include "pg/poison.hpp"

namespace oms::api {
namespace {

// An order is busy for days at most; what waits longer has been forgotten.
constexpr std::int64_t longest_us = 366 * USECS_PER_DAY;

std::int64_t patience_us(const pg::Call& call, int position) {
    const std::int64_t after = call.interval_us(position).value_or(USECS_PER_DAY);
    if (after > 0 && after <= longest_us) return after;
    pg::raise(pg::Error::invalid_argument, {.message = "give_up_after must be positive and at most a year",
                                            .detail = pg::format("It is " INT64_FORMAT " microseconds.", after),
                                            .hint = "Leave it out for a day."});
}

// One row of oms.queued_state.
Datum answer(const pg::Call& call, const commands::Command& command, bool replayed) {
    const bool queued = command.id != 0;
    auto text = [](std::string_view view) { return view.empty() ? Datum{0} : pg::text_datum(view); };
    const Datum values[] = {Int64GetDatum(command.id),
                            pg::uuid_datum(command.order),
                            pg::text_datum(command.name),
                            pg::text_datum(command.status),
                            TimestampTzGetDatum(command.asked_at),
                            TimestampTzGetDatum(command.give_up_at),
                            text(command.error_code),
                            text(command.error),
                            pg::jsonb_datum(command.answer),
                            BoolGetDatum(replayed)};
    const bool nulls[] = {!queued,
                          false,
                          false,
                          false,
                          !queued,
                          !queued,
                          command.error_code.empty(),
                          command.error.empty(),
                          command.answer == nullptr,
                          false};
    return pg::composite_result(call, values, nulls);
}

Datum answer(const pg::Call& call, const CommandCall& wanted, const Answer& given) {
    commands::Command command{};
    command.order = wanted.order;
    command.name = wanted.command;
    command.status = commands::status::done;
    command.answer = given.row;
    return answer(call, command, given.replayed);
}

void require_same(const commands::Command& queued, const CommandCall& wanted) {
    const bool same = queued.order == wanted.order && queued.name == wanted.command &&
                      pg::stored_bytes(queued.arguments) == pg::stored_bytes(wanted.arguments);
    if (same) return;
    pg::raise(pg::Error::idempotency_key_reused,
              {.message = pg::format("idempotency key %s was used for another request", pg::quoted(wanted.key)),
               .detail = pg::format("It belongs to queued command " INT64_FORMAT ", a call of %s with other arguments.",
                                    queued.id, pg::c_string(queued.name)),
               .hint = "Use a new key for a new request; repeat a request with exactly its first arguments."});
}

// Nothing: the order is busy, or others are first.
std::optional<Answer> try_now(const orders::Order& order, const CommandCall& wanted) {
    const bool busy = !order.pending_action.empty();
    if (!busy && !commands::waiting_for(order.id, 1).empty()) return std::nullopt;
    Answer given{};
    std::optional<pg::Failure> failure = pg::attempt([&] { given = carry_out(wanted, pg::current_role()); });
    if (!failure) return given;
    // What is busy in an order that is free, such as a payment, tells nobody when it is free.
    if (busy && failure->sqlstate == pg::entry_of(pg::Error::operation_in_progress).sqlstate) return std::nullopt;
    pg::raise_again(*failure);
}

struct Queueing {
    commands::Command command;
    bool replayed;
};

// While it waits its key is this request's, for direct calls as well.
Queueing queue(const orders::Order& order, const CommandCall& wanted, const idempotency::Ticket& request,
               std::int64_t patience) {
    std::optional<commands::Command> added =
        commands::add({wanted.order, wanted.command, wanted.key, wanted.arguments, patience});
    if (added) {
        idempotency::reserve(request);
        say_queued(*added);
        if (order.pending_action.empty()) commands::look_soon(order.id);
        return {*added, false};
    }
    // Somebody queued something under this key for another order in the meantime.
    std::optional<commands::Command> other = commands::with_key(wanted.key);
    if (!other) pg::raise_serialization_failure("could not serialize access: the queued command was just removed");
    require_same(*other, wanted);
    return {*other, true};
}

[[noreturn]] void raise_not_found(std::int64_t id) {
    pg::raise(pg::Error::not_found, {.message = pg::format("queued command " INT64_FORMAT " does not exist", id),
                                     .detail = "No row of oms.queued_command has this id.",
                                     .hint = "Check the id; it is in the answer of oms.queue_command."});
}

}  // namespace

OMS_FUNCTION(oms_queue_command) {
    enum : int { order_id, command, arguments, idempotency_key, give_up_after };
    pg::Call call{fcinfo};
    CommandCall wanted{.command = call.required_text(command, "command"),
                       .order = call.required_uuid(order_id, "order_id"),
                       .key = {},
                       .arguments = call.is_null(arguments) ? pg::JsonObject{}.finish() : call.jsonb(arguments)};
    require_queueable(wanted.command, wanted.arguments);
    const std::int64_t patience = patience_us(call, give_up_after);
    const idempotency::Ticket ticket = idempotency::hold(call.text(idempotency_key));
    wanted.key = ticket.key;
    const orders::Order order = orders::lock(wanted.order);
    Datum result;
    if (std::optional<commands::Command> before = commands::with_key(wanted.key)) {
        require_same(*before, wanted);
        result = answer(call, *before, true);
    } else if (std::optional<Answer> given = try_now(order, wanted)) {
        result = answer(call, wanted, *given);
    } else {
        Answer answered{};
        const auto request = idempotency::ask(ticket, [&] { answered = carry_out(wanted, pg::current_role()); });
        if (request) {
            const Queueing queued = queue(order, wanted, *request, patience);
            result = answer(call, queued.command, queued.replayed);
        } else {
            result = answer(call, wanted, answered);
        }
    }
    idempotency::let_go(ticket);
    return result;
}

OMS_FUNCTION(oms_cancel_queued_command) {
    enum : int { command_id, reason };
    pg::Call call{fcinfo};
    std::int64_t id = call.bigint(command_id).value_or(0);
    std::string_view why = required_bounded_text(call, reason, "reason", reason_bytes_max);
    pg::refuse_on_standby();
    std::optional<commands::Command> found = commands::with_id(id);
    if (!found) raise_not_found(id);
    const orders::Order order = orders::lock(found->order);
    found = commands::with_id(id);
    if (!found) raise_not_found(id);
    if (found->status != commands::status::waiting) return answer(call, *found, true);
    const commands::Command closed = commands::close(*found, {.status = commands::status::canceled, .error = why});
    say_refused(closed, why);
    // It may have been the one that the others waited for.
    if (order.pending_action.empty()) commands::order_is_free(order.id);
    return answer(call, closed, false);
}

}  // namespace oms::api
