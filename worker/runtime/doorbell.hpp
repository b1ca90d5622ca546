// When to look again and when to sleep: the worker's side of a doorbell of the database, the log's or the clock's.
//
// Who commits holds the bell shared, or, when a sleeper holds it, queues a NOTIFY. So a sleeper that
// owns the bell has seen every commit that will not notify it, provided that it looks ONCE MORE after
// taking the bell and before sleeping:
//
//   wrong: look (nothing) -> take the bell -> sleep. A commit between look and take holds the bell
//   shared, hence notifies nobody, and was not seen: it would wait for the floor timeout.
#pragma once

#include "runtime/clock.hpp"

namespace oms::runtime {

/// A session's side of it. Every call may throw; the session is of no use then.
class Bell {
  public:
    virtual ~Bell() = default;
    /// Takes the bell without waiting; false: somebody is just committing.
    virtual bool arm_doorbell() = 0;
    virtual void disarm_doorbell() = 0;
    /// Tells whether the bell rang since the last call. It also looks at what earlier calls received:
    /// a ring that came with another answer would otherwise be slept over.
    virtual bool take_ring() = 0;
};

class Doorbell {
  public:
    Doorbell(Bell& bell, const Clock& clock, Clock::duration floor) : bell_(bell), clock_(clock), floor_(floor) {}

    bool asleep() const noexcept { return state_ == State::asleep; }
    /// When a sleeper looks even though nobody rang.
    Clock::time_point sleeps_until() const noexcept { return until_; }

    /// A look found something to do.
    void found();
    /// A look found nothing. Returns how long to pause before the next one; zero: look at once, or
    /// sleep when asleep().
    Clock::duration found_nothing();

    enum class Woken { no, by_bell, by_floor };
    /// Ends the sleep when somebody rang or the floor timeout has passed. The bell is let go first, so
    /// that what commits after the coming look rings again.
    Woken wake();
    /// Lets the bell go, wherever the protocol stands.
    void leave();

  private:
    enum class State {
        awake,
        armed,   // holds the bell; the look that follows is the one "once more"
        asleep,  // holds the bell, and that look found nothing
    };

    Bell& bell_;
    const Clock& clock_;
    Clock::duration floor_;
    State state_ = State::awake;
    Clock::duration pause_{};
    Clock::time_point until_{};
};

}  // namespace oms::runtime
