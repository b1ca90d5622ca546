// Goal: the fake broker and librdkafka keep the same contract, and librdkafka's faults become the right outcomes. Method:
// one suite run against both, then faults that only the embedded broker can be told to have.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "kafka/cloud_event.hpp"
#include "kafka/delivery.hpp"
#include "kafka/error.hpp"
#include "kafka/publisher.hpp"
#include "runtime/config.hpp"
#include "runtime/waiter.hpp"
#include "test/fake_broker.hpp"
#include "test/mock_cluster.hpp"

namespace oms::test {
namespace {

using namespace std::chrono_literals;
using relay::Delivery;

relay::Event event(relay::EventId id, std::string_view key, std::string_view topic = "orders",
                   std::string_view payload = "{}") {
    relay::Event made;
    made.id = id;
    made.aggregate_type = "order";
    made.aggregate_id = key;
    made.seq = id;
    made.type = "order.created";
    made.topic = topic;
    made.key = key;
    made.payload = payload;
    made.headers = R"({"traceparent": "00-1-2-01", "schema_version": 2, "ce_id": "forged"})";
    made.occurred_at = "2024-01-31 10:00:00.25+00";
    return made;
}

/// Polls until so many deliveries came. The limit is reached only when the test fails.
std::vector<Delivery> await(relay::Publisher& publisher, std::size_t count) {
    std::vector<Delivery> all;
    runtime::Stop never;
    runtime::PollWaiter waiter(never);
    const auto deadline = std::chrono::steady_clock::now() + 60s;
    while (all.size() < count && std::chrono::steady_clock::now() < deadline) {
        for (auto& delivery : publisher.deliveries()) all.push_back(std::move(delivery));
        if (all.size() >= count) break;
        const std::array fds = {publisher.wake_fd()};
        if (fds[0] >= 0) waiter.wait(fds, 1s);
    }
    return all;
}

class Side {
  public:
    virtual ~Side() = default;
    virtual std::unique_ptr<relay::Publisher> open() = 0;
    virtual std::vector<relay::EventId> written(const std::string& key) = 0;
    virtual void stop_the_broker() = 0;
};

class FakeSide final : public Side {
  public:
    std::unique_ptr<relay::Publisher> open() override { return std::make_unique<FakePublisher>(broker_); }
    std::vector<relay::EventId> written(const std::string& key) override {
        std::vector<relay::EventId> ids;
        for (const auto& w : broker_.log)
            if (w.key == key) ids.push_back(w.event);
        return ids;
    }
    void stop_the_broker() override { broker_.up = false; }

  private:
    FakeBroker broker_;
};

class MockSide final : public Side {
  public:
    MockSide() { settings.bootstrap = broker.addresses(); }
    std::unique_ptr<relay::Publisher> open() override {
        return std::make_unique<kafka::Publisher>(settings, metrics, status, batching);
    }
    std::vector<relay::EventId> written(const std::string& key) override {
        std::vector<relay::EventId> ids;
        for (const auto& message : consume_all(broker.addresses(), "orders"))
            if (message.key == key) ids.push_back(std::stoll(message.headers.at("ce_id")));
        return ids;
    }
    void stop_the_broker() override { rd_kafka_mock_broker_set_down(broker.cluster(), 1); }

