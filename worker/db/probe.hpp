// What `oms-worker check` finds out about the database, without changing anything.
#pragma once

#include <string>
#include <vector>

#include "db/connection.hpp"

namespace oms::db {

struct Finding {
    bool good = true;
    std::string text;
};

/// Connects and looks: a session of our own, the functions, the reader.
std::vector<Finding> probe(const Target& target, const std::string& reader);

/// Names the topics that the owner has set a policy for.
std::vector<std::string> topics_with_policy(const Target& target);

}  // namespace oms::db
