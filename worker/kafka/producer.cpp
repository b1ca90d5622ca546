#include "kafka/producer.hpp"

#include <array>
#include <cstdint>
#include <stdexcept>

namespace oms::kafka {

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
    TopicHandle made(rd_kafka_topic_new(client_.get(), std::string(name).c_str(), nullptr));
    if (!made) return nullptr;
    return topics_.emplace(name, std::move(made)).first->second.get();
}

}  // namespace oms::kafka
