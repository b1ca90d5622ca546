// A database for one test: made from the server that the environment names, with the extension oms when the server offers
// one with readers, else with the stand-in; dropped at the end.
#pragma once

#include <string>

#include "db/connection.hpp"

namespace oms::test {

class TestDatabase {
  public:
    TestDatabase();
    ~TestDatabase();
    TestDatabase(const TestDatabase&) = delete;
    TestDatabase& operator=(const TestDatabase&) = delete;

    db::Target target() const { return {"dbname=" + name_, "", "worker-test"}; }
    std::string conninfo() const { return "dbname=" + name_; }

    /// Runs a query in a session of its own kind and returns the first column of the first row.
    std::string ask(const std::string& sql);
    std::int64_t append(const std::string& aggregate, const std::string& topic = "orders",
                        const std::string& payload = "{}", const std::string& headers = "{}");
    /// Ends every other session of this database, as a crash or an operator would.
    void cut_sessions();
    /// Lets nobody in, as a server that starts or shuts down.
    void allow_connections(bool allowed);

  private:
    std::string name_;
    std::optional<db::Connection> connection_;
};

/// True when tests run against the extension and not against the stand-in.
bool extension_offered();

}  // namespace oms::test
