// How the worker opens the sessions that it works in.
#pragma once

#include "db/connection.hpp"

namespace oms::db {

/// Connects, refuses a pooler, and makes the session independent of what the role prefers. The server ends it when the
/// worker has been silent for `lease`.
Connection open_session(const Target& target, runtime::Clock::duration lease);

}  // namespace oms::db
