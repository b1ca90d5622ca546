// The configuration of the Kafka client: what the worker's promises rest on is fixed here, the rest
// (TLS, SASL, sizes) is the user's.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "kafka/handles.hpp"
#include "runtime/clock.hpp"

namespace oms::kafka {

struct KafkaSettings {
    std::string bootstrap;
    std::vector<std::pair<std::string, std::string>> properties;
    std::string compression = "lz4";
    runtime::Clock::duration linger{};
    std::size_t in_flight_messages = 10000;
    std::size_t in_flight_bytes = 16u << 20;
    std::string source = "/oms";
    bool unknown_topic_waits = false;
    bool exactly_once = false;
    std::string cursor_topic = "oms.cursors";
};

/// How messages travel: many in a request, as is usual, or each alone, so that a refusal names the one it is meant for.
struct Batching {
    std::size_t suspects = 0;  // so many, the first ones of the producer, have to travel alone
    bool alone() const noexcept { return suspects > 0; }
};

/// Builds the producer's configuration. Throws runtime::ConfigError for a property that librdkafka
/// does not know or take, and for one that is not the user's to set.
/// With a transactional id the producer writes in transactions.
ConfHandle producer_conf(const KafkaSettings& settings, Batching batching = {},
                         const std::string& transactional_id = "");

/// The same of a consumer that sees what is committed, without a group.
ConfHandle consumer_conf(const KafkaSettings& settings);

}  // namespace oms::kafka
