// A connection pooler in transaction mode before the test server, when one is installed.
#pragma once

#include <string>

namespace oms::test {

class PgBouncer {
  public:
    PgBouncer();
    ~PgBouncer();
    PgBouncer(const PgBouncer&) = delete;
    PgBouncer& operator=(const PgBouncer&) = delete;

    bool running() const { return pid_ > 0; }
    std::string conninfo() const { return " host=127.0.0.1 port=" + std::to_string(port_); }

  private:
    std::string directory_;
    int port_ = 0;
    int pid_ = -1;
};

}  // namespace oms::test
