#include "clock/timekeeper.hpp"

#include <algorithm>
#include <array>

#include "runtime/log.hpp"
#include "runtime/refused.hpp"

namespace oms::clock {

using runtime::Clock;
using runtime::ClockPhase;
using runtime::Doorbell;

namespace {

// A transaction holds the locks of all that it has done until it ends, so it should be short for those who want one of them.
constexpr std::size_t limit_at_first = 16;
constexpr Clock::duration long_transaction = 500ms;

// Somebody who has a timer in hand is done within milliseconds, or waits for something himself. And one that fell due after the run
// looks the same.
constexpr Clock::duration shortest_wait_for_others = 1ms;
constexpr Clock::duration longest_wait_for_others = 1s;

double seconds_of(Clock::duration d) { return std::chrono::duration<double>(d).count(); }

}  // namespace

Timekeeper::Timekeeper(TimerStores& stores, World world, const Settings& settings)
    : stores_(stores),
      world_(world),
      settings_(settings),
      limit_(std::min(settings.batch, limit_at_first)),
      after_trouble_(settings.retry_base, settings.retry_cap, settings.seed),
      while_held_(shortest_wait_for_others, longest_wait_for_others, settings.seed) {}

void Timekeeper::run() {
    while (!world_.stop.requested()) {
        world_.status.alive();
        try {
            live_one_session();
        } catch (const runtime::Refused&) {
            throw;
        } catch (const std::exception& error) {
            world_.metrics.clock_running.Set(0);
            if (world_.stop.requested()) break;
            world_.metrics.clock_session_losses.Increment();
            world_.status.phase = ClockPhase::connecting;
            world_.status.set_trouble(error.what());
            log::error("the clock's session ended; connecting again", {{"error", error.what()}});
            wait_until(world_.clock.now() + after_trouble_.next());
        }
    }
    world_.metrics.clock_running.Set(0);
    world_.status.phase = ClockPhase::stopped;
}

void Timekeeper::live_one_session() {
    const auto timers = stores_.open();
    Doorbell bell(*timers, world_.clock, settings_.interval);
    world_.status.phase = ClockPhase::running;
    world_.metrics.clock_running.Set(1);
    log::info("the clock runs", {});
    while (!world_.stop.requested()) {
        world_.status.alive();
        try {
            const auto next = turn(*timers, bell);
            world_.status.set_trouble("");
            after_trouble_.reset();
            bell.asleep() ? sleep(*timers, bell, next) : wait_until(next);
        } catch (const RunFailed& error) {
            bell.leave();
            limit_ = std::max<std::size_t>(limit_ / 2, 1);
            world_.metrics.clock_failures.Increment();
            world_.status.set_trouble(error.what());
            log::error("what is due could not be done; trying again",
                       {{"error", error.what()}, {"timers_at_most", limit_}});
            wait_until(world_.clock.now() + after_trouble_.next());
        }
    }
    bell.leave();
}

/// Does what is due, or as much as fits into a transaction; returns when there may be more.
Clock::time_point Timekeeper::turn(TimerStore& timers, Doorbell& bell) {
    const auto done = run_due(timers);
    const auto left = look_ahead(timers);
    const auto now = world_.clock.now();
    if (left <= Clock::duration::zero()) {
        bell.found();
        return done > 0 ? now : now + while_held_.next();
    }
    const auto until_next_look = bell.found_nothing();
    return now + (bell.asleep() ? left : std::min(until_next_look, left));
}

std::size_t Timekeeper::run_due(TimerStore& timers) {
    const auto started = world_.clock.now();
    const auto done = timers.run_due(limit_);
    if (world_.clock.now() - started > long_transaction)
        limit_ = std::max<std::size_t>(limit_ / 2, 1);
    else if (done == limit_)
        limit_ = std::min(limit_ * 2, settings_.batch);
    world_.metrics.clock_runs.Increment();
    world_.metrics.clock_timers.Increment(static_cast<double>(done));
    if (done > 0) while_held_.reset();
    return done;
}

Clock::duration Timekeeper::look_ahead(TimerStore& timers) {
    const auto left = timers.next_due();
    const auto lag = std::max(0.0, seconds_of(-left));
    world_.metrics.clock_lag_seconds.Set(lag);
    world_.status.lag_seconds = lag;
    return left;
}

void Timekeeper::sleep(TimerStore& timers, Doorbell& bell, Clock::time_point due) {
    auto& metrics = world_.metrics;
    while (!world_.stop.requested()) {
        const auto woken = bell.wake();
        if (woken != Doorbell::Woken::no)
            return (woken == Doorbell::Woken::by_bell ? metrics.clock_wakeups_by_bell
                                                      : metrics.clock_wakeups_by_interval)
                .Increment();
        const auto now = world_.clock.now();
        if (now >= due) {
            bell.leave();
            return metrics.clock_wakeups_by_timer.Increment();
        }
        const std::array fds = {timers.wake_fd()};
        world_.waiter.wait(fds, std::min(due, bell.sleeps_until()) - now);
    }
}

void Timekeeper::wait_until(Clock::time_point then) {
    while (!world_.stop.requested() && world_.clock.now() < then) world_.waiter.wait({}, then - world_.clock.now());
}

}  // namespace oms::clock
