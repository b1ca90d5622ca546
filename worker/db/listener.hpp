// The doorbell's wire: LISTEN, and what came over it.
#pragma once

#include "db/connection.hpp"

namespace oms::db {

class Listener {
  public:
    /// Listens from now on; what is committed later and notifies is heard.
    explicit Listener(Connection& connection) : connection_(connection) { connection_.run_text("LISTEN oms_doorbell"); }

    /// True when the bell rang since the last call. A ring that arrived together with the answer to a
    /// statement lies in libpq's queue and leaves nothing on the socket: this looks there too.
    bool take_ring() { return connection_.take_notification(); }

  private:
    Connection& connection_;
};

}  // namespace oms::db
