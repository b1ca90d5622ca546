// librdkafka's producer with everything it reports in one queue that poll() can wait for.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>

#include "kafka/handles.hpp"
#include "kafka/partition_gate.hpp"
#include "runtime/event_fd.hpp"

namespace oms::kafka {

class Producer {
  public:
    /// Starts the client; throws when it cannot be made. No broker needs to be there.
    explicit Producer(ConfHandle conf);
    ~Producer();
    Producer(const Producer&) = delete;
    Producer& operator=(const Producer&) = delete;

    rd_kafka_t* get() const noexcept { return client_.get(); }
    /// The handle of a topic, or nullptr when its name is impossible; lives as long as the producer.
    rd_kafka_topic_t* topic(std::string_view name);
    /// The gate of a topic that topic() made.
    static PartitionGate& gate_of(const rd_kafka_topic_t& topic);
    std::deque<PartitionGate>& gates() noexcept { return gates_; }

    /// Next thing reported, or nothing.
    EventHandle next_event() noexcept { return EventHandle(rd_kafka_queue_poll(queue_.get(), 0)); }
    const runtime::EventFd& arrived() const noexcept { return arrived_; }

  private:
    struct Hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>{}(text); }
    };

    // The order matters: what hangs on the client goes before it, what it writes to and asks after it.
    runtime::EventFd arrived_;
    std::deque<PartitionGate> gates_;
    ClientHandle client_;
    QueueHandle queue_;
    std::unordered_map<std::string, TopicHandle, Hash, std::equal_to<>> topics_;
};

}  // namespace oms::kafka
