// A doorbell's wire: LISTEN, and what came over it.
#pragma once

#include "db/connection.hpp"

namespace oms::db {

class Listener {
  public:
    /// Listens from now on, with the statement given; what is committed later and notifies is heard.
    Listener(Connection& connection, const char* listen) : connection_(connection) { connection_.run_text(listen); }

    /// True when the bell rang since the last call. A ring that arrived together with the answer to a
    /// statement lies in libpq's queue and leaves nothing on the socket: this looks there too.
    bool take_ring() { return connection_.take_notification(); }

  private:
    Connection& connection_;
};

}  // namespace oms::db
