// Goal: no wake-up is lost, and the order of calls is the one that the protocol rests on. Method: the exact call sequence,
// and every interleaving of one relay with two producers, explored exhaustively.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/doorbell.hpp"
#include "test/fake_database.hpp"

namespace oms::runtime {
namespace {

using namespace std::chrono_literals;
using relay::EventId;
using test::FakeDatabase;
using test::FakeSession;
using testing::ElementsAre;

struct Fixture {
    FakeDatabase db;
    FakeClock clock;
    FakeSession session{db};
    Doorbell bell{session, clock, 5s};
    Fixture() {
        session.attach({});
        db.trace.clear();
    }
};

TEST(Doorbell, ReadsOnceMoreBetweenTakingTheBellAndSleeping) {
    Fixture f;
    EXPECT_EQ(f.bell.found_nothing(), 0ms);
    EXPECT_FALSE(f.bell.asleep()) << "one more read is due";
    EXPECT_EQ(f.bell.found_nothing(), 0ms);
    EXPECT_TRUE(f.bell.asleep());
    EXPECT_EQ(f.bell.sleeps_until(), f.clock.now() + 5s);
    EXPECT_THAT(f.db.trace, ElementsAre("ring", "arm"));
}

TEST(Doorbell, EventsInTheReadOnceMoreLetTheBellGo) {
    Fixture f;
    f.bell.found_nothing();
    f.bell.found();
    EXPECT_FALSE(f.bell.asleep());
    EXPECT_FALSE(f.db.bell_holder);
}

TEST(Doorbell, PausesFromOneToTenMillisecondsWhileAProducerCommits) {
    Fixture f;
    f.db.begin_commit();
    std::vector<Clock::duration> pauses;
    for (int i = 0; i < 6; ++i) pauses.push_back(f.bell.found_nothing());
    EXPECT_THAT(pauses, ElementsAre(1ms, 2ms, 4ms, 8ms, 10ms, 10ms));
    f.bell.found();
    EXPECT_EQ(f.bell.found_nothing(), 1ms) << "grows anew";
}

TEST(Doorbell, LetsTheBellGoBeforeTheReadThatFollowsTheSleep) {
    Fixture f;
    f.bell.found_nothing();
    f.bell.found_nothing();
    f.db.append("k");
    EXPECT_EQ(f.bell.wake(), Doorbell::Woken::by_bell);
    EXPECT_FALSE(f.db.bell_holder);
    EXPECT_FALSE(f.bell.asleep());
}

TEST(Doorbell, WakesByTheFloorWhenNobodyRings) {
    Fixture f;
    f.bell.found_nothing();
    f.bell.found_nothing();
    EXPECT_EQ(f.bell.wake(), Doorbell::Woken::no);
    f.clock.advance(5s);
    EXPECT_EQ(f.bell.wake(), Doorbell::Woken::by_floor);
}

// One relay, two producers, each producer's transaction in two steps (pre-commit, commit). The schedule is a list of
// choices: which of the three takes its next step. A schedule fails when, all producers being done, the relay sleeps without
// a ring although something was not read.
class Interleaving {
  public:
    explicit Interleaving(bool once_more) : once_more_(once_more) { session_.attach({}); }

    bool producer_step(int producer) {
        auto& step = steps_[producer];
        if (step == 2) return false;
        if (step++ == 0) {
            notifies_[producer] = db_.bell_holder.has_value();
            db_.begin_commit();
        } else {
            // Producers end in any order, so each takes back what it took itself.
            db_.rows.push_back({static_cast<EventId>(db_.rows.size()) + 1, 1, "k", "orders", "{}"});
            if (notifies_[producer]) {
                --db_.notifications;
                db_.rung = true;
            } else {
                --db_.shared_bell;
            }
        }
        return true;
    }
    void relay_step() {
        if (bell_.asleep()) {
            bell_.wake();
            return;
        }
        // Reading and what follows an empty read are two steps: producers come in between.
        if (!empty_read_) {
            const auto batch = session_.read(10, 1000);
            read_ += batch.events.size();
            if (!batch.events.empty()) return bell_.found();
            empty_read_ = true;
            return;
        }
        empty_read_ = false;
        bell_.found_nothing();
        // The broken variant: asleep as soon as the bell is taken.
        if (!once_more_ && db_.bell_holder) bell_.found_nothing();
    }
    bool lost_wake_up() const { return bell_.asleep() && !db_.rung && read_ < db_.rows.size(); }

  private:
    bool once_more_;
    FakeDatabase db_;
    FakeClock clock_;
    FakeSession session_{db_};
    Doorbell bell_{session_, clock_, 5s};
    int steps_[2] = {0, 0};
    bool notifies_[2] = {false, false};
    std::size_t read_ = 0;
    bool empty_read_ = false;
};

int count_lost_wake_ups(bool once_more) {
    constexpr int length = 10;
    int lost = 0;
    int schedules = 1;
    for (int i = 0; i < length; ++i) schedules *= 3;
    for (int schedule = 0; schedule < schedules; ++schedule) {
        Interleaving run(once_more);
        int rest = schedule;
        for (int i = 0; i < length; ++i, rest /= 3) {
            if (rest % 3 == 2) {
                run.relay_step();
            } else {
                run.producer_step(rest % 3);
            }
        }
        while (run.producer_step(0)) {
        }
        while (run.producer_step(1)) {
        }
        for (int i = 0; i < 20; ++i) run.relay_step();
        lost += run.lost_wake_up();
    }
    return lost;
}

TEST(Doorbell, LosesNoWakeUpInAnyInterleaving) { EXPECT_EQ(count_lost_wake_ups(true), 0); }

TEST(Doorbell, WithoutTheReadOnceMoreTheSearchFindsLostWakeUps) { EXPECT_GT(count_lost_wake_ups(false), 0); }

}  // namespace
}  // namespace oms::runtime
