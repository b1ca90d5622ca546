#include "db/pooler.hpp"

#include <random>

namespace oms::db {
namespace {

constexpr auto advice =
    "; the worker holds session locks and listens, so it needs a session of its own: "
    "connect it to PostgreSQL directly";

constexpr Statement backend = {"pooler_backend", "SELECT pg_catalog.pg_backend_pid()"};
constexpr Statement leave_mark = {"pooler_leave_mark", "SELECT pg_catalog.set_config('oms_worker.mark', $1, false)"};
constexpr Statement find_mark = {
    "pooler_find_mark", "SELECT pg_catalog.current_setting('oms_worker.mark', true), pg_catalog.pg_backend_pid()"};

}  // namespace

std::optional<std::string> find_pooler(Connection& connection) {
    try {
        const int process = connection.run(backend).number<int>(0, 0);
        // In the greeting a pooler gives a number of its own making, to find its client by when the
        // client cancels.
        if (process != connection.greeted_by())
            return "a pooler stands in between: the session is served by process " + std::to_string(process) +
                   ", the greeting named " + std::to_string(connection.greeted_by()) + advice;

        const auto mark = std::to_string(std::random_device{}());
        connection.run(leave_mark, {mark});
        const auto found = connection.run(find_mark);
        if (found.text(0, 0) != mark || found.number<int>(0, 1) != process)
            return std::string(
                       "a pooler stands in between: what one transaction left in the session, "
                       "the next did not find") +
                   advice;
    } catch (const Error& error) {
        // 26000: the statement was prepared in a session that this one is not. 42P05: somebody before us prepared it in this one.
        if (error.sqlstate() != "26000" && error.sqlstate() != "42P05") throw;
        return std::string("a pooler stands in between: a prepared statement is not ours") + advice;
    }
    return std::nullopt;
}

}  // namespace oms::db
