// The request to stop, seen by every wait of the worker, and the signals that make it.
#pragma once

#include <atomic>
#include <optional>

#include "runtime/clock.hpp"
#include "runtime/event_fd.hpp"

namespace oms::runtime {

/// Set once, never taken back. Its descriptor stays readable, so that a wait cannot miss it.
class Stop {
  public:
    void request() noexcept {
        requested_.store(true, std::memory_order_release);
        event_.signal();
    }
    bool requested() const noexcept { return requested_.load(std::memory_order_acquire); }
    int fd() const noexcept { return event_.fd(); }

  private:
    std::atomic<bool> requested_{false};
    EventFd event_;
};

/// SIGTERM and SIGINT as something to wait for. Build it before the first thread starts: threads
/// inherit the mask, and a thread that did not would be killed by the default action.
class Signals {
  public:
    Signals();
    ~Signals();
    Signals(const Signals&) = delete;
    Signals& operator=(const Signals&) = delete;

    enum class Wake { signal, other, timeout };

    /// Waits for a signal, for `other` to become readable, or for `timeout` (none: for ever).
    Wake wait(int other, std::optional<Clock::duration> timeout);

  private:
    int fd_;
};

}  // namespace oms::runtime