    kafka::EmbeddedBroker broker{1};
    kafka::KafkaSettings settings;
    kafka::Batching batching;
    runtime::Metrics metrics;
    runtime::SteadyClock clock;
    runtime::Status status{clock};
};

struct MakeSide {
    const char* name;
    std::function<std::unique_ptr<Side>()> make;
};

class PublisherContract : public testing::TestWithParam<MakeSide> {
  protected:
    std::unique_ptr<Side> side = GetParam().make();
};

TEST_P(PublisherContract, AnswersEveryMessageOnceAndKeepsTheOrderOfAKey) {
    const auto publisher = side->open();
    constexpr relay::Token count = 600;
    for (relay::Token token = 1; token <= count; ++token)
        publisher->publish(token, event(static_cast<relay::EventId>(token), "key" + std::to_string(token % 7)));
    std::set<relay::Token> answered;
    for (const auto& delivery : await(*publisher, count)) {
        EXPECT_EQ(delivery.outcome, Delivery::Outcome::sent) << delivery.error;
        EXPECT_TRUE(answered.insert(delivery.token).second);
        EXPECT_EQ(delivery.topic, "orders");
    }
    EXPECT_EQ(answered.size(), count);
    for (int key = 0; key < 7; ++key) {
        const auto ids = side->written("key" + std::to_string(key));
        EXPECT_TRUE(std::is_sorted(ids.begin(), ids.end()));
        EXPECT_GE(ids.size(), count / 7);
    }
    EXPECT_FALSE(publisher->broken());
    EXPECT_TRUE(publisher->deliveries().empty());
}

TEST_P(PublisherContract, WhileTheBrokerIsAwayNothingIsAnswered) {
    const auto publisher = side->open();
    publisher->publish(1, event(1, "a"));
    await(*publisher, 1);
    side->stop_the_broker();
    publisher->publish(2, event(2, "a"));
    EXPECT_TRUE(publisher->deliveries().empty());
}

TEST_P(PublisherContract, WhatIsDroppedBeforeItWasSentIsUnconfirmed) {
    side->stop_the_broker();
    const auto publisher = side->open();
    for (relay::Token token = 1; token <= 50; ++token) publisher->publish(token, event(1, "a"));
    publisher->drop_queued();
    for (const auto& delivery : await(*publisher, 50)) EXPECT_EQ(delivery.outcome, Delivery::Outcome::unconfirmed);
}

INSTANTIATE_TEST_SUITE_P(Port, PublisherContract,
                         testing::Values(MakeSide{"Fake", [] { return std::make_unique<FakeSide>(); }},
                                         MakeSide{"EmbeddedBroker", [] { return std::make_unique<MockSide>(); }}),
                         [](const auto& made) { return std::string(made.param.name); });

struct Publisher : testing::Test {
    MockSide side;

