// Goal: the binary keeps its promises as a process: it carries, stops, is killed, stands by, takes over, checks and tells.
// Method: real processes, PostgreSQL, the embedded broker; a consumer's view is compared with the log.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "test/mock_cluster.hpp"
#include "test/postgres.hpp"
#include "test/process.hpp"

namespace oms::test {
namespace {

using testing::HasSubstr;

struct WorkerProcess : testing::Test {
    TestDatabase db;
    kafka::EmbeddedBroker broker{1};
    std::vector<std::int64_t> appended;

    std::vector<std::string> arguments(std::vector<std::string> more = {}) {
        std::vector<std::string> all = {
            "run",     "--database", db.conninfo(), "--broker", broker.addresses(),  "--http", "off",
            "--batch", "50",         "--retry-cap", "200ms",    "--commit-interval", "20ms"};
        all.insert(all.end(), more.begin(), more.end());
        return all;
    }
    void append(int count) {
        for (int i = 0; i < count; ++i) appended.push_back(db.append("key" + std::to_string(i % 5)));
    }
    bool caught_up() {
        return eventually([this] { return db.ask("SELECT worker_test.pending('kafka')") == "0"; });
    }

    struct Verdict {
        std::size_t missing = 0;
        std::size_t duplicates = 0;
        int disorder = 0;
    };
    /// Compares what a consumer reads with what was appended; order is judged by first occurrence.
    Verdict judge() {
        Verdict verdict;
        std::set<std::int64_t> seen;
        std::map<std::string, std::int64_t> last;
        for (const auto& message : consume_all(broker.addresses(), "orders")) {
            const auto id = std::stoll(message.headers.at("ce_id"));
            if (!seen.insert(id).second) {
                ++verdict.duplicates;
                continue;
            }
            if (id < last[message.key]) ++verdict.disorder;
            last[message.key] = id;
        }
        for (const auto id : appended) verdict.missing += !seen.contains(id);
        return verdict;
    }
    void expect_sound(bool duplicates_allowed = false) {
        const auto verdict = judge();
        EXPECT_EQ(verdict.missing, 0u);
        EXPECT_EQ(verdict.disorder, 0);
        if (!duplicates_allowed) {
            EXPECT_EQ(verdict.duplicates, 0u);
        }
    }
};

TEST_F(WorkerProcess, CarriesABacklogAndStopsInOrder) {
    append(500);
    Process worker(arguments());
    ASSERT_TRUE(caught_up()) << worker.output();
    worker.signal(SIGTERM);
    EXPECT_EQ(worker.wait(), 0);
    expect_sound();
}

TEST_F(WorkerProcess, IsWokenByTheDoorbellLongBeforeTheFloor) {
    // The floor timeout lies beyond the patience of this test: only the bell can wake it.
    Process worker(arguments({"--floor", "10min", "--session-lease", "1h"}));
    ASSERT_TRUE(worker.says("leading"));
    for (int round = 0; round < 5; ++round) {
        ASSERT_TRUE(eventually([this] {
            return db.ask(
                       "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'oms-worker' AND state = 'idle'"
                       " AND datname = current_database() AND clock_timestamp() - state_change > '100ms'") == "1";
        })) << "a relay that polls is never idle for so long";
        append(1);
        ASSERT_TRUE(caught_up());
    }
    worker.signal(SIGTERM);
    EXPECT_EQ(worker.wait(), 0);
    expect_sound();
}

TEST_F(WorkerProcess, AStopWithoutABrokerEndsInTimeAndLosesNothing) {
    append(20);
    rd_kafka_mock_broker_set_down(broker.cluster(), 1);
    {
        // A fifth of it is for writing down and letting go, which must be plenty for a busy machine too.
        Process worker(arguments({"--shutdown-timeout", "5s"}));
        ASSERT_TRUE(worker.says("ALL_BROKERS_DOWN"));
        worker.signal(SIGTERM);
        EXPECT_EQ(worker.wait(), 0);
        EXPECT_THAT(worker.output(), HasSubstr("unconfirmed"));
    }
    rd_kafka_mock_broker_set_up(broker.cluster(), 1);
    Process next(arguments());
    ASSERT_TRUE(caught_up()) << next.output();
    expect_sound();
}

TEST_F(WorkerProcess, ASecondSignalLeavesAtOnceAndLosesNothing) {
    append(20);
    rd_kafka_mock_broker_set_down(broker.cluster(), 1);
    {
        Process worker(arguments({"--shutdown-timeout", "10min"}));
        ASSERT_TRUE(worker.says("ALL_BROKERS_DOWN"));
        worker.signal(SIGTERM);
        ASSERT_TRUE(worker.says("stopping"));
        worker.signal(SIGTERM);
        EXPECT_EQ(worker.wait(), 3);
    }
    rd_kafka_mock_broker_set_up(broker.cluster(), 1);
    Process next(arguments());
    ASSERT_TRUE(caught_up());
    expect_sound(true);
}

TEST_F(WorkerProcess, KilledAgainAndAgainItLosesNothing) {
    for (int round = 0; round < 5; ++round) {
        append(150);
        Process worker(arguments());
        // Killed in the middle: somewhere between the first message of the round and the last.
        ASSERT_TRUE(eventually([&] { return db.ask("SELECT worker_test.pending('kafka') < 150") == "t"; }));
        worker.signal(SIGKILL);
        EXPECT_EQ(worker.wait(), 128 + SIGKILL);
    }
    Process last(arguments());
    ASSERT_TRUE(caught_up());
    expect_sound(true);
}

TEST_F(WorkerProcess, CutSessionsCostNoDuplicate) {
    Process worker(arguments());
    for (int round = 0; round < 8; ++round) {
        append(60);
        db.cut_sessions();
    }
    ASSERT_TRUE(caught_up()) << worker.output();
    expect_sound();
    worker.signal(SIGTERM);
    EXPECT_EQ(worker.wait(), 0);
}

TEST_F(WorkerProcess, AStopWithoutASessionStillMovesTheCursor) {
    append(200);
    auto seldom = arguments();
    seldom.back() = "1min";
    Process worker(seldom);
    ASSERT_TRUE(eventually([&] { return consume_all(broker.addresses(), "orders").size() == 200; }));
    db.allow_connections(false);
    db.cut_sessions();
    ASSERT_TRUE(worker.says("pausing"));
    db.allow_connections(true);
    worker.signal(SIGTERM);
    EXPECT_EQ(worker.wait(), 0);
    EXPECT_EQ(db.ask("SELECT worker_test.pending('kafka')"), "0") << worker.output();
    Process next(arguments());
    append(1);
    ASSERT_TRUE(caught_up());
    expect_sound();
}

TEST_F(WorkerProcess, AStandbyTakesOverWhenTheLeaderDies) {
    Process leader(arguments());
    ASSERT_TRUE(leader.says("leading"));
    Process standby(arguments());
    ASSERT_TRUE(standby.says("standing by"));
    append(100);
    leader.signal(SIGKILL);
    append(100);
    ASSERT_TRUE(caught_up());
    EXPECT_THAT(standby.output(), HasSubstr("leading"));
    expect_sound(true);
}

TEST_F(WorkerProcess, AHungLeaderIsReplacedAndBecomesTheStandbyWhenItWakes) {
    const std::vector<std::string> quick = {"--session-lease", "1s", "--floor", "300ms", "--replay-interval", "300ms"};
    Process leader(arguments(quick));
    ASSERT_TRUE(leader.says("leading"));
    Process standby(arguments(quick));
    ASSERT_TRUE(standby.says("standing by"));
    append(50);
    ASSERT_TRUE(caught_up());
    leader.signal(SIGSTOP);
    append(50);
    ASSERT_TRUE(standby.says("leading"));
    ASSERT_TRUE(caught_up());
    leader.signal(SIGCONT);
    ASSERT_TRUE(leader.says("standing by")) << leader.output();
    append(50);
    ASSERT_TRUE(caught_up());
    expect_sound(true);
}

TEST_F(WorkerProcess, ABrokerOutageIsWaitedOut) {
    Process worker(arguments());
    append(50);
    ASSERT_TRUE(caught_up());
    rd_kafka_mock_broker_set_down(broker.cluster(), 1);
    append(200);
    ASSERT_TRUE(worker.says("kafka"));
    rd_kafka_mock_broker_set_up(broker.cluster(), 1);
    ASSERT_TRUE(caught_up()) << worker.output();
    EXPECT_EQ(db.ask("SELECT count(*) FROM oms.dlq_list()"), "0") << "an outage costs no attempt";
    expect_sound();
}

TEST_F(WorkerProcess, APoisonMessageBecomesADeadLetterThatCanBeListedReplayedAndDiscarded) {
    append(10);
    const auto poison = db.append("key1", "orders", R"({"x": ")" + std::string(5000, 'x') + "\"}");
    append(10);
    const std::vector<std::string> small = {
        "--kafka", "message.max.bytes=2000", "--replay-interval", "50ms", "--dlq-topic", "oms.dlq"};
    {
        Process worker(arguments(small));
        ASSERT_TRUE(caught_up()) << worker.output();
        expect_sound();
        Process list({"dlq", "list", "--database", db.conninfo()});
        EXPECT_EQ(list.wait(), 0);
        EXPECT_THAT(list.output(), HasSubstr("MSG_SIZE_TOO_LARGE"));
        EXPECT_THAT(list.output(), HasSubstr("\"event_id\": " + std::to_string(poison)));
        Process dry({"dlq", "replay", "--filter", "{}", "--database", db.conninfo()});
        EXPECT_EQ(dry.wait(), 0);
        EXPECT_THAT(dry.output(), HasSubstr("--execute"));
        worker.signal(SIGTERM);
        EXPECT_EQ(worker.wait(), 0);
    }
    // The limit was raised: replayed, it arrives.
    Process worker(arguments({"--replay-interval", "50ms"}));
    Process replay(
        {"dlq", "replay", "--filter", "{}", "--execute", "--reason", "limit raised", "--database", db.conninfo()});
    EXPECT_EQ(replay.wait(), 0);
    ASSERT_TRUE(eventually([this] { return db.ask("SELECT status FROM oms.dlq_list()") == "sent"; }))
        << worker.output();
    appended.push_back(poison);
    EXPECT_EQ(judge().missing, 0u);
    const auto id = db.ask("SELECT dead_letter_id FROM oms.dlq_list()");
    Process discard({"dlq", "discard", "--id", id, "--reason", "done with it", "--database", db.conninfo()});
    EXPECT_EQ(discard.wait(), 0);
}

TEST_F(WorkerProcess, WithBlockKeyAKillParksNothingThatWasDelivered) {
    db.ask("SELECT worker_test.set_policy('orders', 'block_key', false)");
    append(10);
    const auto poison = db.append("key1", "orders", R"({"x": ")" + std::string(5000, 'x') + "\"}");
    append(10);
    const auto letters = "SELECT string_agg(event_id || ' ' || status, ', ' ORDER BY event_id) FROM oms.dlq_list()";
    const auto expected = std::to_string(poison) + " failed, " + std::to_string(appended[11]) + " parked, " +
                          std::to_string(appended[16]) + " parked";
    auto seldom = arguments({"--kafka", "message.max.bytes=2000"});
    seldom[12] = "1min";
    {
        Process worker(seldom);
        ASSERT_TRUE(eventually([&] { return db.ask(letters) == expected; })) << db.ask(letters);
        ASSERT_TRUE(eventually([&] { return consume_all(broker.addresses(), "orders").size() == 18; }));
        worker.signal(SIGKILL);
        EXPECT_EQ(worker.wait(), 128 + SIGKILL);
    }
    ASSERT_NE(db.ask("SELECT worker_test.pending('kafka')"), "0")
        << "the cursor was not written; all of it is read again";
    Process next(arguments({"--kafka", "message.max.bytes=2000"}));
    ASSERT_TRUE(caught_up()) << next.output();
    EXPECT_EQ(db.ask(letters), expected);
    const auto verdict = judge();
    std::printf("read again after the kill: %zu arrived twice\n", verdict.duplicates);
    EXPECT_EQ(verdict.missing, 2u) << "those that are parked";
    EXPECT_EQ(verdict.disorder, 0);
    EXPECT_GE(verdict.duplicates, 13u) << "the cursor was written once, behind the first of each key at most";
}

