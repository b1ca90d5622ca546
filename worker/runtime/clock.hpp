// Time as the worker sees it: monotonic, and replaceable in tests.
#pragma once

#include <chrono>

namespace oms::runtime {

class Clock {
  public:
    using duration = std::chrono::steady_clock::duration;
    using time_point = std::chrono::steady_clock::time_point;

    virtual ~Clock() = default;
    virtual time_point now() const noexcept = 0;
};

class SteadyClock final : public Clock {
  public:
    time_point now() const noexcept override { return std::chrono::steady_clock::now(); }
};

/// Stands still until a test moves it.
class FakeClock final : public Clock {
  public:
    time_point now() const noexcept override { return now_; }
    void advance(duration by) noexcept { now_ += by; }

  private:
    time_point now_{};
};

}  // namespace oms::runtime
