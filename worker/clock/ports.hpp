// What the clock needs from a database: its timers, and the bell that rings for new ones.
//
// A session is an object that lives as long as the thing it stands for. Every call may throw; a throw other than
// RunFailed means that the object is of no use any more.
#pragma once

#include <cstddef>
#include <memory>
#include <stdexcept>

#include "runtime/clock.hpp"
#include "runtime/doorbell.hpp"

namespace oms::clock {

/// What was due could not be done and was rolled back, all of it; the session is as good as before.
class RunFailed : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

class TimerStore : public runtime::Bell {
  public:
    /// Does, in a transaction of its own, the work of up to `limit` due timers, those that nobody else has in hand; returns
    /// how many. Never waits for another clock. A timer whose own work fails is put back by the database, for later.
    virtual std::size_t run_due(std::size_t limit) = 0;

    /// How long until the next timer is due, an hour at most; not positive when one is, though perhaps somebody has it in
    /// hand. Goes by the database's time.
    virtual runtime::Clock::duration next_due() = 0;

    /// Readable when something arrived from the database.
    virtual int wake_fd() const = 0;
};

class TimerStores {
  public:
    virtual ~TimerStores() = default;
    /// Opens a session, or throws; runtime::Refused when no attempt can succeed.
    virtual std::unique_ptr<TimerStore> open() = 0;
};

}  // namespace oms::clock
