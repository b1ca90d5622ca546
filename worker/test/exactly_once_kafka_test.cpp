// Goal: with --delivery exactly_once a consumer of committed messages sees each event once, in the order of its key, whatever is
// killed or hangs, and dead letters stay right.
// Method: real workers, PostgreSQL and Kafka: transactions that are given up are hidden by nothing less. While a writer writes,
// workers are killed and stopped at moments that a seeded die chooses (OMS_SEED, OMS_ROUNDS); then what a consumer reads is
// compared with what was written. KAFKA names the broker; test/suites/exactly_once.sh starts one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <functional>
#include <iterator>
#include <random>
#include <set>
#include <sstream>
#include <thread>

#include "kafka/conf.hpp"
#include "kafka/producer.hpp"
#include "test/mock_cluster.hpp"
#include "test/postgres.hpp"
#include "test/process.hpp"

namespace oms::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

int number_from(const char* variable, int otherwise) {
    const char* text = std::getenv(variable);
    return text != nullptr ? std::atoi(text) : otherwise;
}

/// Writes events of ten keys, one transaction after the other, until it is destroyed.
class Writer {
  public:
    Writer(const db::Target& target, const std::string& topic, std::string payload = "{}")
        : thread_([this, target, topic, payload = std::move(payload)] {
              db::Connection connection(target);
              for (int n = 0; !stop_; ++n) {
                  const auto key = "key" + std::to_string(n % 10);
                  const auto sql = "SELECT worker_test.append('" + key + "', '" + topic + "', '" + payload + "')";
                  const auto id = connection.run_text(sql.c_str()).number<std::int64_t>(0, 0);
                  ids_.push_back(id);
                  written_ = n + 1;
                  std::this_thread::sleep_for(500us);
              }
          }) {}
    ~Writer() { finish(); }

    int written() const { return written_; }
    /// Ends it and returns the ids of what it wrote.
    const std::vector<std::int64_t>& finish() {
        stop_ = true;
        if (thread_.joinable()) thread_.join();
        return ids_;
    }

  private:
    std::atomic<bool> stop_ = false;
    std::atomic<int> written_ = 0;
    std::vector<std::int64_t> ids_;
    std::thread thread_;  // last: it uses the others
};

struct ExactlyOnceKafka : testing::Test {
    TestDatabase db;
    std::string broker;
    std::string topic;
    std::mt19937 die;

    void SetUp() override {
        static int made = 0;
        const char* address = std::getenv("KAFKA");
        ASSERT_NE(address, nullptr) << "KAFKA names no broker; test/suites/exactly_once.sh starts one";
        broker = address;
        topic = "exactly-once-" + std::to_string(::getpid()) + "-" + std::to_string(++made);
        const auto seed = static_cast<unsigned>(number_from("OMS_SEED", static_cast<int>(std::random_device{}() >> 1)));
        std::printf("seed %u\n", seed);
        die.seed(seed);
    }
    std::vector<std::string> arguments(std::vector<std::string> more = {}) {
        std::vector<std::string> all = {"run",
                                        "--database",
                                        db.conninfo(),
                                        "--broker",
                                        broker,
                                        "--http",
                                        "off",
                                        "--batch",
                                        "50",
                                        "--retry-cap",
                                        "200ms",
                                        "--commit-interval",
                                        "20ms",
                                        "--delivery",
                                        "exactly_once",
                                        "--replay-interval",
                                        "100ms",
                                        "--cursor-topic",
                                        topic + ".cursors"};
        all.insert(all.end(), more.begin(), more.end());
        return all;
    }
    std::chrono::milliseconds moment(int most_ms) {
        return std::chrono::milliseconds(die() % static_cast<unsigned>(most_ms));
    }
    bool caught_up() {
        return eventually([this] { return db.ask("SELECT worker_test.pending('kafka')") == "0"; });
    }

