// The one place where the worker sleeps: on descriptors, with a timeout, and always on the stop
// request too.
#pragma once

#include <poll.h>

#include <optional>
#include <span>

#include "runtime/clock.hpp"
#include "runtime/stop.hpp"

namespace oms::runtime {

class Waiter {
  public:
    virtual ~Waiter() = default;

    /// Returns when one of `fds` is readable, when the stop is requested, or after `timeout`.
    /// Negative descriptors are skipped. Waking early is allowed: callers look for themselves.
    virtual void wait(std::span<const int> fds, Clock::duration timeout) = 0;
};

class PollWaiter final : public Waiter {
  public:
    explicit PollWaiter(const Stop& stop) : stop_(stop) {}
    void wait(std::span<const int> fds, Clock::duration timeout) override;

  private:
    const Stop& stop_;
};

/// poll(2) with a steady-clock duration; no timeout waits for ever. Returns -1 when interrupted and
/// throws std::system_error on any other failure.
int poll_for(std::span<pollfd> fds, std::optional<Clock::duration> timeout);

}  // namespace oms::runtime
