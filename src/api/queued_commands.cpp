// What the clock does with queued commands.
#include "api/queued_commands.hpp"

#include <algorithm>
#include <array>

#include "api/queueable.hpp"
#include "pg/memory.hpp"
#include "pg/raise.hpp"
#include "pg/settings.hpp"
#include "pg/subtransaction.hpp"
#include "pg/transaction.hpp"

#include "pg/poison.hpp"

namespace oms::api {
namespace {

// So many in one transaction; the others follow in the next.
constexpr int commands_max = 100;

constexpr std::string_view busy = pg::entry_of(pg::Error::operation_in_progress).sqlstate;

// What says nothing about the command: conflicts, a lack of resources, locks, and what is somebody else's just now.
bool may_pass(std::string_view sqlstate) {
    constexpr std::array classes{"40", "53", "55"};
    constexpr std::array ours{pg::Error::operation_in_progress, pg::Error::idempotency_in_progress,
                              pg::Error::payment_indeterminate};
    return std::ranges::any_of(classes, [&](const char* each) { return sqlstate.starts_with(each); }) ||
           std::ranges::any_of(ours, [&](pg::Error each) { return sqlstate == pg::entry_of(each).sqlstate; });
}

const char* header(const commands::Command& command, std::string_view name) {
    return pg::c_string(pg::text_member(&command.headers->root, name));
}

// The events are those of whoever asked. Nobody is waited for under his key: a twin that is running may wait for this very order.
template <class Fn>
void in_the_session_of(const commands::Command& command, Fn&& fn) {
    const std::array settings{pg::Setting{"oms.actor", header(command, "actor")},
                              pg::Setting{"oms.correlation_id", header(command, "correlation_id")},
                              pg::Setting{"oms.causation_id", header(command, "causation_id")},
                              pg::Setting{"oms.traceparent", header(command, "traceparent")},
                              pg::Setting{"oms.idempotency_wait", "off"}};
    pg::with_settings(settings, fn);
}

void say(const commands::Command& command, std::string_view type, std::string_view reason) {
    pg::JsonObject json;
    json.number("command_id", command.id);
    json.text("command", command.name);
    json.text("status", command.status);
    json.time("give_up_at", command.give_up_at);
    if (!command.error_code.empty()) json.text("error_code", command.error_code);
    Jsonb* payload = json.finish();
    orders::change(command.order, std::nullopt, [&](const orders::Order&, orders::Change& change) {
        change.say({.type = type, .reason = reason, .payload = payload});
    });
    pg::end_of_command();
}

void refuse(const commands::Command& command, const commands::Ending& ending) {
    commands::Command closed = commands::close(command, ending);
    in_the_session_of(command, [&] { say_refused(closed, ending.error); });
}

void give_up(const commands::Command& command, const orders::Order& order) {
    const char* why = !command.error.empty() ? pg::c_string(command.error)
                      : order.pending_action.empty()
                          ? "nobody carried it out"
                          : pg::format("the order's pending_action is %s", pg::c_string(order.pending_action));
    const bool unsaid = command.error_code.empty() && !order.pending_action.empty();
    refuse(command, {.status = commands::status::expired,
                     .error_code = unsaid ? busy : command.error_code,
                     .error = pg::format("its time was up: %s", why)});
}

// False: it stays in the queue, and those behind it, too.
bool carry_out_queued(const commands::Command& command) {
    Answer answer{};
    std::optional<pg::Failure> failure = pg::attempt(
        [&] {
            in_the_session_of(command, [&] {
                answer = carry_out({command.name, command.order, command.key, command.arguments}, command.asked_by);
            });
        },
        pg::Conflicts::become_data);
    pg::end_of_command();
    if (!failure) {
        commands::close(command, {.status = commands::status::done, .answer = answer.row});
        return true;
    }
    if (may_pass(failure->sqlstate)) {
        commands::put_off(command, failure->sqlstate, failure->message);
        return false;
    }
    refuse(command, {.status = commands::status::refused, .error_code = failure->sqlstate, .error = failure->message});
    return true;
}

}  // namespace

void say_queued(const commands::Command& command) { say(command, "order.command_queued", {}); }

void say_refused(const commands::Command& command, std::string_view reason) {
    say(command, "order.command_refused", reason);
}

std::optional<core::OrderId> order_of_queued(Jsonb* timer_data) {
    core::OrderId id;
    const bool named = core::parse_uuid(pg::text_member(&timer_data->root, "order_id"), id);
    return named ? std::optional{id} : std::nullopt;
}

void look_at_queued(Jsonb* timer_data) {
    const std::optional<core::OrderId> named = order_of_queued(timer_data);
    if (!named) return;
    const core::OrderId id = *named;
    orders::Order order = orders::lock(id);
    std::span<const commands::Command> overdue = commands::overdue_for(id, commands_max);
    for (const commands::Command& command : overdue) give_up(command, order);
    std::span<const commands::Command> waiting{};
    if (order.pending_action.empty()) waiting = commands::waiting_for(id, commands_max);
    for (const commands::Command& command : waiting) {
        CHECK_FOR_INTERRUPTS();
        if (!order.pending_action.empty() || !carry_out_queued(command)) return;
        pg::end_of_command();
        order = orders::lock(id);
    }
    if (overdue.size() == commands_max || waiting.size() == commands_max) commands::look_soon(id);
}

}  // namespace oms::api
