#include "kafka/producer.hpp"

#include <array>
#include <cstdint>
#include <stdexcept>

namespace oms::kafka {
namespace {

/// The way Java clients choose a partition, and the gate's consent. A number that is no partition makes the client refuse.
std::int32_t place(const rd_kafka_topic_t* topic, const void* key, std::size_t size, std::int32_t count, void* gate,
                   void* token) noexcept {
    const auto partition = rd_kafka_msg_partitioner_murmur2_random(topic, key, size, count, gate, token);
    const bool admitted = static_cast<PartitionGate*>(gate)->ask(reinterpret_cast<std::uintptr_t>(token), partition);
    return admitted ? partition : count;
}

}  // namespace

Producer::Producer(ConfHandle conf) {
    std::array<char, 512> error{};
    client_.reset(rd_kafka_new(RD_KAFKA_PRODUCER, conf.get(), error.data(), error.size()));
    if (!client_) throw std::runtime_error("cannot make a Kafka producer: " + std::string(error.data()));
    // rd_kafka_new took the configuration over, but only because it succeeded.
    [[maybe_unused]] auto* const taken = conf.release();
    queue_.reset(rd_kafka_queue_get_main(client_.get()));
    rd_kafka_set_log_queue(client_.get(), queue_.get());
    // Written when the queue turns from empty to filled: an eventfd wants a 64-bit number.
    const std::uint64_t one = 1;
    rd_kafka_queue_io_event_enable(queue_.get(), arrived_.fd(), &one, sizeof one);
}

Producer::~Producer() {
    // Whatever is still in here was given up by the relay. Left in the queues, the client's end would
    // wait for it.
    rd_kafka_purge(client_.get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_queue_io_event_enable(queue_.get(), -1, nullptr, 0);
}

rd_kafka_topic_t* Producer::topic(std::string_view name) {
    const auto known = topics_.find(name);
    if (known != topics_.end()) return known->second.get();
    auto* const conf = rd_kafka_default_topic_conf_dup(client_.get());
    rd_kafka_topic_conf_set_partitioner_cb(conf, place);
    rd_kafka_topic_conf_set_opaque(conf, &gates_.emplace_back());
    TopicHandle made(rd_kafka_topic_new(client_.get(), std::string(name).c_str(), conf));
    if (!made) {
        gates_.pop_back();
        return nullptr;
    }
    return topics_.emplace(name, std::move(made)).first->second.get();
}

PartitionGate& Producer::gate_of(const rd_kafka_topic_t& topic) {
    return *static_cast<PartitionGate*>(rd_kafka_topic_opaque(&topic));
}

}  // namespace oms::kafka