    Delivery send_one(const relay::Event& e) {
        const auto publisher = side.open();
        publisher->publish(1, e);
        auto all = await(*publisher, 1);
        if (all.size() != 1) throw std::logic_error("no answer");
        return std::move(all.front());
    }
    void push_produce_errors(const std::vector<rd_kafka_resp_err_t>& errors) {
        rd_kafka_mock_push_request_errors_array(side.broker.cluster(), 0, errors.size(), errors.data());
    }
};

TEST_F(Publisher, WritesACloudEventInBinaryMode) {
    const auto delivery = send_one(event(17, "o-1", "orders", R"({"status": "pending"})"));
    EXPECT_EQ(delivery.outcome, Delivery::Outcome::sent);
    EXPECT_EQ(delivery.offset, 0);
    EXPECT_GT(delivery.broker_time_ms, 0);
    const auto all = consume_all(side.broker.addresses(), "orders");
    ASSERT_EQ(all.size(), 1u);
    EXPECT_EQ(all[0].key, "o-1");
    EXPECT_EQ(all[0].payload, R"({"status": "pending"})");
    EXPECT_EQ(all[0].partition, delivery.partition);
    const std::map<std::string, std::string> expected = {{"ce_specversion", "1.0"},
                                                         {"ce_id", "17"},
                                                         {"ce_source", "/oms"},
                                                         {"ce_type", "order.created"},
                                                         {"ce_time", "2024-01-31T10:00:00.25Z"},
                                                         {"ce_subject", "o-1"},
                                                         {"content-type", "application/json"},
                                                         {"oms_seq", "17"},
                                                         {"oms_aggregate_type", "order"},
                                                         {"traceparent", "00-1-2-01"},
                                                         {"schema_version", "2"}};
    EXPECT_EQ(all[0].headers, expected);
}

TEST_F(Publisher, PartitionsAsJavaClientsDo) {
    // Kafka's own murmur2 test vectors, positive, modulo four partitions.
    const std::map<std::string, int> java = {{"21", (-973932308 & 0x7fffffff) % 4},
                                             {"foobar", (-790332482 & 0x7fffffff) % 4},
                                             {"a-little-bit-long-string", (-985981536 & 0x7fffffff) % 4}};
    for (const auto& [key, partition] : java) EXPECT_EQ(send_one(event(1, key)).partition, partition) << key;
}

TEST_F(Publisher, AMessageTooLargeForTheClientIsRejectedWithItsContent) {
    const std::string large(2'000'000, 'x');
    const auto delivery = send_one(event(1, "a", "orders", large));
    EXPECT_EQ(delivery.outcome, Delivery::Outcome::rejected);
    EXPECT_THAT(delivery.error, testing::HasSubstr("MSG_SIZE_TOO_LARGE"));
    ASSERT_TRUE(delivery.message);
    EXPECT_EQ(delivery.message->payload.size(), large.size());
    EXPECT_EQ(delivery.message->topic, "orders");
    EXPECT_EQ(delivery.message->key, "a");
}

TEST_F(Publisher, ARefusedBatchIsJudgedMessageByMessageAndNothingOvertakesIt) {
    side.settings.linger = 200ms;
    push_produce_errors({RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE});
    const auto send_three = [this](relay::EventId first) {
        const auto publisher = side.open();
        for (relay::EventId id = first; id < first + 3; ++id)
            publisher->publish(static_cast<relay::Token>(id), event(id, "a"));
        std::map<relay::Token, Delivery::Outcome> outcomes;
        for (const auto& delivery : await(*publisher, 3)) outcomes[delivery.token] = delivery.outcome;
        EXPECT_EQ(publisher->broken(), first == 1) << "the refused batch, and the end of sending one by one";
        return outcomes;
    };
    using enum Delivery::Outcome;
    EXPECT_THAT(send_three(1),
                testing::UnorderedElementsAre(testing::Pair(1, unconfirmed), testing::Pair(2, unconfirmed),
                                              testing::Pair(3, unconfirmed)));
    EXPECT_THAT(side.written("a"), testing::IsEmpty());
    push_produce_errors({RD_KAFKA_RESP_ERR_NO_ERROR, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE});
    EXPECT_THAT(send_three(1), testing::UnorderedElementsAre(testing::Pair(1, sent), testing::Pair(2, rejected),
                                                             testing::Pair(3, sent)));
    EXPECT_THAT(send_three(4),
                testing::UnorderedElementsAre(testing::Pair(4, sent), testing::Pair(5, sent), testing::Pair(6, sent)));
    EXPECT_THAT(side.written("a"), testing::ElementsAre(1, 3, 4, 5, 6));
}

TEST_F(Publisher, AMessageTooLargeForTheBrokerIsRejectedWithItsContent) {
    push_produce_errors({RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE});
    EXPECT_EQ(send_one(event(5, "a")).outcome, Delivery::Outcome::unconfirmed) << "the batch may be what is too large";
    const auto delivery = send_one(event(5, "a"));
    EXPECT_EQ(delivery.outcome, Delivery::Outcome::rejected);
    ASSERT_TRUE(delivery.message);
    EXPECT_EQ(delivery.message->payload, "{}");
    EXPECT_THAT(delivery.message->headers, testing::Contains(testing::Pair("ce_id", "5")));
}

TEST_F(Publisher, AForbiddenTopicIsTheMessagesFault) {
    push_produce_errors({RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED});
    EXPECT_EQ(send_one(event(1, "a")).outcome, Delivery::Outcome::rejected);
}

TEST_F(Publisher, InfrastructureFailuresAreRetriedUntilTheyPass) {
    push_produce_errors({RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
                         RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
                         RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND, RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR});
    EXPECT_EQ(send_one(event(1, "a")).outcome, Delivery::Outcome::sent);
}

TEST_F(Publisher, NothingFollowsAFirstMessageThatIsNotAcknowledged) {
    // A broker that knows nothing of a producer in a partition takes its second request although the first one failed. The
    // embedded broker never looks at sequence numbers, and answers late enough for both to be on the way.
    side.batching.suspects = 1000;
    const auto publisher = side.open();
    publisher->publish(1, event(1, "elsewhere", "others"));  // the connection, and the producer's id
    ASSERT_EQ(await(*publisher, 1).size(), 1u);
    using Errors = std::vector<rd_kafka_resp_err_t>;
    const Errors of_the_scout = {RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
                                 RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART};
    const Errors of_each_partition(4, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS);
    for (const auto& [topic, errors] :
         std::map<std::string, Errors>{{"unknown", of_the_scout}, {"known", of_each_partition}}) {
        SCOPED_TRACE(topic);
        if (topic == "known") rd_kafka_mock_topic_create(side.broker.cluster(), topic.c_str(), 4, 1);
        constexpr int rtt_ms = 300;
        rd_kafka_mock_broker_set_rtt(side.broker.cluster(), 1, rtt_ms);
        push_produce_errors(errors);
        constexpr relay::Token count = 40;
        for (relay::Token token = 1; token <= count; ++token)
            publisher->publish(token,
                               event(static_cast<relay::EventId>(token), "key" + std::to_string(token % 8), topic));
        std::set<std::pair<std::int32_t, std::int64_t>> places;
        for (const auto& delivery : await(*publisher, count)) {
            EXPECT_EQ(delivery.outcome, Delivery::Outcome::sent) << delivery.error;
            places.emplace(delivery.partition, delivery.offset);
        }
        EXPECT_EQ(places.size(), count);
        rd_kafka_mock_broker_set_rtt(side.broker.cluster(), 1, 0);
        std::map<std::string, std::vector<int>> written;
        for (const auto& message : consume_all(side.broker.addresses(), topic))
            written[message.key].push_back(std::stoi(message.headers.at("ce_id")));
        EXPECT_EQ(written.size(), 8u);
        for (const auto& [key, ids] : written) {
            EXPECT_EQ(ids.size(), count / 8) << key;
            EXPECT_TRUE(std::is_sorted(ids.begin(), ids.end())) << key;
        }
    }
}

TEST_F(Publisher, WhatWaitsForAFirstMessageIsAnsweredWhenThatFails) {
    const auto publisher = side.open();
    push_produce_errors({RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED});
    for (relay::Token token = 1; token <= 5; ++token) publisher->publish(token, event(1, "a"));
    std::set<relay::Token> answered;
    for (const auto& delivery : await(*publisher, 5)) {
        EXPECT_EQ(delivery.outcome, Delivery::Outcome::rejected) << delivery.error;
        answered.insert(delivery.token);
    }
    EXPECT_EQ(answered.size(), 5u);
    EXPECT_TRUE(publisher->deliveries().empty());
}

TEST_F(Publisher, AnAcknowledgementWithoutAnOffsetIsNone) {
    kafka::Producer producer(kafka::producer_conf(side.settings));
    rd_kafka_message_t report{};
    report.rkt = producer.topic("orders");
    report.offset = RD_KAFKA_OFFSET_INVALID;
    EXPECT_EQ(kafka::delivery_of(report, true).outcome, Delivery::Outcome::unconfirmed);
}

TEST_F(Publisher, AFatalErrorBreaksTheProducerAndAnswersWhatIsQueued) {
    // Asked for when the producer gets its id; nothing but a new producer gets past it.
    constexpr std::int16_t init_producer_id = 22;
    rd_kafka_mock_push_request_errors(side.broker.cluster(), init_producer_id, 1,
                                      RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED);
    const auto publisher = side.open();
    for (relay::Token token = 1; token <= 20; ++token) publisher->publish(token, event(1, "a"));
    const auto answers = await(*publisher, 20);
    EXPECT_EQ(answers.size(), 20u);
    for (const auto& answer : answers) EXPECT_EQ(answer.outcome, Delivery::Outcome::unconfirmed) << answer.error;
    EXPECT_TRUE(publisher->broken());
    publisher->publish(99, event(1, "a"));
    EXPECT_EQ(await(*publisher, 1).front().outcome, Delivery::Outcome::unconfirmed);
    EXPECT_EQ(send_one(event(1, "a")).outcome, Delivery::Outcome::sent) << "a new producer works";
}

TEST_F(Publisher, AnUnknownTopicIsRejectedOrWaitedForAsConfigured) {
    rd_kafka_mock_topic_set_error(side.broker.cluster(), "missing", RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    side.settings.properties = {{"topic.metadata.propagation.max.ms", "10"},
                                {"topic.metadata.refresh.interval.ms", "100"}};
    EXPECT_EQ(send_one(event(1, "a", "missing")).outcome, Delivery::Outcome::rejected);
    side.settings.unknown_topic_waits = true;
    EXPECT_EQ(send_one(event(1, "a", "missing")).outcome, Delivery::Outcome::unconfirmed);
}

TEST_F(Publisher, ATopicNameThatCannotExistIsRejected) {
    EXPECT_EQ(send_one(event(1, "a", std::string(600, 'x'))).outcome, Delivery::Outcome::rejected);
}

TEST(KafkaConf, RefusesWhatThePromisesRestOnAndWhatDoesNotExist) {
    const auto error_of = [](std::pair<std::string, std::string> property) -> std::string {
        kafka::KafkaSettings settings;
        settings.bootstrap = "localhost:1";
        settings.properties = {std::move(property)};
        try {
            kafka::producer_conf(settings);
        } catch (const runtime::ConfigError& error) {
            return error.what();
        }
        return "";
    };
    EXPECT_THAT(error_of({"enable.idempotence", "false"}), testing::HasSubstr("always on"));
    EXPECT_THAT(error_of({"message.timeout.ms", "1000"}), testing::HasSubstr("no message is ever given up"));
    EXPECT_THAT(error_of({"no.such.thing", "1"}), testing::HasSubstr("no.such.thing"));
    EXPECT_THAT(error_of({"security.protocol", "hunter2"}), testing::Not(testing::HasSubstr("hunter2")));
    EXPECT_EQ(error_of({"security.protocol", "sasl_ssl"}), "");
    EXPECT_EQ(error_of({"sasl.password", "hunter2"}), "");
}

TEST(KafkaConf, ClashesAreFoundBeforeTheFirstSession) {
    runtime::Metrics metrics;
    runtime::SteadyClock clock;
    runtime::Status status(clock);
    kafka::KafkaSettings settings;
    settings.bootstrap = "localhost:1";
    settings.properties = {{"max.in.flight.requests.per.connection", "6"}};
    EXPECT_THROW(kafka::Publishers(settings, metrics, status), std::runtime_error);
}

TEST(KafkaErrors, AreSortedByWhatToDo) {
    using kafka::classify;
    using kafka::ErrorClass;
    EXPECT_EQ(classify(RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, false), ErrorClass::reject);
    EXPECT_EQ(classify(RD_KAFKA_RESP_ERR_POLICY_VIOLATION, false), ErrorClass::reject);
    EXPECT_EQ(classify(RD_KAFKA_RESP_ERR__TRANSPORT, false), ErrorClass::retry);
    EXPECT_EQ(classify(RD_KAFKA_RESP_ERR__PURGE_QUEUE, false), ErrorClass::retry);
    EXPECT_EQ(classify(RD_KAFKA_RESP_ERR__AUTHENTICATION, false), ErrorClass::retry)
        << "an operator's mistake loses nothing";
    EXPECT_EQ(classify(RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, false), ErrorClass::retry);
    EXPECT_EQ(classify(RD_KAFKA_RESP_ERR__FATAL, false), ErrorClass::fatal);
    EXPECT_EQ(classify(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, false), ErrorClass::reject);
    EXPECT_EQ(classify(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, true), ErrorClass::retry);
    EXPECT_EQ(classify(RD_KAFKA_RESP_ERR_ELECTION_NOT_NEEDED, false), ErrorClass::retry)
        << "what is unknown loses nothing";
}

TEST(CloudEvents, OwnHeadersAreTakenFlatOrNested) {
    using Members = std::vector<std::pair<std::string, std::string>>;
    kafka::OwnHeaders own;
    const auto members_of = [&own](std::string_view object) {
        own.read(object);
        Members members;
        for (std::size_t i = 0; i < own.size(); ++i) members.push_back(own[i]);
        return members;
    };
    EXPECT_EQ(members_of(R"({"a": "x\u00e9\n", "b": 2, "c": -1.50, "d": true, "e": null})"),
              (Members{{"a", "x\xc3\xa9\n"}, {"b", "2"}, {"c", "-1.50"}, {"d", "true"}}));
    EXPECT_EQ(members_of(R"({"a": {"x": 1}, "b": [1, 2], "c": "t", "d": null})"),
              (Members{{"a", "{\"x\":1}"}, {"b", "[1,2]"}, {"c", "t"}}));
    EXPECT_EQ(members_of(R"({"a": "1"})"), (Members{{"a", "1"}})) << "nothing is left of longer ones";
    EXPECT_TRUE(members_of("[1]").empty());
    EXPECT_TRUE(members_of("{\"a\":").empty());
    EXPECT_TRUE(members_of("{}").empty());
}

TEST(CloudEvents, TimesBecomeRfc3339) {
    EXPECT_EQ(kafka::rfc3339("2024-01-31 10:00:00.25+00"), "2024-01-31T10:00:00.25Z");
    EXPECT_EQ(kafka::rfc3339("2024-01-31 10:00:00+00"), "2024-01-31T10:00:00Z");
}

}  // namespace
}  // namespace oms::test
