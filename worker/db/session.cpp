#include "db/session.hpp"

#include <chrono>

#include "db/pooler.hpp"
#include "runtime/refused.hpp"

namespace oms::db {
namespace {

constexpr Statement set_lease = {"set_lease", "SELECT pg_catalog.set_config('idle_session_timeout', $1, false)"};

}  // namespace

Connection open_session(const Target& target, runtime::Clock::duration lease) {
    Connection connection(target);
    if (const auto pooler = find_pooler(connection)) throw runtime::Refused(*pooler);
    // Times arrive in one form, and no timeout cuts a wait short.
    connection.run_text(
        "SET DateStyle = 'ISO, YMD'; SET TimeZone = 'UTC'; SET search_path = pg_catalog;"
        "SET statement_timeout = 0; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = '60s'");
    // A worker that hangs (stopped, swapped out, cut off) sends nothing: the server ends its session, and with it its locks.
    connection.run(set_lease, {std::chrono::duration_cast<std::chrono::milliseconds>(lease).count()});
    return connection;
}

}  // namespace oms::db
