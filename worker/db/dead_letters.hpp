// Dead letters for the operator: what oms.dlq_* answer, row by row as JSON.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "db/connection.hpp"

namespace oms::db {

class DeadLetters {
  public:
    explicit DeadLetters(const Target& target) : connection_(target) {}

    std::vector<std::string> list(const std::optional<std::string>& filter, int limit);
    std::vector<std::string> replay(const std::vector<std::int64_t>& ids, const std::optional<std::string>& filter,
                                    int limit, std::optional<int> rate, bool dry_run, const std::string& reason);
    std::vector<std::string> discard(const std::vector<std::int64_t>& ids, const std::string& reason);

  private:
    std::vector<std::string> rows(const Statement& statement, Arguments arguments);

    Connection connection_;
};

}  // namespace oms::db