TEST_F(WorkerProcess, LeavesAReceiptOfEveryDeliveryWhenAsked) {
    db.ask("SELECT worker_test.set_policy('orders', 'skip', true)");
    append(120);
    Process worker(arguments());
    ASSERT_TRUE(caught_up());
    std::map<std::int64_t, std::pair<std::int32_t, std::int64_t>> where;
    for (const auto& message : consume_all(broker.addresses(), "orders"))
        where[std::stoll(message.headers.at("ce_id"))] = {message.partition, message.offset};
    ASSERT_EQ(db.ask("SELECT count(*) FROM worker_test.receipts()"), "120");
    for (const auto& [id, place] : where)
        EXPECT_EQ(db.ask("SELECT partition || '/' || \"offset\" FROM worker_test.receipts() WHERE event_id = " +
                         std::to_string(id)),
                  std::to_string(place.first) + "/" + std::to_string(place.second));
}

TEST_F(WorkerProcess, CheckTellsWhatWorksAndWhatDoesNot) {
    Process good({"check", "--database", db.conninfo(), "--broker", broker.addresses()});
    EXPECT_EQ(good.wait(), 0);
    EXPECT_THAT(good.output(), HasSubstr("no pooler"));
    EXPECT_THAT(good.output(), HasSubstr("1 brokers"));
    Process no_database({"check", "--database", "host=127.0.0.1 port=1", "--broker", broker.addresses()});
    EXPECT_EQ(no_database.wait(), 1);
    EXPECT_THAT(no_database.output(), HasSubstr("FAILED database"));
    EXPECT_THAT(no_database.output(), HasSubstr("ok     broker"));
    Process bad({"check", "--database", "d", "--broker", "b", "--kafka", "acks=1"});
    EXPECT_EQ(bad.wait(), 2);
    EXPECT_THAT(bad.output(), HasSubstr("always all"));
}

