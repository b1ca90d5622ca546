// Goal: the fake timers and PostgreSQL's keep the same contract, so that what the clock is tested with is what it meets.
// Method: one suite, run against both; then what only a server can do.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <thread>

#include "db/timer_store.hpp"
#include "test/fake_timers.hpp"
#include "test/postgres.hpp"
#include "test/process.hpp"

namespace oms::test {
namespace {

using runtime::Clock;

// Long enough to be still to come when it is set: what is due at once needs no timer.
constexpr auto soon = 200ms;

/// One side of the port: sessions, and somebody else.
class Side {
  public:
    virtual ~Side() = default;
    virtual std::unique_ptr<clock::TimerStore> open() = 0;
    virtual void set(std::chrono::milliseconds delay) = 0;
    virtual int left() = 0;
    /// Somebody else begins to do what is due, and gives it up.
    virtual void take_in_hand() = 0;
    virtual void let_go() = 0;
};

class FakeSide final : public Side {
  public:
    std::unique_ptr<clock::TimerStore> open() override { return std::make_unique<FakeTimerSession>(db_); }
    void set(std::chrono::milliseconds delay) override {
        db_.set(delay);
        // As if what is due soon were due when it is looked for.
        if (delay < 1s) clock_.advance(delay);
    }
    int left() override { return db_.not_fired(); }
    void take_in_hand() override { hold(true); }
    void let_go() override { hold(false); }

  private:
    void hold(bool in_hand) {
        for (auto& [id, timer] : db_.timers) timer.in_hand = in_hand && timer.due <= clock_.now();
    }
    runtime::FakeClock clock_;
    FakeTimers db_{clock_};
};

class RealSide final : public Side {
  public:
    std::unique_ptr<clock::TimerStore> open() override { return std::make_unique<db::TimerStore>(settings_, stop_); }
    void set(std::chrono::milliseconds delay) override {
        ask("SELECT worker_test.set_timer('" + std::to_string(delay.count()) + "ms')");
    }
    int left() override { return std::stoi(ask("SELECT count(*) FROM oms.timer")); }
    void take_in_hand() override { somebody_.run_text("BEGIN; SELECT oms.run_due()"); }
    void let_go() override { somebody_.run_text("ROLLBACK"); }
    void lock_the_table() { somebody_.run_text("BEGIN; LOCK TABLE oms.timer"); }
    std::string ask(const std::string& sql) { return db_.ask(sql); }
    void request_stop() { stop_.request(); }

  private:
    TestDatabase db_;
    db::Connection somebody_{db_.target()};
    db::TimerSettings settings_{db_.target(), 30s};
    runtime::Stop stop_;
};

struct MakeSide {
    const char* name;
    std::function<std::unique_ptr<Side>()> make;
};

bool is_due(clock::TimerStore& store) {
    return eventually([&] { return store.next_due() <= 0s; });
}

class TimerStoreContract : public testing::TestWithParam<MakeSide> {
  protected:
    std::unique_ptr<Side> side = GetParam().make();
};

TEST_P(TimerStoreContract, WithoutTimersNothingIsDueForLong) {
    const auto store = side->open();
    EXPECT_EQ(store->run_due(10), 0u);
    EXPECT_GT(store->next_due(), 59min);
    side->set(24h);
    EXPECT_GT(store->next_due(), 59min);
    EXPECT_LE(store->next_due(), 1h);
}

TEST_P(TimerStoreContract, DoesWhatIsDueUpToTheLimit) {
    const auto store = side->open();
    for (int i = 0; i < 7; ++i) side->set(soon);
    side->set(30min);
    ASSERT_TRUE(is_due(*store));
    std::size_t done = 0;
    ASSERT_TRUE(eventually([&] {
        const auto now = store->run_due(3);
        EXPECT_LE(now, 3u);
        done += now;
        return done == 7;
    }));
    EXPECT_EQ(side->left(), 1);
    EXPECT_EQ(store->run_due(3), 0u);
    EXPECT_GT(store->next_due(), 20min);
    EXPECT_LE(store->next_due(), 30min);
}

TEST_P(TimerStoreContract, WhatSomebodyElseHasInHandIsDueAndNotWaitedFor) {
    const auto store = side->open();
    side->set(soon);
    ASSERT_TRUE(is_due(*store));
    side->take_in_hand();
    EXPECT_EQ(store->run_due(10), 0u);
    EXPECT_LE(store->next_due(), 0s);
    side->let_go();
    EXPECT_EQ(store->run_due(10), 1u);
    EXPECT_EQ(side->left(), 0);
}

TEST_P(TimerStoreContract, EachSleeperIsRung) {
    const auto one = side->open();
    const auto other = side->open();
    EXPECT_FALSE(one->take_ring());
    EXPECT_TRUE(one->arm_doorbell());
    EXPECT_TRUE(other->arm_doorbell()) << "several sleep at a time";
    side->set(5s);
    EXPECT_TRUE(eventually([&] { return one->take_ring(); }));
    EXPECT_TRUE(eventually([&] { return other->take_ring(); }));
    EXPECT_FALSE(one->take_ring()) << "rung once";
    one->disarm_doorbell();
    other->disarm_doorbell();
    EXPECT_TRUE(one->arm_doorbell()) << "taken and let go as often as one likes";
    one->disarm_doorbell();
}

INSTANTIATE_TEST_SUITE_P(Port, TimerStoreContract,
                         testing::Values(MakeSide{"Fake", [] { return std::make_unique<FakeSide>(); }},
                                         MakeSide{"PostgreSQL", [] { return std::make_unique<RealSide>(); }}),
                         [](const auto& made) { return std::string(made.param.name); });

bool waits_for_a_lock(RealSide& side) {
    return eventually([&] {
        return side.ask(
                   "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                   " AND wait_event_type = 'Lock'") == "1";
    });
}

TEST(TimerStore, ARunThatFailsLeavesTheSessionAsGoodAsBefore) {
    RealSide side;
    const auto store = side.open();
    side.set(soon);
    ASSERT_TRUE(is_due(*store));
    side.lock_the_table();
    EXPECT_THROW(store->run_due(10), clock::RunFailed) << "whoever waits for a lock gives up in the end";
    side.let_go();
    EXPECT_EQ(store->run_due(10), 1u);
}

TEST(TimerStore, AStopEndsARunThatWaits) {
    RealSide side;
    const auto store = side.open();
    side.lock_the_table();
    std::thread stopper([&] {
        EXPECT_TRUE(waits_for_a_lock(side));
        side.request_stop();
    });
    EXPECT_THROW(store->run_due(10), db::Interrupted);
    stopper.join();
    side.let_go();
}

TEST(TimerStore, ADatabaseWithoutTheExtensionIsAClearError) {
    const runtime::Stop stop;
    const db::TimerSettings settings{{"dbname=postgres", "", "t"}, 30s};
    try {
        db::TimerStore store(settings, stop);
        FAIL() << "not refused";
    } catch (const db::Error& error) {
        EXPECT_THAT(error.what(), testing::HasSubstr("CREATE EXTENSION oms"));
    }
}

}  // namespace
}  // namespace oms::test
