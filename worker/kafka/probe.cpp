#include "kafka/probe.hpp"

#include <algorithm>
#include <chrono>
#include <memory>
#include <string_view>

#include "kafka/producer.hpp"

namespace oms::kafka {
namespace {

using MetadataHandle = std::unique_ptr<const rd_kafka_metadata_t, Destroy<rd_kafka_metadata_destroy>>;

/// The last error that the client reported: why nothing could be reached.
std::string last_error(Producer& producer) {
    std::string text;
    while (auto event = producer.next_event())
        if (rd_kafka_event_type(event.get()) == RD_KAFKA_EVENT_ERROR) text = rd_kafka_event_error_string(event.get());
    return text;
}

}  // namespace

BrokerReport probe(const KafkaSettings& settings, const std::vector<std::string>& topics,
                   runtime::Clock::duration patience) {
    Producer producer(producer_conf(settings));
    const rd_kafka_metadata_t* raw = nullptr;
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(patience).count();
    const auto error = rd_kafka_metadata(producer.get(), 1, nullptr, &raw, static_cast<int>(ms));
    BrokerReport report;
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
        report.text = "no broker answers at " + settings.bootstrap + ": " + rd_kafka_err2str(error);
        if (const auto why = last_error(producer); !why.empty()) report.text += " (" + why + ")";
        return report;
    }
    const MetadataHandle metadata(raw);
    report.reachable = true;
    report.text = std::to_string(metadata->broker_cnt) + " brokers, " + std::to_string(metadata->topic_cnt) + " topics";
    for (const auto& topic : topics) {
        const auto* end = metadata->topics + metadata->topic_cnt;
        if (std::none_of(static_cast<const rd_kafka_metadata_topic*>(metadata->topics), end,
                         [&](const auto& known) { return topic == known.topic; }))
            report.missing_topics.push_back(topic);
    }
    return report;
}

}  // namespace oms::kafka
