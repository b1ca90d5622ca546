// A topic from the reader's side: where it ends, and what arrives in it.
#pragma once

#include <librdkafka/rdkafka.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "kafka/handles.hpp"

namespace oms::bench {

using PartitionsHandle =
    std::unique_ptr<rd_kafka_topic_partition_list_t, kafka::Destroy<rd_kafka_topic_partition_list_destroy>>;

class Topic {
  public:
    Topic(const std::string& brokers, const std::string& name);
    ~Topic();
    Topic(const Topic&) = delete;
    Topic& operator=(const Topic&) = delete;

    /// How many messages all partitions ever got: the sum of their ends, asked for in one request.
    std::int64_t messages();

    /// Receives what arrives from now on; to be called before the first poll().
    void receive_from_here();
    /// Calls `seen` with the key of the next message, unless none arrives within `timeout_ms`.
    bool poll(int timeout_ms, const std::function<void(std::string_view)>& seen);

  private:
    PartitionsHandle ends();

    kafka::ClientHandle client_;
    PartitionsHandle partitions_;
};

}  // namespace oms::bench
