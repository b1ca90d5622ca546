// A producer with the worker's settings and nothing around it: what every rival publishes through.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "kafka/cloud_event.hpp"
#include "kafka/producer.hpp"

namespace oms::bench {

struct Outgoing {
    std::string_view topic;
    std::string_view key;
    std::string_view payload;
    std::span<const kafka::Header> headers;
};

/// Used by one thread.
class Sender {
  public:
    explicit Sender(const std::string& brokers);

    /// Hands a message over; waits while the client's own queue is full, and for nothing else.
    void send(const Outgoing& message);
    /// Takes in the acknowledgements that have arrived. Throws when a message was not delivered.
    void take_answers();
    /// Waits until everything is acknowledged.
    void settle();
    /// Waits until the topic exists and has leaders; the broker makes it when it does not exist.
    void await_topic(const std::string& topic);

    std::size_t acknowledged() const noexcept { return acknowledged_; }

  private:
    void wait();

    kafka::Producer producer_;
    std::size_t sent_ = 0;
    std::size_t acknowledged_ = 0;
};

}  // namespace oms::bench
