// A database in memory that plays the timers of the schema oms, keeps score, and fails on demand. It goes by a clock that tests
// move.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "clock/timekeeper.hpp"
#include "test/fake_database.hpp"

namespace oms::test {

using namespace std::chrono_literals;

class FakeTimers {
  public:
    explicit FakeTimers(runtime::FakeClock& clock) : clock_(clock) {}

    struct Timer {
        runtime::Clock::time_point due;
        bool in_hand = false;  // of somebody else, whose transaction is open
        int fired = 0;
        runtime::Clock::duration late{};
    };

    /// A transaction that sets a timer which is due after `delay`, committed at once.
    int set(runtime::Clock::duration delay);
    int not_fired() const;
    runtime::Clock::duration latest() const;
    void lose_session();
    int calls() const { return static_cast<int>(trace.size()); }
    int count(const std::string& call) const;

    // State, open to tests.
    std::map<int, Timer> timers;
    std::set<int> bell_holders;
    std::set<int> rung;  // sessions
    int notifications = 0;
    int sessions = 0;
    std::size_t most_at_once = 0;
    runtime::Clock::duration work_takes{};                         // of each timer
    std::function<std::optional<std::string>(std::size_t)> fails;  // an error, if a run of so many timers is to fail
    std::vector<std::string> trace;
    std::vector<FakeDatabase::Fault> faults;
    std::function<void(const std::string&)> on_call;  // before the effect

  private:
    friend class FakeTimerSession;
    template <typename F>
    auto call(int session, const char* name, F effect);
    void check(int session, FakeDatabase::When when);

    runtime::FakeClock& clock_;
    std::set<int> lost_;
    int made_ = 0;
};

class FakeTimerSession final : public clock::TimerStore {
  public:
    explicit FakeTimerSession(FakeTimers& db);
    ~FakeTimerSession() override;

    std::size_t run_due(std::size_t limit) override;
    runtime::Clock::duration next_due() override;
    bool arm_doorbell() override;
    void disarm_doorbell() override;
    bool take_ring() override;
    int wake_fd() const override { return -1; }

  private:
    FakeTimers& db_;
    int id_;
};

class FakeTimerSessions final : public clock::TimerStores {
  public:
    explicit FakeTimerSessions(FakeTimers& db) : db_(db) {}
    std::unique_ptr<clock::TimerStore> open() override { return std::make_unique<FakeTimerSession>(db_); }

  private:
    FakeTimers& db_;
};

}  // namespace oms::test
