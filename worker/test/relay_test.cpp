// Goal: the relay's promises while nothing is lost: everything arrives, in order, the cursor follows the acknowledgements,
// what is in flight is bounded, and it sleeps when there is nothing to do. Method: one relay in a fake world.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "test/fake_world.hpp"
#include "test/log_check.hpp"

namespace oms::test {
namespace {

using relay::EventId;

struct RelayTest : testing::Test {
    FakeDatabase db;
    FakeBroker broker;
    FakeProcess process{db, broker};

    /// Runs until `done`, looked at whenever the relay waits; fails when that never happens.
    void run_until(std::function<bool()> done) {
        process.waiter.meanwhile = [this, done, more = process.waiter.meanwhile] {
            if (more) more();
            if (done()) process.stop.request();
            if (process.waiter.waits < 100'000) return;
            ADD_FAILURE() << "never done";
            process.stop.request();
        };
        process.run();
    }
    void run_until_cursor_at(EventId id) {
        run_until([this, id] { return db.cursor >= id; });
    }
    void append(int count, int keys = 7) {
        for (int i = 0; i < count; ++i) db.append("key" + std::to_string(i % keys));
    }
    void expect_perfect() {
        const auto verdict = judge(db, broker);
        EXPECT_EQ(verdict.missing, 0);
        EXPECT_EQ(verdict.disorder, 0);
        EXPECT_EQ(verdict.duplicates, 0);
        EXPECT_EQ(verdict.invented, 0);
    }
};

TEST_F(RelayTest, CarriesABacklogInOrderAndMovesTheCursorToItsEnd) {
    append(500);
    run_until_cursor_at(500);
    expect_perfect();
    EXPECT_EQ(db.cursor, 500);
    EXPECT_FALSE(db.owner) << "the reader is given back";
}

TEST_F(RelayTest, NeverMovesTheCursorPastAnUnacknowledgedEvent) {
    append(300);
    db.on_call = [this](const std::string& call) {
        if (call != "commit") return;
        std::set<EventId> written;
        for (const auto& w : broker.log) written.insert(w.event);
        for (EventId id = 1; id <= db.cursor; ++id) EXPECT_TRUE(written.contains(id)) << id;
    };
    run_until_cursor_at(300);
}

TEST_F(RelayTest, BoundsWhatIsInFlightWhileTheBrokerIsDown) {
    broker.up = false;
    append(1000);
    std::size_t most = 0;
    process.waiter.meanwhile = [&] {
        if (!broker.up) most = std::max(most, static_cast<std::size_t>(broker.handed_over));
        if (process.waiter.waits == 500) broker.up = true;
    };
    run_until_cursor_at(1000);
    EXPECT_EQ(most, process.settings.relay.in_flight_messages);
    EXPECT_TRUE(db.dead.empty()) << "an outage costs no attempt";
    EXPECT_EQ(broker.producers, 1);
    expect_perfect();
}

TEST_F(RelayTest, BoundsBytesInFlight) {
    process.settings.relay.in_flight_bytes = 10'000;
    broker.up = false;
    for (int i = 0; i < 200; ++i) db.append("k", "orders", std::string(1000, 'x'));
    process.waiter.meanwhile = [&] {
        if (process.waiter.waits == 100) {
            EXPECT_LE(broker.handed_over, 30) << "10 kB, and one batch of unknown size";
            broker.up = true;
        }
    };
    run_until_cursor_at(200);
    expect_perfect();
}

TEST_F(RelayTest, ReadsAheadWhileAcknowledgementsAreOutstanding) {
    broker.up = false;
    append(30);
    process.waiter.meanwhile = [&] {
        if (process.waiter.waits == 10) {
            EXPECT_EQ(broker.handed_over, 30) << "three batches, no acknowledgement";
            broker.up = true;
        }
    };
    run_until_cursor_at(30);
}

TEST_F(RelayTest, WritesTheCursorAtMostOncePerInterval) {
    std::vector<runtime::Clock::time_point> written;
    db.on_call = [&](const std::string& call) {
        if (call == "commit") written.push_back(process.clock.now());
    };
    int left = 400;
    process.waiter.meanwhile = [&] {
        process.clock.advance(1ms);
        if (left-- > 0) db.append("k");
    };
    run_until_cursor_at(400);
    ASSERT_GT(written.size(), 2u);
    for (std::size_t i = 1; i + 1 < written.size(); ++i) EXPECT_GE(written[i] - written[i - 1], 100ms);
}

TEST_F(RelayTest, ReadsThatFindLittleLeaveTheServerTimeForOthers) {
    std::optional<runtime::Clock::time_point> last_end;
    int busy_reads = 0;
    db.on_call = [&](const std::string& call) {
        if (call != "read") return;
        if (last_end) {
            EXPECT_GE(process.clock.now() - *last_end, 4 * 200us);
            ++busy_reads;
        }
        process.clock.advance(200us);
        last_end = process.clock.now();
        if (busy_reads < 100) db.append("k");  // each read finds one event
        if (busy_reads == 100) last_end.reset();
    };
    run_until([&] { return busy_reads == 100 && db.cursor == static_cast<EventId>(db.rows.size()); });
    EXPECT_EQ(busy_reads, 100);
    expect_perfect();
}

TEST_F(RelayTest, SleepsOnTheBellAndWakesByIt) {
    append(1);
    std::vector<std::string> around;
    bool appended = false;
    process.waiter.meanwhile = [&] {
        if (!db.bell_holder || appended || db.cursor != 1) return;
        appended = true;
        db.trace.clear();
        db.append("k");
        EXPECT_TRUE(db.rung) << "the sleeping relay holds the bell, so the producer notifies";
    };
    run_until_cursor_at(2);
    EXPECT_TRUE(appended);
    around.assign(db.trace.begin(), db.trace.begin() + 3);
    EXPECT_THAT(around, testing::ElementsAre("ring", "disarm", "read"));
    EXPECT_EQ(process.metrics.wakeups_by_bell.Value(), 1);
    EXPECT_EQ(process.metrics.wakeups_by_floor.Value(), 0);
}

TEST_F(RelayTest, DoesNotPollWhileAsleep) {
    append(1);
    int reads_when_caught_up = -1;
    run_until([&] {
        const auto reads = static_cast<int>(process.metrics.reads_empty.Value());
        if (db.bell_holder && reads_when_caught_up < 0) reads_when_caught_up = reads;
        return process.clock.now().time_since_epoch() > 60s;
    });
    const auto empty = static_cast<int>(process.metrics.reads_empty.Value());
    EXPECT_LE(empty - reads_when_caught_up, 2 * 60 / 5 + 2) << "two reads per floor timeout";
}

TEST_F(RelayTest, AStopLetsTheBellGo) {
    run_until([this] { return db.bell_holder.has_value(); });
    EXPECT_FALSE(db.bell_holder);
    EXPECT_THAT(db.trace, testing::Contains("disarm"));
}

TEST_F(RelayTest, EventsWithoutATopicAreBehindTheCursorAndNotSent) {
    db.append("a");
    db.append("a", "");
    db.append("a");
    run_until_cursor_at(3);
    EXPECT_EQ(broker.log.size(), 2u);
    expect_perfect();
}

TEST_F(RelayTest, APermanentFailureBecomesADeadLetterAndTheCursorGoesOn) {
    append(50);
    broker.refuses = [](const relay::Event& event) { return event.id % 10 == 0; };
    run_until_cursor_at(50);
    EXPECT_EQ(db.dead.size(), 5u);
    EXPECT_EQ(db.dead[10], "MSG_SIZE_TOO_LARGE");
    EXPECT_EQ(broker.log.size(), 45u);
    expect_perfect();
}

TEST_F(RelayTest, TheDeadLetterIsCommittedBeforeTheCursorPassesIt) {
    append(20);
    broker.refuses = [](const relay::Event& event) { return event.id == 5; };
    db.on_call = [this](const std::string& call) {
        if (call == "commit" && db.cursor >= 5) {
            EXPECT_TRUE(db.dead.contains(5));
        }
    };
    run_until_cursor_at(20);
}

TEST_F(RelayTest, ARejectedMessageIsPublishedToTheDeadLetterTopic) {
    process.settings.relay.dlq_topic = "oms.dlq";
    append(3);
    broker.refuses = [](const relay::Event& event) { return event.id == 2; };
    run_until_cursor_at(3);
    const auto copy =
        std::find_if(broker.log.begin(), broker.log.end(), [](const Written& w) { return w.topic == "oms.dlq"; });
    ASSERT_NE(copy, broker.log.end());
    EXPECT_EQ(copy->key, "key1");
    EXPECT_THAT(copy->headers, testing::Contains(testing::Pair("oms_original_topic", "orders")));
    EXPECT_THAT(copy->headers, testing::Contains(testing::Pair("oms_error", "MSG_SIZE_TOO_LARGE")));
}

TEST_F(RelayTest, ADeadLetterTopicThatRefusesDoesNotHoldTheCursor) {
    process.settings.relay.dlq_topic = "oms.dlq";
    broker.refused_topics.insert("oms.dlq");
    append(3);
    broker.refuses = [](const relay::Event& event) { return event.id == 2; };
    run_until_cursor_at(3);
    EXPECT_TRUE(db.dead.contains(2));
}

TEST_F(RelayTest, WithBlockKeyLaterEventsOfTheKeyAreParkedInOrder) {
    db.policies = {{"orders", true, false}};
    append(70, 7);
    broker.refuses = [](const relay::Event& event) { return event.id == 10; };  // key2: 3, 10, 17, 24 ...
    run_until_cursor_at(70);
    EXPECT_THAT(db.parked, testing::ElementsAre(17, 24, 31, 38, 45, 52, 59, 66));
    EXPECT_EQ(broker.log.size(), 70u - 9u);
    expect_perfect();
}

TEST_F(RelayTest, AKeyThatIsFreeAgainFlowsAgain) {
    db.policies = {{"orders", true, false}};
    db.blocked = {{"orders", "a"}};
    db.append("a");
    run_until([&] {
        if (db.parked.size() == 1 && !db.blocked.empty()) {
            db.blocked.clear();  // an operator replayed or discarded what held it back
            db.append("a");
        }
        return db.cursor == 2;
    });
    EXPECT_THAT(db.parked, testing::ElementsAre(1));
    ASSERT_EQ(broker.log.size(), 1u);
    EXPECT_EQ(broker.log[0].event, 2);
}

TEST_F(RelayTest, ReceiptsAreWrittenWithTheCursor) {
    db.policies = {{"orders", false, true}};
    append(25);
    run_until_cursor_at(25);
    std::set<EventId> receipted;
    for (const auto& receipt : db.receipts) receipted.insert(receipt.event_id);
    EXPECT_EQ(receipted.size(), 25u);
    EXPECT_EQ(db.receipts.size(), 25u);
}

TEST_F(RelayTest, ReplaysAreSentAndSettled) {
    append(5);
    broker.refuses = [](const relay::Event& event) { return event.id == 4; };
    run_until([&] {
        if (db.cursor == 5 && db.settled_replays.empty() && db.replays.empty()) db.replays = {{71, 2}, {72, 4}};
        return db.settled_replays.size() == 2;
    });
    EXPECT_TRUE(db.settled_replays[71]);
    EXPECT_FALSE(db.settled_replays[72]);
}

TEST_F(RelayTest, ReplaysThatFollowEachOtherDoNotWaitForTheNextLook) {
    append(5);
    std::vector<runtime::Clock::time_point> settled;
    db.on_call = [&](const std::string& call) {
        // As with block_key: one of a key at a time, the next one when the last is settled.
        if (call == "settle_replay") settled.push_back(process.clock.now());
        if (call == "take_replays" && db.cursor == 5 && db.replays.empty() && settled.size() < 5)
            db.replays = {{static_cast<std::int64_t>(71 + settled.size()), static_cast<EventId>(1 + settled.size())}};
    };
    run_until([&] { return settled.size() == 5; });
    ASSERT_EQ(settled.size(), 5u);
    EXPECT_LT(settled.back() - settled.front(), process.settings.relay.replay_interval);
}

TEST_F(RelayTest, AStopWithoutASessionStillMovesTheCursor) {
    append(60);
    process.settings.relay.commit_interval = 1h;
    bool cut = false;
    process.waiter.meanwhile = [&] {
        if (cut || broker.log.size() < 60) return;
        cut = true;
        db.lose_session();
    };
    db.on_call = [&](const std::string&) {
        if (cut) process.stop.request();
    };
    run_until([] { return false; });
    EXPECT_EQ(db.cursor, 60);
    EXPECT_FALSE(db.owner) << "the reader is given back";
    expect_perfect();
}

TEST_F(RelayTest, AStopWithoutADatabaseLeavesAtOnce) {
    append(60);
    process.settings.relay.commit_interval = 1h;
    db.on_call = [&](const std::string& call) {
        if (broker.log.size() < 60) return;
        process.stop.request();
        db.lose_session();
        if (call == "open") throw SessionLost("nobody listens");
    };
    run_until([] { return false; });
    EXPECT_LT(db.cursor, 60);
    EXPECT_LT(process.clock.now().time_since_epoch(), 10s);
}

TEST_F(RelayTest, ABrokenProducerIsReplacedAndNothingIsSentTwiceThatWasAcknowledged) {
    append(400);
    broker.break_after = 133;
    run_until_cursor_at(400);
    EXPECT_EQ(broker.producers, 2);
    EXPECT_EQ(db.sessions, 1) << "the session stays";
    const auto verdict = judge(db, broker);
    EXPECT_EQ(verdict.missing, 0);
    EXPECT_EQ(verdict.disorder, 0);
    EXPECT_EQ(verdict.unexcused, 0);
}

TEST_F(RelayTest, AStandbyWaitsAndTakesOver) {
    append(10);
    db.sessions = 1;
    db.owner = 1;  // somebody else
    process.waiter.meanwhile = [] {};
    int attempts = 0;
    db.on_call = [&](const std::string& call) {
        if (call == "attach" && ++attempts == 20) {
            EXPECT_EQ(process.status.phase.load(), runtime::Phase::standby);
            db.owner.reset();
        }
        if (call == "read") {
            EXPECT_GE(attempts, 20);
        }
    };
    run_until_cursor_at(10);
    expect_perfect();
}

TEST_F(RelayTest, AStopWhileTheBrokerIsDownLeavesInTimeAndLosesNothing) {
    append(100);
    run_until([&] {
        if (broker.log.size() > 30) broker.up = false;
        return !broker.up;
    });
    EXPECT_LE(process.clock.now().time_since_epoch(), process.settings.relay.drain_timeout + 10s);
    // Acknowledged behind a hole that the outage left: the cursor could not pass them.
    for (const auto& written : broker.log)
        if (written.event > db.cursor) broker.in_doubt.insert(written.event);
    broker.up = true;
    FakeProcess next(db, broker);
    next.waiter.meanwhile = [&] {
        if (db.cursor == 100) next.stop.request();
    };
    next.run();
    const auto verdict = judge(db, broker);
    EXPECT_EQ(verdict.missing, 0);
    EXPECT_EQ(verdict.disorder, 0);
    EXPECT_EQ(verdict.unexcused, 0);
}

}  // namespace
}  // namespace oms::test
