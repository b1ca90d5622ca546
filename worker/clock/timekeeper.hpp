// The timekeeper: whatever is due in the database is done, on time, by whoever runs this.
//
// run what is due -> ask when the next timer is due -> sleep until then, or until somebody rings for an earlier one. Any number
// of them may work on one database: each timer is in one hand at a time, and nobody waits for another's.
//
// Invariants: a round that has done nothing is followed by a wait, or by the one look that the bell asks for; a transaction is
// bounded in timers, and made smaller when it fails or takes long.
#pragma once

#include <chrono>

#include "clock/ports.hpp"
#include "runtime/backoff.hpp"
#include "runtime/metrics.hpp"
#include "runtime/status.hpp"
#include "runtime/stop.hpp"
#include "runtime/waiter.hpp"

namespace oms::clock {

using namespace std::chrono_literals;

struct Settings {
    std::size_t batch = 100;
    runtime::Clock::duration interval = 10s;  // no sleep is longer
    runtime::Clock::duration retry_base = 100ms;
    runtime::Clock::duration retry_cap = 5s;
    std::uint64_t seed = 0;
};

/// The surroundings of a timekeeper; all of them outlive it.
struct World {
    runtime::Waiter& waiter;
    const runtime::Clock& clock;
    const runtime::Stop& stop;
    runtime::Metrics& metrics;
    runtime::ClockStatus& status;
};

class Timekeeper {
  public:
    Timekeeper(TimerStores& stores, World world, const Settings& settings);

    /// Works until the stop is requested, through lost sessions and failures, or throws Refused.
    void run();

  private:
    void live_one_session();
    runtime::Clock::time_point turn(TimerStore& timers, runtime::Doorbell& bell);
    std::size_t run_due(TimerStore& timers);
    runtime::Clock::duration look_ahead(TimerStore& timers);
    void sleep(TimerStore& timers, runtime::Doorbell& bell, runtime::Clock::time_point due);
    void wait_until(runtime::Clock::time_point then);

    TimerStores& stores_;
    World world_;
    Settings settings_;
    std::size_t limit_;  // of the next transaction
    runtime::Backoff after_trouble_;
    runtime::Backoff while_held_;  // by another one, which is at it
};

}  // namespace oms::clock
