#include "kafka/error.hpp"

namespace oms::kafka {

ErrorClass classify(rd_kafka_resp_err_t error, bool unknown_topic_waits) noexcept {
    switch (error) {
    // The message itself: its size, its form, or what a rule of the broker says about it.
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_INVALID_MSG:
    case RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE:
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
    case RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP:
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT:
    case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
    // Its topic: a name that cannot exist, or one that is forbidden to us.
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED: return ErrorClass::reject;

    // Reported only after topic.metadata.propagation.max.ms of asking every broker.
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION: return unknown_topic_waits ? ErrorClass::retry : ErrorClass::reject;

    case RD_KAFKA_RESP_ERR__FATAL:
    case RD_KAFKA_RESP_ERR__FENCED:
    case RD_KAFKA_RESP_ERR__GAPLESS_GUARANTEE:
    case RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER:
    case RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH:
    case RD_KAFKA_RESP_ERR_PRODUCER_FENCED:
    case RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID: return ErrorClass::fatal;

    default: return ErrorClass::retry;
    }
}

bool blames_the_batch(rd_kafka_resp_err_t error) noexcept {
    // Of a forbidden or unknown topic every message is guilty.
    return classify(error, true) == ErrorClass::reject && error != RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION &&
           error != RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
}

const char* name_of(ErrorClass c) noexcept {
    switch (c) {
    case ErrorClass::retry: return "retry";
    case ErrorClass::reject: return "reject";
    case ErrorClass::fatal: return "fatal";
    }
    return "unknown";
}

}  // namespace oms::kafka
