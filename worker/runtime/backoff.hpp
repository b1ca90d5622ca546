// How long to wait before the n-th attempt: exponential, capped, jittered.
//
// The jitter keeps a fleet of workers from returning in step after an outage. It only ever shortens
// the pause, so `cap` is a promise, and never below half, so a pause cannot vanish.
#pragma once

#include <algorithm>
#include <cstdint>
#include <random>

#include "runtime/clock.hpp"

namespace oms::runtime {

class Backoff {
  public:
    Backoff(Clock::duration base, Clock::duration cap, std::uint64_t seed)
        : base_(base), cap_(cap), current_(base), random_(seed) {}

    /// Returns the next pause, in [d/2, d] where d doubles from base to cap.
    Clock::duration next() {
        const auto full = std::min(current_, cap_);
        // Compared before doubling: a doubled duration could overflow after a long outage.
        current_ = full >= cap_ / 2 ? cap_ : full * 2;
        std::uniform_int_distribution<Clock::duration::rep> jitter(full.count() / 2, full.count());
        return Clock::duration(jitter(random_));
    }

    void reset() noexcept { current_ = base_; }

  private:
    Clock::duration base_;
    Clock::duration cap_;
    Clock::duration current_;
    std::mt19937_64 random_;
};

}  // namespace oms::runtime