TEST_F(WorkerProcess, ShowsNoSecretInItsLog) {
    append(1);
    Process worker(
        arguments({"--log-level", "debug", "--database-password", "hunter2", "--kafka", "sasl.password=hunter2"}));
    ASSERT_TRUE(caught_up());
    worker.signal(SIGTERM);
    EXPECT_EQ(worker.wait(), 0);
    EXPECT_THAT(worker.output(), testing::Not(HasSubstr("hunter2")));
}

TEST_F(WorkerProcess, TheEmbeddedBrokerIsFoundThroughItsPortFile) {
    const auto file = std::filesystem::temp_directory_path() / ("oms-worker-port-" + std::to_string(::getpid()));
    std::filesystem::remove(file);
    Process alone({"broker", "--port-file", file.string(), "--embedded-nodes", "3"});
    ASSERT_TRUE(eventually([&] { return std::filesystem::exists(file); }));
    std::string addresses;
    std::ifstream(file) >> addresses;
    append(10);
    auto others = arguments();
    others[4] = addresses;
    Process worker(others);
    ASSERT_TRUE(caught_up()) << worker.output();
    EXPECT_EQ(consume(addresses, "orders", 10).size(), 10u);
    alone.signal(SIGTERM);
    EXPECT_EQ(alone.wait(), 0);
    std::filesystem::remove(file);
}

TEST_F(WorkerProcess, TheBrokerCanLiveInsideTheWorker) {
    append(10);
    auto inside = arguments();
    inside[4] = "embedded";
    Process worker(inside);
    ASSERT_TRUE(caught_up()) << worker.output();
}

}  // namespace
}  // namespace oms::test
