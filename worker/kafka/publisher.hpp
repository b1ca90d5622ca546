// The relay's Publisher on librdkafka: one idempotent producer, for as long as it lives.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "kafka/cloud_event.hpp"
#include "kafka/conf.hpp"
#include "kafka/producer.hpp"
#include "relay/ports.hpp"
#include "runtime/metrics.hpp"
#include "runtime/status.hpp"

namespace oms::kafka {

class Publisher final : public relay::Publisher {
  public:
    Publisher(const KafkaSettings& settings, runtime::Metrics& metrics, runtime::Status& status);

    void publish(relay::Token token, const relay::Event& event) override;
    void publish(relay::Token token, const relay::Message& message) override;
    std::vector<relay::Delivery> deliveries() override;
    bool broken() const override { return broken_; }
    void drop_queued() override;
    int wake_fd() const override { return producer_.arrived().fd(); }

  private:
    struct Parts {
        std::string_view topic;
        std::string_view key;
        std::string_view payload;
        std::span<const Header> headers;
    };
    void produce(relay::Token token, const Parts& parts);
    void refuse(relay::Token token, const Parts& parts, rd_kafka_resp_err_t error);
    void on_error(rd_kafka_event_t* event);
    void on_statistics(rd_kafka_event_t* event);
    void show_broker(bool up);

    const KafkaSettings& settings_;
    runtime::Metrics& metrics_;
    runtime::Status& status_;
    Producer producer_;
    CloudEvents cloud_events_;
    std::vector<relay::Delivery> refused_;  // on the spot, answered with the next deliveries
    bool broken_ = false;
    rd_kafka_resp_err_t reported_ = RD_KAFKA_RESP_ERR_NO_ERROR;  // the error that was logged last, and when
    runtime::Clock::time_point reported_at_{};
};

class Publishers final : public relay::Publishers {
  public:
    /// Throws runtime::ConfigError when no producer can be made from these settings.
    Publishers(KafkaSettings settings, runtime::Metrics& metrics, runtime::Status& status);
    std::unique_ptr<relay::Publisher> open() override {
        return std::make_unique<Publisher>(settings_, metrics_, status_);
    }

  private:
    KafkaSettings settings_;
    runtime::Metrics& metrics_;
    runtime::Status& status_;
};

}  // namespace oms::kafka
