// Goal: the fake broker and librdkafka keep the same contract of transactions, and what a coordinator answers becomes what the
// relay has to do. Method: one suite against both; then errors that the embedded broker is told to give. It does not hide what
// was given up: that is tested with a real broker, in exactly_once_kafka_test.cpp.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "kafka/cursor_record.hpp"
#include "kafka/transactional_publisher.hpp"
#include "runtime/waiter.hpp"
#include "test/fake_broker.hpp"
#include "test/mock_cluster.hpp"

namespace oms::test {
namespace {

using namespace std::chrono_literals;
using relay::Delivery;

relay::Event event(relay::EventId id) {
    relay::Event made;
    made.id = id;
    made.aggregate_id = "a";
    made.type = "order.created";
    made.topic = "orders";
    made.key = "a";
    made.payload = "{}";
    made.headers = "{}";
    made.occurred_at = "2024-01-31 10:00:00.25+00";
    return made;
}

relay::StoredCursor cursor(const std::string& text) {
    relay::StoredCursor made;
    made.place.text = text;
    made.place.cluster = "7";
    made.place.timeline = 3;
    made.replays = {71, 72};
    return made;
}

/// Asks again and again; the limit is reached only when the test fails.
bool persist(const std::function<bool()>& ask) {
    const auto deadline = std::chrono::steady_clock::now() + 60s;
    while (std::chrono::steady_clock::now() < deadline)
        if (ask()) return true;
    return false;
}

std::vector<Delivery> await(relay::Publisher& publisher, std::size_t count) {
    std::vector<Delivery> all;
    runtime::Stop never;
    runtime::PollWaiter waiter(never);
    persist([&] {
        for (auto& delivery : publisher.deliveries()) all.push_back(std::move(delivery));
        const std::array fds = {publisher.wake_fd()};
        if (all.size() < count && fds[0] >= 0) waiter.wait(fds, 100ms);
        return all.size() >= count || publisher.broken();
    });
    return all;
}

class Side {
  public:
    virtual ~Side() = default;
    virtual std::unique_ptr<relay::Publisher> open() = 0;
    virtual void stop_the_broker() = 0;
    virtual void start_the_broker() = 0;
};

class FakeSide final : public Side {
  public:
    FakeSide() { broker_.transactional = true; }
    std::unique_ptr<relay::Publisher> open() override { return std::make_unique<FakePublisher>(broker_); }
    void stop_the_broker() override { broker_.up = false; }
    void start_the_broker() override { broker_.up = true; }

  private:
    FakeBroker broker_;
};

class MockSide final : public Side {
  public:
    MockSide() {
        settings.bootstrap = broker.addresses();
        settings.exactly_once = true;
    }
    std::unique_ptr<relay::Publisher> open() override {
        return std::make_unique<kafka::TransactionalPublisher>(settings, metrics, status, batching, "test");
    }
    void stop_the_broker() override { rd_kafka_mock_broker_set_down(broker.cluster(), 1); }
    void start_the_broker() override { rd_kafka_mock_broker_set_up(broker.cluster(), 1); }
    void answer_with(std::int16_t request, std::initializer_list<rd_kafka_resp_err_t> errors) {
        rd_kafka_mock_push_request_errors_array(broker.cluster(), request, errors.size(), errors.begin());
    }

