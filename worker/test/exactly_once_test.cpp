// Goal: in transactions a consumer of committed messages sees each event once, whatever fails and wherever: no event twice, none
// missing, no key out of order, dead letters and their copies once.
// Method: as in fault_test.cpp, one fake world; a fake broker whose transactions fail at their commit, with or without having
// been committed; real brokers are in exactly_once_kafka_test.cpp.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "test/fake_world.hpp"
#include "test/log_check.hpp"

namespace oms::test {
namespace {

constexpr int events = 60;

struct Killed {};  // not an exception of the standard's: nobody but the test catches it for good

struct ExactlyOnce : testing::Test {
    FakeDatabase db;
    FakeBroker broker;
    ExactlyOnce() { broker.transactional = true; }

    void append(int count = events) {
        for (int i = 0; i < count; ++i) db.append("key" + std::to_string(i % 5));
    }
    bool at_the_end() const { return db.cursor == static_cast<EventId>(db.rows.size()); }
    /// Runs processes one after the other until the cursor is at the end.
    void finish(const std::function<void(FakeProcess&)>& prepare = {}) {
        for (int processes = 0; processes < 100 && !at_the_end(); ++processes) {
            FakeProcess process(db, broker);
            if (prepare) prepare(process);
            process.waiter.meanwhile = [&] {
                if (at_the_end() || process.waiter.waits > 20'000) process.stop.request();
            };
            try {
                process.run();
            } catch (const Killed&) {
                db.lose_session();
            }
        }
    }
    void expect_exact(const std::string& what) const {
        const auto verdict = judge(db, broker);
        EXPECT_TRUE(at_the_end()) << what;
        EXPECT_EQ(verdict.missing, 0) << what;
        EXPECT_EQ(verdict.disorder, 0) << what;
        EXPECT_EQ(verdict.invented, 0) << what;
        EXPECT_EQ(verdict.duplicates, 0) << what;
    }
    int copies() const {
        return static_cast<int>(std::count_if(broker.log.begin(), broker.log.end(), [this](const Written& written) {
            return written.topic == "oms.dlq" && broker.visible(written);
        }));
    }
};

int calls_of_a_clean_run() {
    FakeDatabase db;
    FakeBroker broker;
    broker.transactional = true;
    for (int i = 0; i < events; ++i) db.append("key" + std::to_string(i % 5));
    FakeProcess process(db, broker);
    process.waiter.meanwhile = [&] {
        if (db.cursor == events) process.stop.request();
    };
    process.run();
    return db.calls();
}

/// Lets `harm` happen to one world for each call of a clean run.
template <typename Harm>
void at_each_call(const Harm& harm) {
    const int calls = calls_of_a_clean_run();
    ASSERT_GT(calls, 10);
    for (int call = 1; call <= calls; ++call) {
        struct World : ExactlyOnce {
            void TestBody() override {}
        } world;
        world.broker.random.seed(static_cast<unsigned>(call));
        world.append();
        harm(world, call);
        world.finish();
        world.expect_exact("call " + std::to_string(call));
    }
}

TEST_F(ExactlyOnce, EverythingArrivesInFewTransactions) {
    append(400);
    finish();
    expect_exact("a clean run");
    EXPECT_LE(broker.committed.size(), 60u) << "many events share one";
    EXPECT_EQ(broker.cursor->place.text, "1 400");
}

TEST_F(ExactlyOnce, NothingIsVisibleBeforeItsCursorIs) {
    append(400);
    db.on_call = [this](const std::string& call) {
        if (call != "commit" || !broker.cursor) return;
        EXPECT_LE(db.cursor, std::stoll(broker.cursor->place.text.substr(2))) << "the database's cursor follows";
    };
    finish();
    expect_exact("watched");
}

TEST(ExactlyOnceAtEachCall, AKillIsSurvived) {
    at_each_call([](ExactlyOnce& world, int call) {
        world.db.on_call = [&world, call](const std::string&) {
            if (world.db.calls() == call) throw Killed{};
        };
    });
}

TEST(ExactlyOnceAtEachCall, ALostSessionIsSurvived) {
    for (const auto when : {FakeDatabase::When::before, FakeDatabase::When::after})
        at_each_call([when](ExactlyOnce& world, int call) { world.db.faults = {{call, when}}; });
}

TEST(ExactlyOnceAtEachCall, AStopIsSurvived) {
    at_each_call([](ExactlyOnce& world, int call) {
        FakeProcess first(world.db, world.broker);
        world.db.on_call = [&](const std::string&) {
            if (world.db.calls() == call) first.stop.request();
        };
        first.waiter.meanwhile = [&] {
            if (world.at_the_end()) first.stop.request();
        };
        first.run();
        world.db.on_call = nullptr;
    });
}

TEST_F(ExactlyOnce, ACommitWhoseOutcomeNobodyToldIsFoundOut) {
    append();
    finish();
    const int clean = broker.transactions;
    for (const bool anyway : {false, true})
        for (int at = 1; at <= clean; ++at) {
            struct World : ExactlyOnce {
                void TestBody() override {}
            } world;
            world.append();
            world.broker.fail_commit_at = at;
            world.broker.commit_anyway = anyway;
            world.finish();
            world.expect_exact("commit " + std::to_string(at) + (anyway ? ", committed" : ", given up"));
            EXPECT_GE(world.broker.producers, 2);
        }
}

TEST(ExactlyOnceProducer, ThatBreaksAtEachMessageIsReplaced) {
    for (int at = 0; at < events; ++at) {
        struct World : ExactlyOnce {
            void TestBody() override {}
        } world;
        world.append();
        world.broker.break_after = at;
        world.finish();
        world.expect_exact("broken at message " + std::to_string(at));
    }
}

TEST_F(ExactlyOnce, ADatabaseWhoseHistoryLeftTheCursorCountsItsOwn) {
    append();
    finish();
    // A standby that had lost the last transactions was promoted; their ids are drawn again.
    db.history = 2;
    db.rows.resize(50);
    db.cursor = 45;
    for (int i = 0; i < 20; ++i) db.append("new" + std::to_string(i % 5));
    FakeProcess process(db, broker);
    process.waiter.meanwhile = [&] {
        if (at_the_end()) process.stop.request();
    };
    process.run();
    EXPECT_EQ(process.status.cursor(), "database: another history");
    std::set<EventId> seen;
    for (const auto& written : broker.log)
        if (broker.visible(written) && written.key.starts_with("new")) seen.insert(written.event);
    EXPECT_EQ(seen.size(), 20u) << "the new events under old ids";
    EXPECT_EQ(broker.cursor->place.text, "2 70");
}

TEST_F(ExactlyOnce, ARejectedEventIsDeadOnceAndCopiedOnceAndTheOthersGoOn) {
    append();
    broker.refuses = [](const relay::Event& event) { return event.id % 20 == 7; };
    finish([](FakeProcess& process) { process.settings.relay.dlq_topic = "oms.dlq"; });
    expect_exact("three dead letters");
    EXPECT_THAT(db.dead, testing::ElementsAre(testing::Key(7), testing::Key(27), testing::Key(47)));
    EXPECT_EQ(copies(), 3);
}

TEST_F(ExactlyOnce, ADeadLetterTopicThatRefusesDoesNotHoldTheOthers) {
    append();
    broker.refuses = [](const relay::Event& event) { return event.id == 7; };
    broker.refused_topics.insert("oms.dlq");
    finish([](FakeProcess& process) { process.settings.relay.dlq_topic = "oms.dlq"; });
    expect_exact("no copy");
    EXPECT_TRUE(db.dead.contains(7));
}

TEST_F(ExactlyOnce, WithBlockKeyLaterEventsOfTheKeyAreParkedOnce) {
    db.policies = {{"orders", true, false}};
    append();
    broker.refuses = [](const relay::Event& event) { return event.id == 7; };  // key1: 2, 7, 12, 17 ...
    finish();
    expect_exact("parked");
    EXPECT_THAT(db.parked, testing::UnorderedElementsAre(12, 17, 22, 27, 32, 37, 42, 47, 52, 57));
}

TEST_F(ExactlyOnce, AForbiddenTopicIsFoundAmongOthersAndItsEventsDie) {
    append(20);
    db.append("odd", "secret");
    append(20);
    broker.forbidden_topics = {"secret"};
    finish();
    expect_exact("one is forbidden");
    EXPECT_THAT(db.dead, testing::ElementsAre(testing::Key(21)));
}

TEST_F(ExactlyOnce, ACursorTopicThatIsForbiddenCostsNoEvent) {
    append(5);
    broker.forbidden_topics = {"cursors"};
    FakeProcess process(db, broker);
    process.waiter.meanwhile = [&] {
        if (process.waiter.waits == 100) broker.forbidden_topics.clear();
        if (at_the_end() || process.waiter.waits > 20'000) process.stop.request();
    };
    process.run();
    expect_exact("forbidden for a while");
    EXPECT_TRUE(db.dead.empty());
}

TEST(ExactlyOnceReplay, IsSentOnceWhateverFails) {
    int calls = 0;
    for (int call = 0; call <= calls; ++call) {
        struct World : ExactlyOnce {
            void TestBody() override {}
        } world;
        world.append(20);
        world.broker.refuses = [](const relay::Event& event) { return event.id == 7; };
        world.finish();
        world.broker.refuses = [](const relay::Event&) { return false; };
        world.db.replays = {{71, 7}};
        const int before = world.db.calls();
        const bool probe = call == 0;
        if (!probe)
            world.db.on_call = [&](const std::string&) {
                if (world.db.calls() == before + call) throw Killed{};
            };
        for (int processes = 0; processes < 5 && world.db.settled_replays.empty(); ++processes) {
            FakeProcess process(world.db, world.broker);
            process.waiter.meanwhile = [&] {
                if (!world.db.settled_replays.empty() || process.waiter.waits > 1000) process.stop.request();
            };
            try {
                process.run();
            } catch (const Killed&) {
                world.db.lose_session();
            }
        }
        if (probe) calls = world.db.calls() - before;
        const auto sent = std::count_if(world.broker.log.begin(), world.broker.log.end(), [&](const Written& written) {
            return written.event == 7 && world.broker.visible(written);
        });
        EXPECT_EQ(sent, 1) << "killed at call " << call;
        EXPECT_TRUE(world.db.settled_replays[71]);
    }
    EXPECT_GT(calls, 10);
}

// One random life, as in fault_test.cpp.
void live(unsigned seed) {
    std::mt19937 random(seed);
    struct World : ExactlyOnce {
        void TestBody() override {}
    } world;
    auto& db = world.db;
    auto& broker = world.broker;
    broker.random.seed(seed);
    broker.refuses = [](const relay::Event& event) { return event.id % 23 == 0; };
    const bool blocks = seed % 4 == 0;
    db.policies = {{"orders", blocks, seed % 3 == 0}};
    int to_append = 150;
    const auto done = [&] { return to_append == 0 && world.at_the_end(); };
    for (int processes = 0; processes < 400 && !done(); ++processes) {
        FakeProcess process(db, broker);
        process.settings.relay.dlq_topic = "oms.dlq";
        const int lifetime = 5 + static_cast<int>(random() % 200);
        const int killed_at = random() % 3 == 0 ? db.calls() + static_cast<int>(random() % 100) : -1;
        db.on_call = [&](const std::string&) {
            if (db.calls() == killed_at) throw Killed{};
        };
        process.waiter.meanwhile = [&] {
            const auto dice = random() % 100;
            if (to_append > 0 && dice < 60) {
                db.append("key" + std::to_string(random() % 6));
                --to_append;
            }
            if (dice == 60) db.lose_session();
            if (dice == 62) broker.break_after = static_cast<int>(random() % 20);
            if (dice == 63) broker.up = false;
            if (dice == 64) {
                broker.fail_commit_at = broker.transactions + static_cast<int>(random() % 3);
                broker.commit_anyway = random() % 2 == 0;
            }
            if (dice > 90) broker.up = true;
            if (process.waiter.waits > lifetime || done()) process.stop.request();
        };
        try {
            process.run();
        } catch (const Killed&) {
            db.lose_session();
        }
        broker.up = true;
    }
    world.expect_exact("seed " + std::to_string(seed));
    if (blocks) {
        // Of each key the first bad one is dead, and all that follow are parked behind it.
        std::map<std::string, EventId> dead;
        for (const auto& [event, error] : db.dead) {
            EXPECT_TRUE(dead.try_emplace(db.rows[static_cast<std::size_t>(event) - 1].key, event).second)
                << "seed " << seed;
        }
        const std::set<EventId> parked(db.parked.begin(), db.parked.end());
        for (const auto& row : db.rows) {
            const auto blocked_by = dead.find(row.key);
            EXPECT_EQ(parked.contains(row.id), blocked_by != dead.end() && row.id > blocked_by->second)
                << "seed " << seed;
        }
    } else {
        EXPECT_EQ(db.dead.size(), db.rows.size() / 23) << "seed " << seed;
    }
    EXPECT_EQ(world.copies(), static_cast<int>(db.dead.size())) << "seed " << seed;
}

TEST(ExactlyOnceFault, ManyRandomLives) {
    for (unsigned seed = 1; seed <= 2000; ++seed) live(seed);
}

}  // namespace
}  // namespace oms::test
