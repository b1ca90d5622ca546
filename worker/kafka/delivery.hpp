// What librdkafka reports about one message, in the relay's terms.
#pragma once

#include "kafka/error.hpp"
#include "kafka/handles.hpp"
#include "relay/ports.hpp"

namespace oms::kafka {

/// Reads one delivery report. A rejected message is copied, for the report is about to vanish.
relay::Delivery delivery_of(const rd_kafka_message_t& report, bool unknown_topic_waits);

relay::Delivery::Outcome outcome_of(ErrorClass error) noexcept;

}  // namespace oms::kafka