    kafka::EmbeddedBroker broker{1};
    kafka::KafkaSettings settings;
    kafka::Batching batching;
    runtime::Metrics metrics;
    runtime::SteadyClock clock;
    runtime::Status status{clock};
};

constexpr std::int16_t produce = 0;
constexpr std::int16_t init_producer_id = 22;
constexpr std::int16_t add_partitions = 24;
constexpr std::int16_t end_transaction = 26;

bool take_over(relay::Publisher& publisher) {
    return persist([&] {
        publisher.deliveries();
        return publisher.broken() || publisher.transactions()->take_over(500ms);
    });
}

/// Sends some events and the cursor, and commits when all were answered.
bool send(relay::Publisher& publisher, relay::Token count, const std::string& place) {
    for (relay::Token token = 1; token <= count; ++token)
        publisher.publish(token, event(static_cast<relay::EventId>(token)));
    publisher.transactions()->store(99, cursor(place));
    await(publisher, count + 1);
    bool done = false;
    persist([&] {
        publisher.deliveries();
        if (!publisher.broken()) done = publisher.transactions()->commit(500ms);
        return done || publisher.broken();
    });
    return done;
}

struct MakeSide {
    const char* name;
    std::function<std::unique_ptr<Side>()> make;
};

class TransactionsContract : public testing::TestWithParam<MakeSide> {
  protected:
    std::unique_ptr<Side> side = GetParam().make();
};

TEST_P(TransactionsContract, TheCursorOfTheLastCommitIsWhatTheNextProducerFinds) {
    const auto first = side->open();
    ASSERT_TRUE(take_over(*first));
    EXPECT_FALSE(first->transactions()->stored());
    EXPECT_TRUE(send(*first, 5, "here"));
    EXPECT_TRUE(send(*first, 5, "there"));
    const auto second = side->open();
    ASSERT_TRUE(take_over(*second));
    const auto& stored = second->transactions()->stored();
    ASSERT_TRUE(stored);
    EXPECT_EQ(stored->place.text, "there");
    EXPECT_EQ(stored->replays, (std::vector<std::int64_t>{71, 72}));
    EXPECT_TRUE(send(*second, 5, "further"));
}

TEST_P(TransactionsContract, TheCursorAloneMakesATransaction) {
    const auto publisher = side->open();
    ASSERT_TRUE(take_over(*publisher));
    EXPECT_TRUE(send(*publisher, 0, "nowhere else"));
}

TEST_P(TransactionsContract, WithoutABrokerItIsNotReadyAndWaitsNoLongerThanItMay) {
    side->stop_the_broker();
    const auto publisher = side->open();
    EXPECT_FALSE(publisher->transactions()->take_over(100ms));
    EXPECT_FALSE(publisher->transactions()->take_over(100ms));
    side->start_the_broker();
    EXPECT_TRUE(take_over(*publisher));
    EXPECT_TRUE(send(*publisher, 1, "here"));
}

TEST_P(TransactionsContract, ATransactionIsGivenUpInTime) {
    const auto publisher = side->open();
    ASSERT_TRUE(take_over(*publisher));
    publisher->publish(1, event(1));
    await(*publisher, 1);
    side->stop_the_broker();
    publisher->publish(2, event(2));
    publisher->transactions()->abort(300ms);
    EXPECT_TRUE(publisher->broken());
}

INSTANTIATE_TEST_SUITE_P(Port, TransactionsContract,
                         testing::Values(MakeSide{"Fake", [] { return std::make_unique<FakeSide>(); }},
                                         MakeSide{"EmbeddedBroker", [] { return std::make_unique<MockSide>(); }}),
                         [](const auto& made) { return std::string(made.param.name); });

struct TransactionErrors : testing::Test {
    MockSide side;
    std::unique_ptr<relay::Publisher> publisher = side.open();
};

TEST_F(TransactionErrors, ACoordinatorThatIsNotReadyIsWaitedFor) {
    side.answer_with(init_producer_id, {RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS});
    ASSERT_TRUE(take_over(*publisher));
    side.answer_with(add_partitions, {RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS});
    side.answer_with(end_transaction, {RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS});
    EXPECT_TRUE(send(*publisher, 3, "here"));
}

TEST_F(TransactionErrors, WhoIsShutOutIsBrokenAndCommitsNothing) {
    ASSERT_TRUE(take_over(*publisher));
    side.answer_with(end_transaction, {RD_KAFKA_RESP_ERR_PRODUCER_FENCED});
    EXPECT_FALSE(send(*publisher, 3, "here"));
    EXPECT_TRUE(publisher->broken());
    EXPECT_EQ(publisher->transactions()->refusal(), "");
}

TEST_F(TransactionErrors, AForbiddenTopicFailsTheTransactionAndSaysSo) {
    ASSERT_TRUE(take_over(*publisher));
    ASSERT_TRUE(send(*publisher, 1, "here"));
    side.answer_with(add_partitions, {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED});
    EXPECT_FALSE(send(*publisher, 3, "there")) << "although none of its messages is ever answered";
    EXPECT_TRUE(publisher->broken());
    EXPECT_THAT(publisher->transactions()->refusal(), testing::HasSubstr("TOPIC_AUTHORIZATION_FAILED"));
    publisher->transactions()->abort(5s);
    publisher = side.open();
    EXPECT_TRUE(take_over(*publisher));
    EXPECT_TRUE(send(*publisher, 3, "there")) << "the next producer works";
}

TEST_F(TransactionErrors, ARefusedMessageSpoilsTheTransactionAndIsNamedByTheOneThatSendsAlone) {
    ASSERT_TRUE(take_over(*publisher));
    side.answer_with(produce, {RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE});
    publisher->publish(1, event(1));
    const auto blamed = await(*publisher, 1);
    ASSERT_EQ(blamed.size(), 1u);
    EXPECT_EQ(blamed[0].outcome, Delivery::Outcome::unconfirmed) << "it may have been another one of its batch";
    EXPECT_TRUE(publisher->broken());

    publisher = side.open();
    ASSERT_TRUE(take_over(*publisher));
    side.answer_with(produce, {RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE});
    publisher->publish(1, event(1));
    const auto rejected = await(*publisher, 1);
    ASSERT_EQ(rejected.size(), 1u);
    EXPECT_EQ(rejected[0].outcome, Delivery::Outcome::rejected);
    EXPECT_TRUE(publisher->broken());
    EXPECT_EQ(side.batching.suspects, 1u) << "the same transaction is sent again";
}

TEST_F(TransactionErrors, WhatIsRefusedOnTheSpotSpoilsNothing) {
    ASSERT_TRUE(take_over(*publisher));
    const std::string large(2'000'000, 'x');
    auto too_large = event(1);
    too_large.payload = large;
    publisher->publish(1, too_large);
    const auto answers = await(*publisher, 1);
    ASSERT_EQ(answers.size(), 1u);
    EXPECT_EQ(answers[0].outcome, Delivery::Outcome::rejected);
    EXPECT_FALSE(publisher->broken());
    EXPECT_TRUE(send(*publisher, 3, "here"));
}

TEST(CursorRecord, IsReadAsItWasWrittenAndNothingElseIs) {
    auto written = cursor("oms1 kafka \"x\"");
    written.place.wal = "0/16B3748";
    written.place.database = "5";
    const auto read = kafka::cursor_of(kafka::text_of(written));
    ASSERT_TRUE(read);
    EXPECT_EQ(read->place.text, written.place.text);
    EXPECT_EQ(read->place.wal, "0/16B3748");
    EXPECT_EQ(read->place.timeline, 3);
    EXPECT_EQ(read->replays, written.replays);
    for (const char* junk : {"", "{}", "[1]", "null", "{\"position\": 1}", "{\"position\": \"x\", \"replays\": 7}"})
        EXPECT_FALSE(kafka::cursor_of(junk)) << junk;
}

}  // namespace
}  // namespace oms::test
