#include "test/mock_cluster.hpp"

#include <array>
#include <chrono>
#include <memory>
#include <set>
#include <stdexcept>

#include "kafka/handles.hpp"

namespace oms::test {
namespace {

using namespace std::chrono_literals;
using kafka::Destroy;
using PartitionsHandle =
    std::unique_ptr<rd_kafka_topic_partition_list_t, Destroy<rd_kafka_topic_partition_list_destroy>>;
using MessageHandle = std::unique_ptr<rd_kafka_message_t, Destroy<rd_kafka_message_destroy>>;

constexpr auto patience = 30s;  // reached only when a test fails

void set(rd_kafka_conf_t* conf, const char* key, const std::string& value) {
    if (rd_kafka_conf_set(conf, key, value.c_str(), nullptr, 0) != RD_KAFKA_CONF_OK) throw std::logic_error(key);
}

kafka::ClientHandle consumer_at(const std::string& bootstrap, Isolation isolation) {
    auto* conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", bootstrap);
    set(conf, "group.id", "test");
    set(conf, "enable.partition.eof", "true");
    set(conf, "enable.auto.commit", "false");
    set(conf, "fetch.wait.max.ms", "50");
    set(conf, "isolation.level", isolation == Isolation::committed ? "read_committed" : "read_uncommitted");
    return kafka::ClientHandle(rd_kafka_new(RD_KAFKA_CONSUMER, conf, nullptr, 0));
}

int partitions_of(rd_kafka_t* client, const std::string& topic) {
    const kafka::TopicHandle handle(rd_kafka_topic_new(client, topic.c_str(), nullptr));
    const rd_kafka_metadata_t* metadata = nullptr;
    if (rd_kafka_metadata(client, 0, handle.get(), &metadata, 10'000) != RD_KAFKA_RESP_ERR_NO_ERROR) return 0;
    const int count = metadata->topics[0].partition_cnt;
    rd_kafka_metadata_destroy(metadata);
    return count;
}

Consumed copy_of(const rd_kafka_message_t& message) {
    Consumed copy;
    copy.key.assign(static_cast<const char*>(message.key), message.key_len);
    copy.payload.assign(static_cast<const char*>(message.payload), message.len);
    copy.partition = message.partition;
    copy.offset = message.offset;
    rd_kafka_headers_t* headers = nullptr;
    if (rd_kafka_message_headers(&message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) return copy;
    const char* name = nullptr;
    const void* value = nullptr;
    std::size_t size = 0;
    for (std::size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR;
         ++i)
        copy.headers[name] = std::string(static_cast<const char*>(value), size);
    return copy;
}

/// Where each partition ends, with the transactions in it that the broker has not marked as committed yet: it answers a
/// commit before it writes the marks, some milliseconds as a rule, and until then a consumer of committed messages sees none.
std::vector<std::int64_t> ends_of(const std::string& bootstrap, const std::string& topic, int partitions) {
    const auto client = consumer_at(bootstrap, Isolation::uncommitted);
    std::vector<std::int64_t> ends(static_cast<std::size_t>(partitions));
    for (int p = 0; p < partitions; ++p) {
        std::int64_t low = 0;
        if (rd_kafka_query_watermark_offsets(client.get(), topic.c_str(), p, &low, &ends[static_cast<std::size_t>(p)],
                                             10'000) != RD_KAFKA_RESP_ERR_NO_ERROR)
            throw std::runtime_error("cannot tell where " + topic + " ends");
    }
    return ends;
}

std::vector<Consumed> read(const std::string& bootstrap, const std::string& topic, std::size_t count, bool to_the_end,
                           Isolation isolation = Isolation::committed) {
    const auto client = consumer_at(bootstrap, isolation);
    rd_kafka_poll_set_consumer(client.get());
    const int partitions = partitions_of(client.get(), topic);
    const PartitionsHandle list(rd_kafka_topic_partition_list_new(partitions));
    for (int p = 0; p < partitions; ++p)
        rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), p)->offset = RD_KAFKA_OFFSET_BEGINNING;
    rd_kafka_assign(client.get(), list.get());
    const auto ends = to_the_end ? ends_of(bootstrap, topic, partitions) : std::vector<std::int64_t>{};
    std::vector<Consumed> consumed;
    std::set<std::int32_t> ended;
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (consumed.size() < count && std::chrono::steady_clock::now() < deadline) {
        const MessageHandle message(rd_kafka_consumer_poll(client.get(), 100));
        if (!message) continue;
        // A consumer of committed messages is told of an end also before a transaction that is still open to it.
        if (to_the_end && message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF &&
            message->offset >= ends[static_cast<std::size_t>(message->partition)])
            ended.insert(message->partition);
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) consumed.push_back(copy_of(*message));
        if (to_the_end && static_cast<int>(ended.size()) == partitions) break;
    }
    rd_kafka_consumer_close(client.get());
    return consumed;
}

}  // namespace

std::vector<Consumed> consume(const std::string& bootstrap, const std::string& topic, std::size_t count) {
    return read(bootstrap, topic, count, false);
}

std::vector<Consumed> consume_all(const std::string& bootstrap, const std::string& topic, Isolation isolation) {
    return read(bootstrap, topic, static_cast<std::size_t>(-1), true, isolation);
}

void create_topic(const std::string& bootstrap, const std::string& topic,
                  const std::map<std::string, std::string>& settings) {
    auto* conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", bootstrap);
    const kafka::ClientHandle client(rd_kafka_new(RD_KAFKA_PRODUCER, conf, nullptr, 0));
    const std::unique_ptr<rd_kafka_NewTopic_t, Destroy<rd_kafka_NewTopic_destroy>> wanted(
        rd_kafka_NewTopic_new(topic.c_str(), 4, -1, nullptr, 0));
    for (const auto& [name, value] : settings) rd_kafka_NewTopic_set_config(wanted.get(), name.c_str(), value.c_str());
    const kafka::QueueHandle answers(rd_kafka_queue_new(client.get()));
    std::array topics = {wanted.get()};
    rd_kafka_CreateTopics(client.get(), topics.data(), topics.size(), nullptr, answers.get());
    const kafka::EventHandle answer(rd_kafka_queue_poll(answers.get(), 30'000));
    if (!answer || rd_kafka_event_error(answer.get()) != RD_KAFKA_RESP_ERR_NO_ERROR)
        throw std::runtime_error("cannot create topic " + topic);
}

}  // namespace oms::test