    /// Compares what a consumer of committed messages reads with what was written.
    void expect_each_once(const std::vector<std::int64_t>& written, const std::set<std::int64_t>& not_sent = {}) {
        std::multiset<std::int64_t> seen;
        std::map<std::string, std::int64_t> last;
        int disorder = 0;
        for (const auto& message : consume_all(broker, topic)) {
            const auto id = std::stoll(message.headers.at("ce_id"));
            seen.insert(id);
            disorder += id < last[message.key];
            last[message.key] = id;
        }
        int missing = 0;
        int duplicates = 0;
        for (std::size_t i = 0; i < written.size(); ++i) {
            const auto id = written[i];
            if (not_sent.contains(id)) continue;
            if (seen.count(id) == 0)
                std::printf("event %ld is missing, number %zu of %zu\n", id, i + 1, written.size());
            missing += seen.count(id) == 0;
            duplicates += seen.count(id) > 1;
        }
        const auto everything = consume_all(broker, topic, Isolation::uncommitted).size();
        std::printf("%zu events: %d missing, %d twice, %d out of order; %zu messages were given up and not seen\n",
                    written.size(), missing, duplicates, disorder, everything - seen.size());
        EXPECT_EQ(missing, 0);
        EXPECT_EQ(duplicates, 0);
        EXPECT_EQ(disorder, 0);
        EXPECT_EQ(seen.size(), written.size() - not_sent.size());
    }
    /// A backlog of events, written at once.
    std::vector<std::int64_t> backlog(int count) {
        std::istringstream ids(db.ask("SELECT string_agg(worker_test.append('key' || n % 10, '" + topic +
                                      "')::text, ' ') FROM generate_series(1, " + std::to_string(count) + ") n"));
        return {std::istream_iterator<std::int64_t>(ids), {}};
    }
    /// Runs workers that are killed one after the other.
    void kill_again_and_again(
        int rounds, const std::vector<std::string>& more = {}, int most_ms = 700,
        const std::function<void()>& before = [] {}) {
        int killed = 0;
        for (int round = 0; round < rounds; ++round) {
            before();
            Process worker(arguments(more));
            std::this_thread::sleep_for(moment(most_ms));
            worker.signal(SIGKILL);
            killed += worker.wait() == 128 + SIGKILL;
        }
        std::printf("%d workers killed\n", killed);
        EXPECT_EQ(killed, rounds);
    }
};

TEST_F(ExactlyOnceKafka, KilledAtAnyMomentItSendsNothingTwice) {
    std::vector<std::int64_t> written;
    Writer writer(db.target(), topic);
    kill_again_and_again(number_from("OMS_ROUNDS", 20), {}, 500, [&] {
        const auto more = backlog(1000);
        written.insert(written.end(), more.begin(), more.end());
    });
    const auto& others = writer.finish();
    written.insert(written.end(), others.begin(), others.end());
    Process last(arguments());
    ASSERT_TRUE(caught_up()) << last.output();
    EXPECT_THAT(last.output(), HasSubstr("going on at the cursor in Kafka"));
    last.signal(SIGTERM);
    EXPECT_EQ(last.wait(), 0);
    expect_each_once(written);
}

TEST_F(ExactlyOnceKafka, ALeaderThatHungIsShutOut) {
    const std::vector<std::string> quick = {"--session-lease", "1s", "--floor", "300ms"};
    Writer writer(db.target(), topic);
    Process one(arguments(quick));
    ASSERT_TRUE(one.says("leading"));
    Process two(arguments(quick));
    ASSERT_TRUE(two.says("standing by"));
    Process* leader = &one;
    Process* standby = &two;
    for (int round = 0; round < number_from("OMS_ROUNDS", 3); ++round) {
        const auto before = standby->output().size();
        const int written = writer.written();
        ASSERT_TRUE(eventually([&] { return writer.written() > written + 50; }));
        std::this_thread::sleep_for(moment(100));
        leader->signal(SIGSTOP);
        ASSERT_TRUE(eventually([&] { return standby->output().find("leading", before) != std::string::npos; }));
        ASSERT_TRUE(eventually([&] { return standby->output().find("cursor", before) != std::string::npos; }));
        const auto shut_out = leader->output().size();
        leader->signal(SIGCONT);
        ASSERT_TRUE(eventually([&] { return leader->output().find("standing by", shut_out) != std::string::npos; }))
            << leader->output();
        std::swap(leader, standby);
    }
    const auto written = writer.finish();
    ASSERT_TRUE(caught_up()) << leader->output();
    expect_each_once(written);
}

TEST_F(ExactlyOnceKafka, PoisonAmongOthersIsDeadOnceAndCopiedOnce) {
    create_topic(broker, topic, {{"max.message.bytes", "2000"}});
    std::vector<std::int64_t> written;
    std::set<std::int64_t> poison;
    for (int i = 0; i < 400; ++i) {
        const bool bad = i % 100 == 50;
        const auto payload = bad ? R"({"x": ")" + std::string(5000, 'x') + "\"}" : "{}";
        written.push_back(db.append("key" + std::to_string(i % 10), topic, payload));
        if (bad) poison.insert(written.back());
    }
    const std::vector<std::string> more = {"--compression", "none", "--dlq-topic", topic + ".dead"};
    kill_again_and_again(number_from("OMS_ROUNDS", 6), more);
    Process last(arguments(more));
    ASSERT_TRUE(caught_up()) << last.output();
    expect_each_once(written, poison);
    EXPECT_EQ(db.ask("SELECT count(*) FROM oms.dlq_list()"), std::to_string(poison.size()));
    std::multiset<std::int64_t> copies;
    for (const auto& message : consume_all(broker, topic + ".dead")) {
        copies.insert(std::stoll(message.headers.at("ce_id")));
        EXPECT_EQ(message.headers.at("oms_original_topic"), topic);
        EXPECT_THAT(message.headers.at("oms_error"), HasSubstr("MSG_SIZE_TOO_LARGE"));
    }
    EXPECT_EQ(copies, std::multiset<std::int64_t>(poison.begin(), poison.end()));
}

