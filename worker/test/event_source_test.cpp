// Goal: the fake database and PostgreSQL keep the same contract, so that what the relay is tested with is what it meets.
// Method: one suite, run against both.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "db/event_source.hpp"
#include "test/fake_database.hpp"
#include "test/postgres.hpp"
#include "test/process.hpp"

namespace oms::test {
namespace {

using namespace std::chrono_literals;
using relay::EventId;

/// One side of the port: sessions, and a producer.
class Side {
  public:
    virtual ~Side() = default;
    virtual std::unique_ptr<relay::EventSource> open() = 0;
    virtual EventId append(const std::string& key) = 0;
    virtual void set_policy(const std::string& topic, bool block_key, bool receipts) = 0;
    virtual std::vector<EventId> receipts() = 0;
    virtual bool is_dead(EventId event) = 0;
    virtual void ask_for_replay(EventId event) = 0;
};

class FakeSide final : public Side {
  public:
    std::unique_ptr<relay::EventSource> open() override { return std::make_unique<FakeSession>(db_); }
    EventId append(const std::string& key) override { return db_.append(key); }
    void set_policy(const std::string& topic, bool block_key, bool receipts) override {
        db_.policies.push_back({topic, block_key, receipts});
    }
    std::vector<EventId> receipts() override {
        std::vector<EventId> ids;
        for (const auto& receipt : db_.receipts) ids.push_back(receipt.event_id);
        return ids;
    }
    bool is_dead(EventId event) override { return db_.dead.contains(event); }
    void ask_for_replay(EventId event) override { db_.replays[100 + event] = event; }

  private:
    FakeDatabase db_;
};

class RealSide final : public Side {
  public:
    explicit RealSide(runtime::Clock::duration lease = 30s) {
        settings_.target = db_.target();
        settings_.reader = "kafka";
        settings_.start_at = "beginning";
        settings_.session_lease = lease;
    }
    std::unique_ptr<relay::EventSource> open() override { return std::make_unique<db::EventSource>(settings_, stop_); }
    std::string ask(const std::string& sql) { return db_.ask(sql); }
    EventId append(const std::string& key) override { return db_.append(key); }
    void set_policy(const std::string& topic, bool block_key, bool receipts) override {
        db_.ask("SELECT worker_test.set_policy('" + topic + "', '" + (block_key ? "block_key" : "skip") + "', " +
                (receipts ? "true" : "false") + ")");
    }
    std::vector<EventId> receipts() override {
        std::vector<EventId> ids;
        const auto count = std::stoll(db_.ask("SELECT count(*) FROM worker_test.receipts()"));
        for (long long i = 0; i < count; ++i)
            ids.push_back(std::stoll(
                db_.ask("SELECT event_id FROM worker_test.receipts() ORDER BY 1 OFFSET " + std::to_string(i))));
        return ids;
    }
    bool is_dead(EventId event) override {
        return db_.ask("SELECT count(*) FROM oms.dlq_list() WHERE status = 'failed' AND event_id = " +
                       std::to_string(event)) == "1";
    }
    void ask_for_replay(EventId event) override {
        db_.ask(
            "SELECT count(*) FROM oms.dlq_replay(ids => ARRAY(SELECT dead_letter_id FROM oms.dlq_list() WHERE event_id "
            "= " +
            std::to_string(event) + "), dry_run => false, reason => 'test')");
    }

  private:
    TestDatabase db_;
    db::ReaderSettings settings_;
    runtime::Stop stop_;
};

struct MakeSide {
    const char* name;
    std::function<std::unique_ptr<Side>()> make;
};

class EventSourceContract : public testing::TestWithParam<MakeSide> {
  protected:
    std::unique_ptr<Side> side = GetParam().make();

