// Finds out whether a connection pooler stands between the worker and the database.
//
// The worker's leadership is a session lock, its doorbell a session lock and a LISTEN. Behind a pooler
// each statement may run in another session: the lock would be held by nobody in particular, and a
// notification would go to somebody else. Nothing would fail, events would be published twice and
// late. So a pooler is refused, not tolerated.
#pragma once

#include <optional>
#include <string>

#include "db/connection.hpp"

namespace oms::db {

/// Explains what gives the pooler away, or returns nothing when the session is the worker's own.
std::optional<std::string> find_pooler(Connection& connection);

}  // namespace oms::db
