// Goal: what is due is done on time, whatever fails and wherever; an idle clock asks nothing; a failing one waits longer and
// longer. Method: one timekeeper in a fake world, whose waiting moves the clock: every call and every wait is counted.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/refused.hpp"
#include "test/fake_timers.hpp"
#include "test/fake_world.hpp"

namespace oms::test {
namespace {

using runtime::Clock;
using testing::ElementsAre;

struct TimekeeperWorld {
    runtime::FakeClock clock;
    FakeTimers db{clock};
    FakeTimerSessions sessions{db};
    FakeWaiter waiter{clock};
    runtime::Stop stop;
    runtime::Metrics metrics;
    runtime::ClockStatus status{clock};
    clock::Settings settings;
    const Clock::time_point start = clock.now();

    TimekeeperWorld() {
        waiter.has_news = [this] { return !db.rung.empty(); };
    }
    void keep() { oms::clock::Timekeeper(sessions, {waiter, clock, stop, metrics, status}, settings).run(); }
    /// Runs until `done`, looked at whenever the clock waits; fails when that never happens.
    void run_until(std::function<bool()> done) {
        waiter.meanwhile = [this, done, more = waiter.meanwhile] {
            if (more) more();
            if (done()) stop.request();
            if (waiter.waits < 100'000) return;
            ADD_FAILURE() << "never done";
            stop.request();
        };
        keep();
    }
    void run_for(Clock::duration time) {
        run_until([this, time] { return clock.now() - start >= time; });
    }
    void expect_each_fired_once() {
        for (const auto& [id, timer] : db.timers) EXPECT_EQ(timer.fired, 1) << "timer " << id;
    }
};

struct TimekeeperTest : testing::Test, TimekeeperWorld {};

TEST_F(TimekeeperTest, DoesWhatIsDueAndSleepsUntilTheNextIs) {
    db.set(0s);
    db.set(3s);
    run_until([this] { return db.not_fired() == 0; });
    EXPECT_THAT(db.trace, ElementsAre("open", "run_due", "next_due",         // the first
                                      "ring", "arm", "run_due", "next_due",  // nothing more: once again with the bell
                                      "ring", "ring", "disarm",              // asleep; awake when it is due
                                      "run_due", "next_due",                 // the second
                                      "ring", "arm", "run_due", "next_due", "ring", "disarm"));
    EXPECT_EQ(db.latest(), 0s);
    EXPECT_EQ(metrics.clock_wakeups_by_timer.Value(), 1);
    EXPECT_EQ(metrics.clock_timers.Value(), 2);
    EXPECT_EQ(metrics.clock_runs.Value(), 4);
    expect_each_fired_once();
}

TEST_F(TimekeeperTest, AnIdleClockLooksOnceAnInterval) {
    run_for(10min);
    EXPECT_EQ(metrics.clock_wakeups_by_interval.Value(), 60);
    EXPECT_EQ(waiter.longest, 10s);
    EXPECT_EQ(waiter.waits, 61);
    EXPECT_EQ(db.count("run_due"), 2 * 61) << "before each sleep once, and once more with the bell in hand";
}

TEST_F(TimekeeperTest, AnEarlierTimerThatIsSetMeanwhileWakesIt) {
    db.set(9s);
    bool was_set = false;
    waiter.meanwhile = [&] {
        if (!was_set) db.set(100ms);
        was_set = true;
    };
    run_until([this] { return db.not_fired() == 0; });
    EXPECT_EQ(db.notifications, 1);
    EXPECT_EQ(metrics.clock_wakeups_by_bell.Value(), 1);
    EXPECT_EQ(metrics.clock_wakeups_by_timer.Value(), 2);
    EXPECT_EQ(metrics.clock_wakeups_by_interval.Value(), 0);
    EXPECT_EQ(db.count("run_due"), 8) << "two for each time that it went to sleep";
    EXPECT_EQ(db.latest(), 0s);
}

TEST(Timekeeper, ATimerThatIsSetAtAnyMomentIsDoneInTime) {
    int calls = 1;
    for (int call = 1; call <= calls; ++call) {
        for (const auto delay : {Clock::duration(0s), Clock::duration(50ms), Clock::duration(11s)}) {
            TimekeeperWorld world;
            world.db.set(1s);
            world.db.on_call = [&](const std::string&) {
                if (world.db.calls() == call) world.db.set(delay);
            };
            world.run_until([&] { return world.db.calls() >= call && world.db.not_fired() == 0; });
            world.expect_each_fired_once();
            EXPECT_LE(world.db.latest(), 1ms)
                << "set at call " << call << ", of " << world.db.trace[static_cast<std::size_t>(call) - 1];
            calls = std::min(std::max(calls, world.db.calls() + 1), 40);
        }
    }
    EXPECT_EQ(calls, 40);
}

TEST_F(TimekeeperTest, ABacklogIsWorkedOffInBoundedTransactionsWithoutAPause) {
    for (int i = 0; i < 10'000; ++i) db.set(0s);
    clock.advance(5s);
    double lag = 0;
    db.on_call = [&](const std::string&) { lag = std::max(lag, metrics.clock_lag_seconds.Value()); };
    run_until([this] { return db.not_fired() == 0; });
    EXPECT_EQ(db.most_at_once, 100u);
    EXPECT_LE(db.count("run_due"), 105);
    EXPECT_EQ(waiter.waits, 1) << "it waits when everything is done";
    EXPECT_EQ(metrics.clock_timers.Value(), 10'000);
    EXPECT_EQ(lag, 5);
    EXPECT_EQ(metrics.clock_lag_seconds.Value(), 0);
    expect_each_fired_once();
}

TEST_F(TimekeeperTest, TransactionsThatTakeLongBecomeSmall) {
    for (int i = 0; i < 1000; ++i) db.set(0s);
    db.work_takes = 100ms;
    std::vector<std::size_t> done;
    int before = 1000;
    db.on_call = [&](const std::string& call) {
        if (call != "next_due") return;
        done.push_back(static_cast<std::size_t>(before - db.not_fired()));
        before = db.not_fired();
    };
    run_until([this] { return db.not_fired() == 0; });
    ASSERT_GT(done.size(), 50u);
    EXPECT_EQ(done[0], 16u);
    for (std::size_t i = 2; i < done.size(); ++i)
        EXPECT_LE(done[i], 8u) << "half a second, and what it takes to notice";
}

TEST_F(TimekeeperTest, ARunThatFailsIsTriedAgainSmallerAndLessAndLessOften) {
    for (int i = 0; i < 100; ++i) db.set(0s);
    std::vector<std::size_t> tried;
    std::vector<Clock::time_point> when;
    db.fails = [&](std::size_t timers) {
        tried.push_back(timers);
        when.push_back(clock.now());
        return std::optional<std::string>("deadlock detected");
    };
    run_for(10min);
    EXPECT_THAT(std::vector(tried.begin(), tried.begin() + 6), ElementsAre(16, 8, 4, 2, 1, 1));
    EXPECT_LE(tried.size(), 260u) << "at least half the cap apart";
    EXPECT_GE(tried.size(), 120u) << "never more than the cap apart";
    EXPECT_GE(when[1] - when[0], 50ms);
    EXPECT_EQ(metrics.clock_failures.Value(), static_cast<double>(tried.size()));
    EXPECT_EQ(metrics.clock_session_losses.Value(), 0) << "the session is good";
    EXPECT_EQ(status.trouble(), "deadlock detected");
    EXPECT_EQ(db.sessions, 1);
    EXPECT_TRUE(db.bell_holders.empty()) << "nobody has to ring for a clock that does not listen";
}

TEST_F(TimekeeperTest, AfterFailuresEverythingIsDone) {
    for (int i = 0; i < 500; ++i) db.set(0s);
    int failures = 0;
    db.fails = [&](std::size_t timers) {
        return timers > 3 && ++failures <= 20 ? std::optional<std::string>("out of locks") : std::nullopt;
    };
    run_until([this] { return db.not_fired() == 0; });
    EXPECT_GE(failures, 20);
    EXPECT_EQ(metrics.clock_failures.Value(), 20);
    EXPECT_EQ(status.trouble(), "");
    expect_each_fired_once();
}

TEST_F(TimekeeperTest, WhatSomebodyElseHasInHandIsAwaitedWithoutHaste) {
    const int theirs = db.set(0s);
    db.timers[theirs].in_hand = true;
    waiter.meanwhile = [&] {
        if (clock.now() - start >= 1min) db.timers[theirs].in_hand = false;
    };
    run_until([this] { return db.not_fired() == 0; });
    EXPECT_LE(db.timers[theirs].late, 1min + 2s) << "let go at a wait, taken after the next";
    EXPECT_LE(db.count("run_due"), 140) << "half a second apart, after the first moments";
    EXPECT_NEAR(db.count("run_due"), db.count("next_due"), 1);
}

TEST_F(TimekeeperTest, OthersAreDoneWhileSomebodyHasOneInHand) {
    db.timers[db.set(0s)].in_hand = true;
    const int ours = db.set(10s);
    run_until([&] { return db.timers[ours].fired == 1; });
    EXPECT_LE(db.timers[ours].late, 1s);
}

class SessionCutAtEachCall : public testing::TestWithParam<FakeDatabase::When> {};

TEST_P(SessionCutAtEachCall, IsSurvived) {
    for (int call = 1; call <= 40; ++call) {
        TimekeeperWorld world;
        for (int i = 0; i < 40; ++i) world.db.set(i % 4 * 700ms);
        world.db.faults = {{call, GetParam()}};
        world.run_until([&] { return world.db.not_fired() == 0 && world.clock.now() - world.start > 25s; });
        world.expect_each_fired_once();
        EXPECT_EQ(world.db.sessions, 2) << "cut at call " << call << " of " << world.db.calls();
        EXPECT_EQ(world.metrics.clock_session_losses.Value(), 1);
        EXPECT_EQ(world.metrics.clock_failures.Value(), 0);
        EXPECT_LE(world.db.latest(), 150ms) << "the pause, and no more";
    }
}

INSTANTIATE_TEST_SUITE_P(Timekeeper, SessionCutAtEachCall,
                         testing::Values(FakeDatabase::When::before, FakeDatabase::When::after), [](const auto& when) {
                             return when.param == FakeDatabase::When::before ? "Before" : "InDoubt";
                         });

TEST(Timekeeper, AStopAtEachCallEndsItThere) {
    for (int call = 1; call <= 20; ++call) {
        TimekeeperWorld world;
        for (int i = 0; i < 40; ++i) world.db.set(i % 4 * 700ms);
        world.db.on_call = [&](const std::string&) {
            if (world.db.calls() == call) world.stop.request();
        };
        world.keep();
        EXPECT_LE(world.db.calls(), call + 5) << "the round, and letting go of the bell";
        EXPECT_EQ(world.db.count("run_due"),
                  std::count(world.db.trace.begin(), world.db.trace.begin() + call, "run_due"));
        EXPECT_TRUE(world.db.bell_holders.empty());
        EXPECT_EQ(world.status.phase, runtime::ClockPhase::stopped);
        EXPECT_EQ(world.metrics.clock_running.Value(), 0);
    }
}

TEST_F(TimekeeperTest, ADatabaseThatIsAwayIsAskedLessAndLessOften) {
    db.on_call = [&](const std::string&) { db.lose_session(); };
    run_for(10min);
    EXPECT_LE(db.sessions, 260);
    EXPECT_GE(db.sessions, 120);
    EXPECT_EQ(status.phase, runtime::ClockPhase::stopped);
    EXPECT_EQ(status.trouble(), "the session is gone");
    EXPECT_EQ(metrics.clock_running.Value(), 0);
}

TEST_F(TimekeeperTest, APoolerEndsIt) {
    db.on_call = [](const std::string&) { throw runtime::Refused("a pooler stands in between"); };
    EXPECT_THROW(keep(), runtime::Refused);
}

}  // namespace
}  // namespace oms::test
