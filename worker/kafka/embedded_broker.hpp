// librdkafka's own broker, in this process: speaks Kafka's protocol, keeps everything in memory.
//
// For the demo, for tests, and for faults that a real broker cannot be told to have. It keeps a few
// megabytes per partition and forgets all of it at the end.
#pragma once

#include <memory>
#include <string>

#include "kafka/handles.hpp"

// It wants rdkafka.h before it.
#include <librdkafka/rdkafka_mock.h>

namespace oms::kafka {

class EmbeddedBroker {
  public:
    explicit EmbeddedBroker(int nodes);

    /// host:port of each node, separated by commas.
    std::string addresses() const { return rd_kafka_mock_cluster_bootstraps(cluster_.get()); }
    rd_kafka_mock_cluster_t* cluster() const noexcept { return cluster_.get(); }

  private:
    ClientHandle host_;  // the cluster lives in a client's threads
    std::unique_ptr<rd_kafka_mock_cluster_t, Destroy<rd_kafka_mock_cluster_destroy>> cluster_;
};

}  // namespace oms::kafka
