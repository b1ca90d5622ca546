// Goal: whatever fails, and wherever, nothing is missing, no key is disordered, and only what was in doubt arrives twice.
// Method: a session cut before and after each call in turn, a stop at each call in turn, and many random mixtures of faults,
// each run to the end by as many processes as it takes.
#include <gtest/gtest.h>

#include "test/fake_world.hpp"
#include "test/log_check.hpp"

namespace oms::test {
namespace {

constexpr int events = 60;

struct Killed {};  // not an exception of the standard's: nobody but the test catches it for good

void append_some(FakeDatabase& db) {
    for (int i = 0; i < events; ++i) db.append("key" + std::to_string(i % 5));
}

/// Runs processes one after the other until the cursor is at the end.
void finish(FakeDatabase& db, FakeBroker& broker) {
    for (int processes = 0; processes < 50 && db.cursor < static_cast<EventId>(db.rows.size()); ++processes) {
        FakeProcess process(db, broker);
        process.waiter.meanwhile = [&] {
            if (db.cursor == static_cast<EventId>(db.rows.size()) || process.waiter.waits > 20'000)
                process.stop.request();
        };
        try {
            process.run();
        } catch (const Killed&) {
            db.lose_session();
            // It knew acknowledgements that nobody has written down.
            for (const auto& written : broker.log)
                if (written.event > db.cursor) broker.in_doubt.insert(written.event);
        }
    }
}

void expect_sound(const FakeDatabase& db, const FakeBroker& broker, const std::string& what) {
    const auto verdict = judge(db, broker);
    EXPECT_EQ(db.cursor, static_cast<EventId>(db.rows.size())) << what;
    EXPECT_EQ(verdict.missing, 0) << what;
    EXPECT_EQ(verdict.disorder, 0) << what;
    EXPECT_EQ(verdict.invented, 0) << what;
    EXPECT_EQ(verdict.unexcused, 0) << what;
}

int calls_of_a_clean_run() {
    FakeDatabase db;
    FakeBroker broker;
    append_some(db);
    finish(db, broker);
    return db.calls();
}

class CutAtEachCall : public testing::TestWithParam<FakeDatabase::When> {};

TEST_P(CutAtEachCall, IsSurvived) {
    const int calls = calls_of_a_clean_run();
    ASSERT_GT(calls, 10);
    for (int call = 1; call <= calls; ++call) {
        FakeDatabase db;
        FakeBroker broker(static_cast<unsigned>(call));
        append_some(db);
        db.faults = {{call, GetParam()}};
        finish(db, broker);
        expect_sound(db, broker, "cut at call " + std::to_string(call));
    }
}

INSTANTIATE_TEST_SUITE_P(Fault, CutAtEachCall, testing::Values(FakeDatabase::When::before, FakeDatabase::When::after),
                         [](const auto& when) {
                             return when.param == FakeDatabase::When::before ? "Before" : "InDoubt";
                         });

TEST(Fault, ASessionThatIsCutCostsNoDuplicateWhenTheBrokerAnswers) {
    const int calls = calls_of_a_clean_run();
    for (int call = 1; call <= calls; ++call) {
        FakeDatabase db;
        FakeBroker broker(static_cast<unsigned>(call));
        append_some(db);
        db.faults = {{call, FakeDatabase::When::before}};
        finish(db, broker);
        EXPECT_EQ(judge(db, broker).duplicates, 0) << "cut at call " << call;
    }
}

TEST(Fault, AStopAtEachCallLosesNothing) {
    const int calls = calls_of_a_clean_run();
    for (int call = 1; call <= calls; ++call) {
        FakeDatabase db;
        FakeBroker broker(static_cast<unsigned>(call));
        append_some(db);
        {
            FakeProcess first(db, broker);
            db.on_call = [&](const std::string&) {
                if (db.calls() == call) first.stop.request();
            };
            first.waiter.meanwhile = [&] {
                if (db.cursor == events) first.stop.request();
            };
            first.run();
            EXPECT_TRUE(broker.in_doubt.empty()) << "an orderly stop leaves nothing in doubt";
        }
        db.on_call = nullptr;
        finish(db, broker);
        expect_sound(db, broker, "stopped at call " + std::to_string(call));
        EXPECT_EQ(judge(db, broker).duplicates, 0) << "stopped at call " << call;
    }
}

TEST(Fault, AProducerThatBreaksAtEachMessageIsReplaced) {
    for (int at = 0; at < events; ++at) {
        FakeDatabase db;
        FakeBroker broker(static_cast<unsigned>(at));
        append_some(db);
        broker.break_after = at;
        finish(db, broker);
        expect_sound(db, broker, "broken at message " + std::to_string(at));
    }
}

// Of a key that a dead letter holds back: what came before it was delivered and is not parked, what comes behind it is; whatever is
// read again. Otherwise it would be repeated, or overtaken, when an operator replays the dead letter.
void block_key_survives(const std::function<void(FakeDatabase&)>& harm) {
    const std::vector<EventId> behind = {28, 33, 38, 43, 48, 53, 58};  // in key2, as 3, 8, 13, 18
    int harmed = 0;
    int calls = 1;
    for (int call = 1; call <= calls; ++call) {
        FakeDatabase db;
        FakeBroker broker(static_cast<unsigned>(call));
        db.policies = {{"orders", true, false}};
        append_some(db);
        broker.refuses = [](const relay::Event& event) { return event.id == 23; };
        db.on_call = [&](const std::string&) {
            if (db.calls() != call) return;
            ++harmed;
            harm(db);
        };
        finish(db, broker);
        db.on_call = nullptr;
        expect_sound(db, broker, "harmed at call " + std::to_string(call));
        EXPECT_EQ(db.dead.size(), 1u);
        std::sort(db.parked.begin(), db.parked.end());
        EXPECT_EQ(db.parked, behind) << "harmed at call " << call << ", "
                                     << db.trace[static_cast<std::size_t>(call) - 1];
        calls = std::max(calls, db.calls());
    }
    std::printf("harmed %d times\n", harmed);
    EXPECT_GT(harmed, 30);
}

TEST(Fault, WithBlockKeyAKillParksNothingThatWasDelivered) {
    block_key_survives([](FakeDatabase&) { throw Killed{}; });
}

TEST(Fault, WithBlockKeyALostSessionParksAllThatFollows) {
    block_key_survives([](FakeDatabase& db) { db.lose_session(); });
}

// One random life: events arrive while sessions are cut, producers break, the broker goes away, messages are refused,
// processes stop in order or die.
void live(unsigned seed) {
    std::mt19937 random(seed);
    FakeDatabase db;
    FakeBroker broker(seed);
    broker.refuses = [](const relay::Event& event) { return event.id % 23 == 0; };
    if (seed % 3 == 0) db.policies = {{"orders", false, true}};
    int to_append = 150;
    const auto done = [&] { return to_append == 0 && db.cursor == static_cast<EventId>(db.rows.size()); };
    for (int processes = 0; processes < 200 && !done(); ++processes) {
        FakeProcess process(db, broker);
        const int lifetime = 5 + static_cast<int>(random() % 200);
        process.waiter.meanwhile = [&] {
            const auto dice = random() % 100;
            if (to_append > 0 && dice < 60) {
                db.append("key" + std::to_string(random() % 6));
                --to_append;
            }
            if (dice == 60) db.lose_session();
            if (dice == 61)
                db.faults = {{db.calls() + 1 + static_cast<int>(random() % 5),
                              random() % 2 == 0 ? FakeDatabase::When::before : FakeDatabase::When::after}};
            if (dice == 62) broker.break_after = static_cast<int>(random() % 20);
            if (dice == 63) broker.up = false;
            if (dice > 90) broker.up = true;
            if (process.waiter.waits > lifetime || done()) process.stop.request();
        };
        process.run();
        broker.up = true;
        // A process that ends without a session knows acknowledgements that it cannot write down.
        for (const auto& written : broker.log)
            if (written.event > db.cursor) broker.in_doubt.insert(written.event);
    }
    expect_sound(db, broker, "seed " + std::to_string(seed));
    EXPECT_EQ(db.dead.size(), db.rows.size() / 23) << "seed " << seed;
    if (seed % 3 == 0) {
        std::set<EventId> receipted;
        for (const auto& receipt : db.receipts) receipted.insert(receipt.event_id);
        EXPECT_LE(db.rows.size() - db.dead.size() - receipted.size(), broker.in_doubt.size()) << seed;
    }
}

TEST(Fault, ManyRandomLives) {
    for (unsigned seed = 1; seed <= 2000; ++seed) live(seed);
}

}  // namespace
}  // namespace oms::test
