#include "topic.hpp"

#include <array>
#include <chrono>
#include <stdexcept>
#include <thread>

namespace oms::bench {
namespace {

constexpr int answer_ms = 10'000;

using MessageHandle = std::unique_ptr<rd_kafka_message_t, kafka::Destroy<rd_kafka_message_destroy>>;

void set(rd_kafka_conf_t* conf, const char* key, const char* value) {
    std::array<char, 512> error{};
    if (rd_kafka_conf_set(conf, key, value, error.data(), error.size()) != RD_KAFKA_CONF_OK)
        throw std::runtime_error(error.data());
}

void check(rd_kafka_resp_err_t error, const char* doing) {
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
        throw std::runtime_error(std::string(doing) + ": " + rd_kafka_err2str(error));
}

kafka::ClientHandle consumer(const std::string& brokers) {
    kafka::ConfHandle conf(rd_kafka_conf_new());
    set(conf.get(), "bootstrap.servers", brokers.c_str());
    set(conf.get(), "group.id", "bench");  // wanted by the client; nothing is stored under it
    set(conf.get(), "enable.auto.commit", "false");
    // Everything that arrives is answered at once: a fetch waits for its first byte, not for a full packet.
    set(conf.get(), "fetch.min.bytes", "1");
    std::array<char, 512> error{};
    kafka::ClientHandle client(rd_kafka_new(RD_KAFKA_CONSUMER, conf.get(), error.data(), error.size()));
    if (!client) throw std::runtime_error(error.data());
    [[maybe_unused]] auto* const taken = conf.release();
    rd_kafka_poll_set_consumer(client.get());
    return client;
}

}  // namespace

Topic::Topic(const std::string& brokers, const std::string& name)
    : client_(consumer(brokers)), partitions_(rd_kafka_topic_partition_list_new(4)) {
    const kafka::TopicHandle topic(rd_kafka_topic_new(client_.get(), name.c_str(), nullptr));
    const rd_kafka_metadata_t* metadata = nullptr;
    check(rd_kafka_metadata(client_.get(), 0, topic.get(), &metadata, answer_ms), "asking for the topic's partitions");
    const int count = metadata->topics[0].partition_cnt;
    for (int i = 0; i < count; ++i)
        rd_kafka_topic_partition_list_add(partitions_.get(), name.c_str(), metadata->topics[0].partitions[i].id);
    rd_kafka_metadata_destroy(metadata);
    if (count == 0) throw std::runtime_error("there is no topic " + name);
}

Topic::~Topic() { rd_kafka_consumer_close(client_.get()); }

PartitionsHandle Topic::ends() {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(answer_ms);
    for (;;) {
        PartitionsHandle asked(rd_kafka_topic_partition_list_copy(partitions_.get()));
        for (int i = 0; i < asked->cnt; ++i) asked->elems[i].offset = RD_KAFKA_OFFSET_END;
        auto error = rd_kafka_offsets_for_times(client_.get(), asked.get(), answer_ms);
        for (int i = 0; i < asked->cnt && error == RD_KAFKA_RESP_ERR_NO_ERROR; ++i) error = asked->elems[i].err;
        if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return asked;
        // A topic that was just made, or a broker that was just started: the leaders are not what the client believes.
        if (std::chrono::steady_clock::now() > deadline) check(error, "asking for the topic's end");
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
}

std::int64_t Topic::messages() {
    const auto all = ends();
    std::int64_t sum = 0;
    for (int i = 0; i < all->cnt; ++i) sum += all->elems[i].offset;
    return sum;
}

void Topic::receive_from_here() {
    const auto from = ends();
    check(rd_kafka_assign(client_.get(), from.get()), "assigning the topic's partitions");
}

bool Topic::poll(int timeout_ms, const std::function<void(std::string_view)>& seen) {
    const MessageHandle message(rd_kafka_consumer_poll(client_.get(), timeout_ms));
    if (!message || message->err != RD_KAFKA_RESP_ERR_NO_ERROR) return false;
    seen({static_cast<const char*>(message->key), message->key_len});
    return true;
}

}  // namespace oms::bench