    std::vector<EventId> append(int count) {
        std::vector<EventId> ids;
        for (int i = 0; i < count; ++i) ids.push_back(side->append("key" + std::to_string(i % 3)));
        return ids;
    }
    static std::vector<EventId> ids_of(const relay::Batch& batch) {
        std::vector<EventId> ids;
        for (const auto& event : batch.events) ids.push_back(event.id);
        return ids;
    }
    static constexpr std::size_t plenty = 1u << 20;
};

TEST_P(EventSourceContract, ReadsOnBehindWhatThisSessionReadLast) {
    const auto ids = append(5);
    const auto source = side->open();
    ASSERT_TRUE(source->attach(0ms));
    const auto first = source->read(3, plenty);
    const auto second = source->read(3, plenty);
    EXPECT_EQ(ids_of(first), std::vector(ids.begin(), ids.begin() + 3));
    EXPECT_EQ(ids_of(second), std::vector(ids.begin() + 3, ids.end()));
    EXPECT_TRUE(source->read(3, plenty).events.empty());
    EXPECT_EQ(first.events[1].key, "key1") << "a batch stays readable after the next one";
    EXPECT_EQ(first.events[1].aggregate_id, "key1");
    EXPECT_EQ(first.events[1].topic, "orders");
    EXPECT_EQ(first.events[1].seq, 1);
    EXPECT_EQ(second.events[0].seq, 2);
    EXPECT_EQ(first.events[1].payload, "{}");
    EXPECT_TRUE(first.events[1].occurred_at.ends_with("+00"));
}

TEST_P(EventSourceContract, APrefetchedBatchIsTheNextOneRead) {
    const auto ids = append(6);
    const auto source = side->open();
    source->attach(0ms);
    EXPECT_EQ(source->read(2, plenty).events.size(), 2u);
    source->prefetch(2, plenty);
    source->commit(ids[0], {});  // another call in between does not lose it
    source->keep_alive();
    EXPECT_EQ(ids_of(source->read(100, plenty)), std::vector(ids.begin() + 2, ids.begin() + 4));
    EXPECT_EQ(ids_of(source->read(100, plenty)), std::vector(ids.begin() + 4, ids.end()));
}

TEST_P(EventSourceContract, ANewOwnerReadsFromTheStoredCursor) {
    const auto ids = append(5);
    {
        const auto source = side->open();
        source->attach(0ms);
        source->read(5, plenty);
        source->commit(ids[1], {});
    }
    const auto source = side->open();
    ASSERT_TRUE(source->attach(5s)) << "the lock goes with the session";
    EXPECT_EQ(ids_of(source->read(10, plenty)), std::vector(ids.begin() + 2, ids.end()));
}

TEST_P(EventSourceContract, AttachingAnewForgetsWhatWasReadAhead) {
    const auto ids = append(4);
    const auto source = side->open();
    source->attach(0ms);
    source->read(1, plenty);
    source->prefetch(1, plenty);
    source->commit(ids[0], {});
    source->detach();
    ASSERT_TRUE(source->attach(0ms));
    EXPECT_EQ(ids_of(source->read(10, plenty)), std::vector(ids.begin() + 1, ids.end()));
}

TEST_P(EventSourceContract, OneSessionOwnsTheReader) {
    const auto leader = side->open();
    const auto standby = side->open();
    ASSERT_TRUE(leader->attach(0ms));
    EXPECT_FALSE(standby->attach(0ms));
    EXPECT_FALSE(standby->attach(20ms));
    leader->detach();
    EXPECT_TRUE(standby->attach(20ms));
    EXPECT_FALSE(leader->attach(0ms));
}

TEST(EventSource, ALeaderThatHungAsleepLosesItsReaderAlsoWhenItsSocketIsFull) {
    RealSide side(1s);
    const auto hung = side.open();
    ASSERT_TRUE(hung->attach(0s));
    ASSERT_TRUE(hung->arm_doorbell());
    side.ask("SELECT pg_notify('oms_doorbell', n || repeat('x', 2000)) FROM generate_series(1, 2000) n");
    ASSERT_TRUE(eventually([&] {
        return side.ask(
                   "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = "
                   "'ClientWrite'") == "1";
    }));
    const auto standby = side.open();
    EXPECT_TRUE(eventually([&] { return standby->attach(100ms); }));
    EXPECT_ANY_THROW(hung->keep_alive());
}

TEST_P(EventSourceContract, TheDoorbellIsHeldByOneAndRungWhenHeld) {
    const auto source = side->open();
    source->attach(0ms);
    side->append("a");
    EXPECT_FALSE(source->take_ring()) << "nobody slept, nobody rang";
    ASSERT_TRUE(source->arm_doorbell());
    side->append("a");
    source->keep_alive();  // the ring arrives with the answer to another statement
    EXPECT_TRUE(source->take_ring());
    EXPECT_FALSE(source->take_ring()) << "taken once";
    source->disarm_doorbell();
    side->append("a");
    source->keep_alive();
    EXPECT_FALSE(source->take_ring());
}

TEST_P(EventSourceContract, ARejectedEventIsADeadLetterHoweverOftenItIsSaid) {
    const auto ids = append(2);
    const auto source = side->open();
    source->attach(0ms);
    source->read(10, plenty);
    EXPECT_TRUE(source->reject(ids[0], "too \"large\"", false));
    EXPECT_TRUE(source->reject(ids[0], "too large", false));
    EXPECT_TRUE(side->is_dead(ids[0]));
    EXPECT_FALSE(side->is_dead(ids[1]));
    EXPECT_TRUE(source->blocked_keys().empty()) << "the default policy holds nothing back";
}

TEST_P(EventSourceContract, WithBlockKeyTheKeyIsHeldBackAndParkingSaysWhetherItStillIs) {
    side->set_policy("orders", true, false);
    const auto ids = append(6);
    const auto source = side->open();
    source->attach(0ms);
    source->read(10, plenty);
    EXPECT_FALSE(source->reject(ids[1], "waits", true)) << "nothing holds this key";
    source->reject(ids[0], "too large", false);
    const auto blocked = source->blocked_keys();
    ASSERT_EQ(blocked.size(), 1u);
    EXPECT_EQ(blocked[0].topic, "orders");
    EXPECT_EQ(blocked[0].key, "key0");
    EXPECT_TRUE(source->reject(ids[3], "waits", true));
    const auto policies = source->topic_policies();
    ASSERT_EQ(policies.size(), 1u);
    EXPECT_TRUE(policies[0].block_key);
}

TEST_P(EventSourceContract, ReceiptsAreCommittedWithTheCursorAndMayRepeat) {
    side->set_policy("orders", false, true);
    const auto ids = append(3);
    const auto source = side->open();
    source->attach(0ms);
    source->read(10, plenty);
    const std::vector<relay::Receipt> receipts = {{ids[0], "orders", 1, 17, 1700000000123},
                                                  {ids[1], "orders", 0, 4, 1700000000999}};
    source->commit(ids[1], receipts);
    EXPECT_THAT(side->receipts(), testing::UnorderedElementsAre(ids[0], ids[1]));
}

TEST_P(EventSourceContract, ReplaysAreGivenUntilTheyAreSettled) {
    const auto ids = append(3);
    const auto source = side->open();
    source->attach(0ms);
    source->read(10, plenty);
    EXPECT_TRUE(source->take_replays(10).replays.empty());
    source->reject(ids[1], "too large", false);
    side->ask_for_replay(ids[1]);
    const auto taken = source->take_replays(10);
    ASSERT_EQ(taken.replays.size(), 1u);
    EXPECT_EQ(taken.replays[0].event.id, ids[1]);
    EXPECT_EQ(taken.replays[0].event.key, "key1");
    EXPECT_EQ(source->take_replays(10).replays.size(), 1u) << "not settled";
    source->settle_replay(taken.replays[0].attempt_id, true, "");
    EXPECT_TRUE(source->take_replays(10).replays.empty());
}

TEST_P(EventSourceContract, ABookmarkIsGoneBackToByTheNextSession) {
    if (!extension_offered()) GTEST_SKIP() << "the stand-in writes no bookmarks";
    const auto ids = append(10);
    relay::Bookmark place;
    {
        const auto source = side->open();
        ASSERT_TRUE(source->attach(0ms));
        source->read(4, plenty);
        source->prefetch(4, plenty);
        place = source->bookmark(ids[2]);
        source->commit(ids[1], {});
        EXPECT_FALSE(source->identity().empty());
    }
    const auto next = side->open();
    ASSERT_TRUE(next->attach(10s));
    EXPECT_FALSE(next->resume(place.text).refused);
    EXPECT_FALSE(next->resume(place.text).refused) << "it stands there";
    EXPECT_EQ(ids_of(next->read(100, plenty)), std::vector(ids.begin() + 3, ids.end()));
}

TEST_P(EventSourceContract, ABookmarkThatIsNoneIsRefusedAndTheStoredCursorCounts) {
    if (!extension_offered()) GTEST_SKIP() << "the stand-in writes no bookmarks";
    const auto ids = append(3);
    const auto source = side->open();
    ASSERT_TRUE(source->attach(0ms));
    const auto answer = source->resume("junk");
    EXPECT_TRUE(answer.refused);
    EXPECT_FALSE(answer.reason.empty());
    EXPECT_EQ(ids_of(source->read(100, plenty)), ids);
}

TEST_P(EventSourceContract, WhatWasDecidedAheadOfTheCursorIsTold) {
    const auto ids = append(5);
    const auto source = side->open();
    ASSERT_TRUE(source->attach(0ms));
    EXPECT_TRUE(source->decided_ahead().empty());
    source->read(100, plenty);
    source->reject(ids[3], "too large", false);
    const auto decided = source->decided_ahead();
    ASSERT_EQ(decided.size(), 1u);
    EXPECT_EQ(decided[0].event, ids[3]);
    EXPECT_EQ(decided[0].error, "too large");
    EXPECT_EQ(decided[0].topic, "orders");
    EXPECT_EQ(decided[0].key, "key0");
    EXPECT_FALSE(decided[0].parked);
    source->commit(ids[4], {});
    EXPECT_TRUE(source->decided_ahead().empty());
}

INSTANTIATE_TEST_SUITE_P(Port, EventSourceContract,
                         testing::Values(MakeSide{"Fake", [] { return std::make_unique<FakeSide>(); }},
                                         MakeSide{"PostgreSQL", [] { return std::make_unique<RealSide>(); }}),
                         [](const auto& made) { return std::string(made.param.name); });

}  // namespace
}  // namespace oms::test
