#include "kafka/cursor_topic.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <stdexcept>

#include "runtime/log.hpp"

namespace oms::kafka {
namespace {

using runtime::Clock;
using MessageHandle = std::unique_ptr<rd_kafka_message_t, Destroy<rd_kafka_message_destroy>>;
using NewTopicHandle = std::unique_ptr<rd_kafka_NewTopic_t, Destroy<rd_kafka_NewTopic_destroy>>;
using OptionsHandle = std::unique_ptr<rd_kafka_AdminOptions_t, Destroy<rd_kafka_AdminOptions_destroy>>;
using MetadataHandle = std::unique_ptr<const rd_kafka_metadata_t, Destroy<rd_kafka_metadata_destroy>>;

// The last record of a key is rarely far from the end. Compaction leaves the newest segment alone, so that it is kept small.
constexpr std::int64_t tail = 2'000;
constexpr std::int64_t tail_growth = 50;
constexpr const char* segment_bytes = "16777216";

constexpr int poll_ms = 50;

int ms_of(Clock::duration d) {
    return static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(d).count());
}

NewTopicHandle compacted(const std::string& name) {
    constexpr int partitions = 1;
    constexpr int replicas_of_the_broker = -1;
    NewTopicHandle topic(rd_kafka_NewTopic_new(name.c_str(), partitions, replicas_of_the_broker, nullptr, 0));
    if (!topic) throw std::runtime_error("the cursor topic cannot be called '" + name + "'");
    rd_kafka_NewTopic_set_config(topic.get(), "cleanup.policy", "compact");
    rd_kafka_NewTopic_set_config(topic.get(), "segment.bytes", segment_bytes);
    return topic;
}

/// What came of the request to create the one topic.
rd_kafka_resp_err_t outcome_of(rd_kafka_event_t* event) {
    const auto error = rd_kafka_event_error(event);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return error;
    std::size_t count = 0;
    const auto* const* topics = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
    return count == 1 ? rd_kafka_topic_result_error(topics[0]) : RD_KAFKA_RESP_ERR_UNKNOWN;
}

MetadataHandle metadata_of(rd_kafka_t* client, rd_kafka_topic_t* topic, Clock::duration patience) {
    const rd_kafka_metadata_t* raw = nullptr;
    const int all_topics = topic == nullptr ? 1 : 0;
    const auto error = rd_kafka_metadata(client, all_topics, topic, &raw, ms_of(patience));
    return MetadataHandle(error == RD_KAFKA_RESP_ERR_NO_ERROR ? raw : nullptr);
}

/// True unless it is certain that no broker is the controller.
bool has_controller(rd_kafka_t* client, Clock::duration patience) {
    const auto metadata = metadata_of(client, nullptr, patience);
    if (!metadata) return true;
    const auto id = rd_kafka_controllerid(client, 0);
    const auto* brokers = metadata->brokers;
    return std::any_of(brokers, brokers + metadata->broker_cnt, [id](const auto& broker) { return broker.id == id; });
}

bool ask_about(rd_kafka_t* client, const std::string& name, Clock::duration patience) {
    const TopicHandle topic(rd_kafka_topic_new(client, name.c_str(), nullptr));
    return topic && metadata_of(client, topic.get(), patience) != nullptr;
}

}  // namespace

CursorTopic::~CursorTopic() {
    if (consuming_) rd_kafka_consume_stop(topic_.get(), partition);
}

bool CursorTopic::provide(rd_kafka_t* client, Clock::duration patience) {
    if (provided_) return true;
    const auto wanted = compacted(settings_.cursor_topic);
    const OptionsHandle options(rd_kafka_AdminOptions_new(client, RD_KAFKA_ADMIN_OP_CREATETOPICS));
    rd_kafka_AdminOptions_set_request_timeout(options.get(), ms_of(patience), nullptr, 0);
    const QueueHandle answers(rd_kafka_queue_new(client));
    std::array topics = {wanted.get()};
    rd_kafka_CreateTopics(client, topics.data(), topics.size(), options.get(), answers.get());
    const EventHandle answer(rd_kafka_queue_poll(answers.get(), ms_of(patience) + poll_ms));
    if (!answer) return false;
    const auto error = outcome_of(answer.get());
    switch (error) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        is_new_ = true;
        log::info("created the cursor topic", {{"topic", settings_.cursor_topic}});
        break;
    case RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS: break;
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
        // The embedded broker names a controller that does not exist, and makes a topic when it is asked about it.
        if (has_controller(client, patience) || !ask_about(client, settings_.cursor_topic, patience)) return false;
        break;
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
        log::warning("the cursor topic may not be created by the worker; it must exist",
                     {{"topic", settings_.cursor_topic}, {"error", rd_kafka_err2str(error)}});
        break;
    default: return false;
    }
    provided_ = true;
    return true;
}

void CursorTopic::begin_at(std::int64_t offset) {
    if (!consumer_) {
        std::array<char, 512> error{};
        auto conf = consumer_conf(settings_);
        consumer_.reset(rd_kafka_new(RD_KAFKA_CONSUMER, conf.get(), error.data(), error.size()));
        if (!consumer_) throw std::runtime_error("cannot make a Kafka consumer: " + std::string(error.data()));
        [[maybe_unused]] auto* const taken = conf.release();
        topic_.reset(rd_kafka_topic_new(consumer_.get(), settings_.cursor_topic.c_str(), nullptr));
    }
    if (consuming_) rd_kafka_consume_stop(topic_.get(), partition);
    from_ = offset;
    if (rd_kafka_consume_start(topic_.get(), partition, from_) != 0)
        throw std::runtime_error("cannot read the cursor topic: " +
                                 std::string(rd_kafka_err2str(rd_kafka_last_error())));
    consuming_ = true;
}

/// Looks at one message or report; true when it was the end.
bool CursorTopic::take(const rd_kafka_message_t& message) {
    if (message.err == RD_KAFKA_RESP_ERR__PARTITION_EOF) return message.offset >= high_;
    if (message.err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        log::debug("reading the cursor topic", {{"error", rd_kafka_err2str(message.err)}});
        return false;
    }
    if (std::string_view(static_cast<const char*>(message.key), message.key_len) != key_) return false;
    value_.reset();
    // Without a value: somebody has deleted the cursor.
    if (message.payload != nullptr) value_.emplace(static_cast<const char*>(message.payload), message.len);
    return false;
}

bool CursorTopic::read(rd_kafka_t* client, Clock::duration patience) {
    if (is_new_) return true;
    const runtime::SteadyClock clock;
    const auto deadline = clock.now() + patience;
    if (!end_known_) {
        if (rd_kafka_query_watermark_offsets(client, settings_.cursor_topic.c_str(), partition, &low_, &high_,
                                             ms_of(patience)) != RD_KAFKA_RESP_ERR_NO_ERROR)
            return false;
        end_known_ = true;
    }
    if (low_ >= high_) return true;
    if (!consuming_) begin_at(std::max(low_, high_ - tail));
    while (clock.now() < deadline) {
        const MessageHandle message(rd_kafka_consume(topic_.get(), partition, poll_ms));
        if (!message || !take(*message)) continue;
        if (value_ || from_ <= low_) return true;
        begin_at(std::max(low_, high_ - (high_ - from_) * tail_growth));
    }
    return false;
}

}  // namespace oms::kafka
