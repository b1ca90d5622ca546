// What the HTTP server needs from elsewhere.
#pragma once

#include <string>

namespace oms::http {

/// Numbers that only the database knows.
class DatabaseNumbers {
  public:
    virtual ~DatabaseNumbers() = default;
    /// Returns lines in the Prometheus text format; says so in them when the database does not answer.
    /// Called from any thread; does not throw.
    virtual std::string text() = 0;
};

}  // namespace oms::http
