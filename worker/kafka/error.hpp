// Kafka's errors, by what the worker has to do about them.
#pragma once

#include <librdkafka/rdkafka.h>

namespace oms::kafka {

enum class ErrorClass {
    retry,   // the infrastructure's fault: the message is sent again, however long it takes
    reject,  // the message's own fault: no attempt can ever succeed
    fatal,   // the producer's end: a new one is built
};

/// Sorts an error. What is not known to be the message's own fault is the infrastructure's: taking
/// an outage for a bad message would lose its place in the order, the reverse only costs time.
ErrorClass classify(rd_kafka_resp_err_t error, bool unknown_topic_waits) noexcept;

/// True when a broker says this of a whole batch although only one message in it may be meant.
bool blames_the_batch(rd_kafka_resp_err_t error) noexcept;

const char* name_of(ErrorClass c) noexcept;

}  // namespace oms::kafka
