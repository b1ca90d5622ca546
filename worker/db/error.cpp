#include "db/error.hpp"

#include <algorithm>
#include <array>

namespace oms::db {

bool Error::retryable() const noexcept {
    if (session_lost()) return true;
    // Classes: connection, transaction rollback, resources, intervention by an operator, system.
    constexpr std::array<std::string_view, 5> classes = {"08", "40", "53", "57", "58"};
    if (std::any_of(classes.begin(), classes.end(), [this](std::string_view c) { return sqlstate_.starts_with(c); }))
        return true;
    return sqlstate_ == "55P03" ||  // lock_not_available
           sqlstate_ == "25006";    // read_only_sql_transaction: the primary has moved
}

}  // namespace oms::db
