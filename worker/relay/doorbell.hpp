// When to read again and when to sleep: the relay's side of the doorbell.
//
// A producer that commits holds the bell shared, or, when the relay holds it, queues a NOTIFY. So a
// relay that owns the bell exclusively has seen every commit that will not notify it, provided that
// it reads ONCE MORE after taking the bell and before sleeping:
//
//   wrong: read (empty) -> take the bell -> sleep. A commit between read and take holds the bell
//   shared, hence notifies nobody, and is not in that read: it would wait for the floor timeout.
#pragma once

#include "relay/ports.hpp"
#include "runtime/clock.hpp"

namespace oms::relay {

class Doorbell {
  public:
    Doorbell(EventSource& source, const runtime::Clock& clock, runtime::Clock::duration floor)
        : source_(source), clock_(clock), floor_(floor) {}

    bool asleep() const noexcept { return state_ == State::asleep; }
    /// When a sleeping relay reads even though nobody rang.
    runtime::Clock::time_point sleeps_until() const noexcept { return until_; }

    /// A read found events.
    void found();
    /// A read found nothing. Returns how long to pause before the next read; zero: read at once, or
    /// sleep when asleep().
    runtime::Clock::duration found_nothing();

    enum class Woken { no, by_bell, by_floor };
    /// Ends the sleep when somebody rang or the floor timeout has passed. The bell is let go first, so
    /// that what commits after the coming read rings again.
    Woken wake();
    /// Lets the bell go, wherever the protocol stands.
    void leave();

  private:
    enum class State {
        awake,
        armed,   // holds the bell; the read that follows is the one "once more"
        asleep,  // holds the bell, and that read found nothing
    };

    EventSource& source_;
    const runtime::Clock& clock_;
    runtime::Clock::duration floor_;
    State state_ = State::awake;
    runtime::Clock::duration pause_{};
    runtime::Clock::time_point until_{};
};

}  // namespace oms::relay
