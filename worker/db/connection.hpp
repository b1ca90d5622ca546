// One session with PostgreSQL. Not shared between threads.
//
// Statements run one at a time; each call waits with a deadline, so a server that hangs becomes a
// lost session and not a hung worker. After Error with session_lost() the object is of no more use.
#pragma once

#include <libpq-fe.h>

#include <memory>
#include <string>
#include <unordered_set>

#include "db/error.hpp"
#include "db/result.hpp"
#include "db/statement.hpp"
#include "runtime/clock.hpp"
#include "runtime/stop.hpp"

namespace oms::db {

struct Target {
    std::string conninfo;  // libpq string or URI
    std::string password;  // empty: as conninfo, environment or pgpass file say
    std::string application_name = "oms-worker";
    int connect_timeout_s = 5;  // of each host
};

/// The statement ended because the worker is to stop.
class Interrupted : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

class Connection {
  public:
    /// Connects to the first host that will do, or throws.
    explicit Connection(const Target& target);
    Connection(Connection&&) noexcept = default;

    Result run(const Statement& statement, Arguments arguments = {});
    /// As run(), but cancels the statement and throws Interrupted when the stop is requested.
    Result run_unless(const runtime::Stop& stop, const Statement& statement, Arguments arguments = {});
    /// Runs text that is not worth preparing; several statements separated by semicolons may stand in it.
    Result run_text(const char* sql);

    /// The two halves of run(): between them the server works and the caller does something else.
    void start(const Statement& statement, Arguments arguments = {});
    Result finish(const runtime::Stop* stop = nullptr);

    /// Reads what has arrived; true when a notification was among it, or among what came before.
    bool take_notification();

    int socket() const noexcept { return PQsocket(handle_.get()); }
    /// The server process as the greeting named it, which a pooler makes up.
    int greeted_by() const noexcept { return PQbackendPID(handle_.get()); }
    /// Where the session ended up: host and port, for the log.
    std::string peer() const;

  private:
    struct Closer {
        void operator()(PGconn* connection) const noexcept { PQfinish(connection); }
    };

    void prepare(const Statement& statement);
    void flush(runtime::Clock::time_point deadline);
    void wait_for_socket(short events, runtime::Clock::time_point deadline, const runtime::Stop* stop = nullptr);
    void cancel() noexcept;
    [[noreturn]] void fail(const char* doing, const PGresult* result, bool sent);

    std::unique_ptr<PGconn, Closer> handle_;
    std::unordered_set<std::string> prepared_;
};

}  // namespace oms::db
