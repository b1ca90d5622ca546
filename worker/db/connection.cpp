#include "db/connection.hpp"

#include <poll.h>

#include <array>
#include <chrono>
#include <map>
#include <vector>

#include "runtime/log.hpp"
#include "runtime/waiter.hpp"

namespace oms::db {
namespace {

using namespace std::chrono_literals;
using runtime::Clock;

// Generous: only a server or a network that hangs takes so long, every statement here is short.
constexpr Clock::duration statement_timeout = 60s;

// A server's notice, when it is one that somebody should see. libpq calls this from inside its own
// functions, so nothing may be thrown through it.
void notice(void*, const PGresult* result) noexcept {
    try {
        const char* text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
        if (text != nullptr) log::debug("notice from the database", {{"notice", text}});
    } catch (...) {
        // A notice that cannot be logged is not worth a session.
    }
}

/// The connection's parameters: what was given, and defaults for what was not.
std::map<std::string, std::string> parameters_of(const Target& target) {
    std::map<std::string, std::string> parameters = {
        {"application_name", target.application_name},
        {"connect_timeout", std::to_string(target.connect_timeout_s)},
        // A worker needs the primary: with several hosts it follows it.
        {"target_session_attrs", "read-write"},
        // A peer that vanished without a word is noticed within half a minute.
        {"keepalives_idle", "10"},
        {"keepalives_interval", "5"},
        {"keepalives_count", "3"},
        {"tcp_user_timeout", "30000"},
    };
    char* problem = nullptr;
    const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> given(
        PQconninfoParse(target.conninfo.c_str(), &problem), &PQconninfoFree);
    const std::unique_ptr<char, decltype(&PQfreemem)> owned(problem, &PQfreemem);
    if (!given)
        throw Error("the database connection string is not valid: " + std::string(problem ? problem : "out of memory"),
                    "", Error::Session::lost, false);
    for (const PQconninfoOption* option = given.get(); option->keyword != nullptr; ++option)
        if (option->val != nullptr) parameters[option->keyword] = option->val;
    if (!target.password.empty()) parameters["password"] = target.password;
    return parameters;
}

std::string trimmed(const char* text) {
    std::string trimmed(text ? text : "");
    while (!trimmed.empty() && trimmed.back() == '\n') trimmed.pop_back();
    return trimmed;
}

}  // namespace

Connection::Connection(const Target& target) {
    const auto parameters = parameters_of(target);
    std::vector<const char*> keywords;
    std::vector<const char*> values;
    for (const auto& [keyword, value] : parameters) {
        keywords.push_back(keyword.c_str());
        values.push_back(value.c_str());
    }
    keywords.push_back(nullptr);
    values.push_back(nullptr);
    // The blocking form: only it honours connect_timeout host by host.
    handle_.reset(PQconnectdbParams(keywords.data(), values.data(), 0));
    if (!handle_) throw std::bad_alloc();
    if (PQstatus(handle_.get()) != CONNECTION_OK) fail("cannot connect", nullptr, false);
    PQsetNoticeReceiver(handle_.get(), &notice, nullptr);
    if (PQsetnonblocking(handle_.get(), 1) != 0) fail("cannot connect", nullptr, false);
}

std::string Connection::peer() const {
    const char* host = PQhost(handle_.get());
    const char* port = PQport(handle_.get());
    return std::string(host ? host : "") + ":" + (port ? port : "");
}

Result Connection::run(const Statement& statement, Arguments arguments) {
    start(statement, arguments);
    return finish();
}

Result Connection::run_unless(const runtime::Stop& stop, const Statement& statement, Arguments arguments) {
    start(statement, arguments);
    return finish(&stop);
}

Result Connection::run_text(const char* sql) {
    if (PQsendQuery(handle_.get(), sql) != 1) fail("cannot send", nullptr, false);
    return finish();
}

void Connection::prepare(const Statement& statement) {
    if (prepared_.contains(statement.name)) return;
    if (PQsendPrepare(handle_.get(), statement.name, statement.sql, 0, nullptr) != 1)
        fail(statement.name, nullptr, false);
    finish();
    prepared_.insert(statement.name);
}

void Connection::start(const Statement& statement, Arguments arguments) {
    prepare(statement);
    std::vector<const char*> values;
    values.reserve(arguments.size());
    for (const auto& argument : arguments) values.push_back(argument.text());
    if (PQsendQueryPrepared(handle_.get(), statement.name, static_cast<int>(values.size()), values.data(), nullptr,
                            nullptr, 0) != 1)
        fail(statement.name, nullptr, false);
}

void Connection::wait_for_socket(short events, Clock::time_point deadline, const runtime::Stop* stop) {
    std::array<pollfd, 2> fds = {pollfd{socket(), events, 0}, pollfd{stop ? stop->fd() : -1, POLLIN, 0}};
    const auto left = deadline - runtime::SteadyClock().now();
    if (left <= Clock::duration::zero())
        throw Error("the database did not answer in time", "", Error::Session::lost, true);
    runtime::poll_for(fds, left);
    if ((fds[1].revents & POLLIN) != 0) {
        cancel();
        throw Interrupted("the worker is to stop");
    }
}

void Connection::flush(Clock::time_point deadline) {
    for (;;) {
        const int rest = PQflush(handle_.get());
        if (rest == 0) return;
        if (rest < 0) fail("cannot send", nullptr, true);
        wait_for_socket(POLLIN | POLLOUT, deadline);
        // The server may be waiting for us to read before it reads on.
        if (PQconsumeInput(handle_.get()) != 1) fail("cannot receive", nullptr, true);
    }
}

Result Connection::finish(const runtime::Stop* stop) {
    const auto deadline = runtime::SteadyClock().now() + statement_timeout;
    flush(deadline);
    ResultHandle last;
    for (;;) {
        while (PQisBusy(handle_.get()) != 0) {
            wait_for_socket(POLLIN, deadline, stop);
            // A server that ends a session says why before it hangs up: the reason may lie unread.
            if (PQconsumeInput(handle_.get()) != 1) break;
        }
        ResultHandle next(PQgetResult(handle_.get()));
        if (!next) break;
        // The first error counts: what follows it in the same text was not run.
        const auto before = last ? PQresultStatus(last.get()) : PGRES_TUPLES_OK;
        if (before == PGRES_TUPLES_OK || before == PGRES_COMMAND_OK) last = std::move(next);
    }
    if (!last) fail("the session ended", nullptr, true);
    const auto status = PQresultStatus(last.get());
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
        fail("the database refused a statement", last.get(), true);
    return Result(std::move(last));
}

bool Connection::take_notification() {
    if (PQconsumeInput(handle_.get()) != 1) fail("cannot receive", nullptr, false);
    bool any = false;
    while (PGnotify* notify = PQnotifies(handle_.get())) {
        PQfreemem(notify);
        any = true;
    }
    return any;
}

void Connection::cancel() noexcept {
    std::array<char, 256> error{};
    if (PGcancel* request = PQgetCancel(handle_.get())) {
        PQcancel(request, error.data(), static_cast<int>(error.size()));
        PQfreeCancel(request);
    }
}

void Connection::fail(const char* doing, const PGresult* result, bool sent) {
    const auto field = [result](int code) {
        const char* text = result ? PQresultErrorField(result, code) : nullptr;
        return std::string(text ? text : "");
    };
    std::string message = field(PG_DIAG_MESSAGE_PRIMARY);
    if (message.empty()) message = std::string(doing) + ": " + trimmed(PQerrorMessage(handle_.get()));
    if (const auto detail = field(PG_DIAG_MESSAGE_DETAIL); !detail.empty()) message += "; " + detail;
    if (const auto hint = field(PG_DIAG_MESSAGE_HINT); !hint.empty()) message += "; hint: " + hint;
    const bool lost = PQstatus(handle_.get()) != CONNECTION_OK;
    throw Error(message, field(PG_DIAG_SQLSTATE), lost ? Error::Session::lost : Error::Session::alive, sent);
}

}  // namespace oms::db
