// GET /livez, /readyz, /healthz and /metrics, for machines. Nothing here changes anything.
#pragma once

#include <memory>
#include <string>

#include "http/ports.hpp"
#include "runtime/clock.hpp"
#include "runtime/metrics.hpp"
#include "runtime/status.hpp"

namespace oms::http {

class Server {
  public:
    /// Listens at "host:port" (port 0: a free one) and answers in threads of its own until destroyed.
    /// Throws when the address cannot be had. All that the arguments refer to outlives the server.
    Server(const std::string& address, const runtime::RoomStatus& rooms, const runtime::Metrics& metrics,
           DatabaseNumbers& database, runtime::Clock::duration patience);
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    int port() const noexcept;

  private:
    struct Parts;
    std::unique_ptr<Parts> parts_;
};

}  // namespace oms::http
