// Sessions and producers come and go; the supervisor keeps the relay going through all of that.
//
// connect -> wait for the reader (standby) -> lead, with one producer after the other -> on any
// trouble pause, longer each time, and begin again. It ends when the stop is requested, or with
// Refused.
#pragma once

#include "relay/ports.hpp"
#include "relay/relay.hpp"
#include "runtime/backoff.hpp"

namespace oms::relay {

struct SupervisorSettings {
    RelaySettings relay;
    runtime::Clock::duration takeover_wait = 5s;
    runtime::Clock::duration retry_base = 100ms;
    runtime::Clock::duration retry_cap = 5s;
    std::uint64_t seed = 0;
};

class Supervisor {
  public:
    Supervisor(EventSources& sources, Publishers& publishers, World world, SupervisorSettings settings);

    void run();

  private:
    void live_one_session();
    bool wait_for_the_reader(EventSource& source);
    Relay::Outcome relay_once(EventSource& source);
    void pause();
    void write_down();

    EventSources& sources_;
    Publishers& publishers_;
    World world_;
    SupervisorSettings settings_;
    Carried carried_;
    runtime::Backoff backoff_;
};

}  // namespace oms::relay
