// What `oms-worker check` finds out about the broker.
#pragma once

#include <string>
#include <vector>

#include "kafka/conf.hpp"

namespace oms::kafka {

struct BrokerReport {
    bool reachable = false;
    std::string text;
    std::vector<std::string> missing_topics;  // of those asked for
};

/// Asks the brokers who they are and which of the topics they have, for at most `patience`.
BrokerReport probe(const KafkaSettings& settings, const std::vector<std::string>& topics,
                   runtime::Clock::duration patience);

}  // namespace oms::kafka
