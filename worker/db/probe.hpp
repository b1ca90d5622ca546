// What `oms-worker check` finds out about the database, without changing anything.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "db/connection.hpp"

namespace oms::db {

struct Finding {
    bool good = true;
    std::string text;
};

/// What the worker is going to do there.
struct Wanted {
    std::optional<std::string> reader;
    bool clock = true;
};

/// Connects and looks: a session of our own, the functions, the reader, the timers.
std::vector<Finding> probe(const Target& target, const Wanted& wanted);

/// Names the topics that the owner has set a policy for.
std::vector<std::string> topics_with_policy(const Target& target);

}  // namespace oms::db
