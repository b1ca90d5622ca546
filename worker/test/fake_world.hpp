// A world for the relay without threads, sockets or time of its own: waiting moves the clock, and lets something happen.
#pragma once

#include <chrono>
#include <functional>

#include "relay/supervisor.hpp"
#include "test/fake_broker.hpp"
#include "test/fake_database.hpp"

namespace oms::test {

using namespace std::chrono_literals;

class FakeWaiter final : public runtime::Waiter {
  public:
    explicit FakeWaiter(runtime::FakeClock& clock) : clock_(clock) {}

    /// Returns at once when there is news, else after the timeout; `meanwhile` runs once per call, before.
    void wait(std::span<const int>, runtime::Clock::duration timeout) override {
        ++waits;
        longest = std::max(longest, timeout);
        if (meanwhile) meanwhile();
        if (has_news && has_news()) {
            clock_.advance(100us);
            return;
        }
        clock_.advance(timeout);
    }

    int waits = 0;
    runtime::Clock::duration longest{};
    std::function<bool()> has_news;
    std::function<void()> meanwhile;

  private:
    runtime::FakeClock& clock_;
};

/// Everything that one worker process has; the database and the broker are outside of it.
struct FakeProcess {
    FakeProcess(FakeDatabase& db, FakeBroker& broker) : sessions(db), publishers(broker) {
        settings.relay.batch = 10;
        settings.relay.in_flight_messages = 40;
        waiter.has_news = [&db, &broker] {
            return db.rung || (broker.current != nullptr && broker.current->has_news());
        };
    }

    void run() {
        relay::Supervisor supervisor(sessions, publishers, world(), settings);
        supervisor.run();
    }
    relay::World world() { return {waiter, clock, stop, metrics, status}; }

    FakeSessions sessions;
    FakePublishers publishers;
    runtime::FakeClock clock;
    FakeWaiter waiter{clock};
    runtime::Stop stop;
    runtime::Metrics metrics;
    runtime::Status status{clock};
    relay::SupervisorSettings settings;
};

}  // namespace oms::test