TEST_F(ExactlyOnceKafka, ReplaysOfDeadLettersArriveOnce) {
    std::vector<std::int64_t> written;
    for (int i = 0; i < 100; ++i)
        written.push_back(db.append("key" + std::to_string(i), topic, R"({"x": ")" + std::string(3000, 'x') + "\"}"));
    {
        Process worker(arguments({"--kafka", "message.max.bytes=2000"}));
        ASSERT_TRUE(caught_up()) << worker.output();
        worker.signal(SIGTERM);
        EXPECT_EQ(worker.wait(), 0);
    }
    ASSERT_EQ(db.ask("SELECT count(*) FROM oms.dlq_list()"), "100");
    db.ask("SELECT count(*) FROM oms.dlq_replay(filter => '{}', dry_run => false, reason => 'the limit was raised')");
    kill_again_and_again(number_from("OMS_ROUNDS", 6), {}, 400);
    Process last(arguments());
    ASSERT_TRUE(eventually([this] {
        return db.ask("SELECT count(*) FROM oms.dlq_list(\"limit\" => 1000) WHERE status = 'sent'") == "100";
    })) << last.output();
    expect_each_once(written);
}

TEST_F(ExactlyOnceKafka, ACursorOfAnotherHistoryIsNotTrusted) {
    std::vector<std::int64_t> written;
    for (int i = 0; i < 20; ++i) written.push_back(db.append("key", topic));
    {
        Process worker(arguments());
        ASSERT_TRUE(caught_up()) << worker.output();
        worker.signal(SIGTERM);
        EXPECT_EQ(worker.wait(), 0);
    }
    db.ask("SELECT oms.drop_reader('kafka')");
    Process worker(arguments());
    ASSERT_TRUE(worker.says("the cursor in Kafka is not trusted")) << worker.output();
    ASSERT_TRUE(caught_up());
    EXPECT_THAT(worker.output(), HasSubstr("dropped and created again"));
    EXPECT_EQ(consume_all(broker, topic).size(), 40u) << "a reader that was created anew begins where it was told to";
}

TEST_F(ExactlyOnceKafka, TheCursorIsFoundBehindManyOthersAndAnOpenTransaction) {
    std::vector<std::int64_t> written;
    for (int i = 0; i < 20; ++i) written.push_back(db.append("key", topic));
    Process first(arguments());
    ASSERT_TRUE(caught_up()) << first.output();
    first.signal(SIGKILL);
    EXPECT_EQ(first.wait(), 128 + SIGKILL);
    // Put back, so that only the cursor in Kafka knows.
    db.ask(
        "WITH later AS (DELETE FROM oms.reader_position RETURNING *) INSERT INTO oms.reader_position "
        "SELECT reader, generation, life, '1:1:', '1', 0, '{0}', NULL, NULL, NULL, NULL, NULL, 0, now() FROM later");

    kafka::KafkaSettings settings;
    settings.bootstrap = broker;
    kafka::Producer other(kafka::producer_conf(settings, {}, topic + ".other"));
    const auto write = [&](int count) {
        for (int i = 0; i < count; ++i)
            ASSERT_EQ(rd_kafka_produce(other.topic(topic + ".cursors"), 0, RD_KAFKA_MSG_F_COPY, const_cast<char*>("{}"),
                                       2, "other", 5, nullptr),
                      0);
        while (rd_kafka_outq_len(other.get()) > 0) other.next_event();
    };
    const auto good = [](rd_kafka_error_t* error) {
        const kafka::ErrorHandle owned(error);
        return !owned;
    };
    ASSERT_TRUE(good(rd_kafka_init_transactions(other.get(), 30'000)));
    ASSERT_TRUE(good(rd_kafka_begin_transaction(other.get())));
    write(5000);
    ASSERT_TRUE(good(rd_kafka_commit_transaction(other.get(), 30'000)));
    ASSERT_TRUE(good(rd_kafka_begin_transaction(other.get())));
    write(1);

    for (int i = 0; i < 20; ++i) written.push_back(db.append("key", topic));
    Process second(arguments({"--log-level", "debug"}));
    ASSERT_TRUE(second.says("leading"));
    ASSERT_TRUE(good(rd_kafka_abort_transaction(other.get(), 30'000)));
    ASSERT_TRUE(second.says("going on at the cursor in Kafka")) << second.output();
    ASSERT_TRUE(caught_up()) << second.output();
    expect_each_once(written);
}

}  // namespace
}  // namespace oms::test
