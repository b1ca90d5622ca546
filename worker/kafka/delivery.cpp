#include "kafka/delivery.hpp"

#include <cstdint>

namespace oms::kafka {
namespace {

std::unique_ptr<relay::Message> copy_of(const rd_kafka_message_t& report) {
    auto copy = std::make_unique<relay::Message>();
    copy->topic = rd_kafka_topic_name(report.rkt);
    if (report.key != nullptr) copy->key.assign(static_cast<const char*>(report.key), report.key_len);
    if (report.payload != nullptr) copy->payload.assign(static_cast<const char*>(report.payload), report.len);
    rd_kafka_headers_t* headers = nullptr;
    if (rd_kafka_message_headers(&report, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) return copy;
    const char* name = nullptr;
    const void* value = nullptr;
    std::size_t size = 0;
    for (std::size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR;
         ++i)
        copy->headers.emplace_back(name, std::string(static_cast<const char*>(value), size));
    return copy;
}

}  // namespace

relay::Delivery::Outcome outcome_of(ErrorClass error) noexcept {
    return error == ErrorClass::reject ? relay::Delivery::Outcome::rejected : relay::Delivery::Outcome::unconfirmed;
}

relay::Delivery delivery_of(const rd_kafka_message_t& report, bool unknown_topic_waits) {
    relay::Delivery delivery;
    delivery.token = reinterpret_cast<std::uintptr_t>(report._private);
    delivery.topic = rd_kafka_topic_name(report.rkt);
    // Without an offset the broker has not said so: the client concluded it from the answer to a later request.
    if (report.err == RD_KAFKA_RESP_ERR_NO_ERROR && report.offset < 0) {
        delivery.outcome = relay::Delivery::Outcome::unconfirmed;
        delivery.error = "acknowledged without an offset";
        return delivery;
    }
    if (report.err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        delivery.partition = report.partition;
        delivery.offset = report.offset;
        delivery.broker_time_ms = rd_kafka_message_timestamp(&report, nullptr);
        delivery.seconds = static_cast<double>(rd_kafka_message_latency(&report)) * 1e-6;
        return delivery;
    }
    delivery.outcome = outcome_of(classify(report.err, unknown_topic_waits));
    delivery.error = std::string(rd_kafka_err2name(report.err)) + ": " + rd_kafka_err2str(report.err);
    if (delivery.outcome == relay::Delivery::Outcome::rejected) delivery.message = copy_of(report);
    return delivery;
}

}  // namespace oms::kafka
