// The relay's Publisher on librdkafka: one idempotent producer, for as long as it lives.
//
// With an identity the producer is a transactional one; what that takes is in transactional_publisher.hpp.
#pragma once

#include <algorithm>
#include <memory>
#include <span>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "kafka/cloud_event.hpp"
#include "kafka/conf.hpp"
#include "kafka/producer.hpp"
#include "relay/ports.hpp"
#include "runtime/metrics.hpp"
#include "runtime/status.hpp"

namespace oms::kafka {

class Publisher : public relay::Publisher {
  public:
    Publisher(const KafkaSettings& settings, runtime::Metrics& metrics, runtime::Status& status, Batching& batching,
              const std::string& transactional_id = "");

    void publish(relay::Token token, const relay::Event& event) override;
    void publish(relay::Token token, const relay::Message& message) override;
    relay::Message message_of(const relay::Event& event) override;
    std::vector<relay::Delivery> deliveries() override;
    bool broken() const override { return broken_; }
    void drop_queued() override;
    int wake_fd() const override { return producer_.arrived().fd(); }

  protected:
    struct Parts {
        std::string_view topic;
        std::string_view key;
        std::string_view payload;
        std::span<const Header> headers;
        std::int32_t partition = RD_KAFKA_PARTITION_UA;
    };
    void produce(relay::Token token, const Parts& parts);
    virtual void before_message() {}
    void know(const std::string& topic) { producer_.topic(topic); }

    rd_kafka_t* client() const noexcept { return producer_.get(); }
    const KafkaSettings& settings() const noexcept { return settings_; }
    void show_broker(bool up);
    /// The next producer sends alone what this one was given and the broker has not settled.
    void send_alone_next() noexcept { next_batching_.suspects = std::max<std::size_t>(unsettled_, 1); }
    void give_up() noexcept { broken_ = true; }
    std::size_t refused_on_the_spot() const noexcept { return refused_.size(); }
    /// True when the client complained, of whatever, since the last call.
    bool take_complaint() noexcept { return std::exchange(complaint_, false); }
    bool sent_enough_alone() const noexcept {
        return batching_.alone() && suspected_ == batching_.suspects && suspects_.empty();
    }
    void transaction_is_settled() noexcept { unsettled_ = 0; }

  private:
    relay::Delivery judge(const rd_kafka_message_t& report);
    void given(relay::Token token);
    void send(relay::Token token, const relay::Message& message);
    void settled(const relay::Delivery& delivery);
    static relay::Message message_of(const Parts& parts);
    void let_in(const rd_kafka_message_t& report, relay::Delivery::Outcome outcome);
    void leave_unconfirmed(const std::vector<PartitionGate::Held>& messages);
    void refuse(PartitionGate::Held refused, rd_kafka_resp_err_t error);
    void on_error(rd_kafka_event_t* event);
    void on_log(rd_kafka_event_t* event);
    void on_statistics(rd_kafka_event_t* event);

    const KafkaSettings& settings_;
    runtime::Metrics& metrics_;
    runtime::Status& status_;
    Batching& next_batching_;  // of the producer that follows this one
    const Batching batching_;
    const bool transactional_;
    // Given, and neither sent nor rejected; in transactions: since the last one was committed.
    std::size_t unsettled_ = 0;
    std::size_t suspected_ = 0;  // of what travels alone: how many were given, and which of them are not answered
    std::unordered_set<relay::Token> suspects_;
    Producer producer_;
    CloudEvents cloud_events_;
    runtime::Clock::time_point now_ = runtime::SteadyClock().now();  // when deliveries() was called last
    std::vector<relay::Delivery> refused_;                           // on the spot, answered with the next deliveries
    bool broken_ = false;
    bool complaint_ = false;
    rd_kafka_resp_err_t reported_ = RD_KAFKA_RESP_ERR_NO_ERROR;  // the error that was logged last, and when
    runtime::Clock::time_point reported_at_{};
};

class Publishers final : public relay::Publishers {
  public:
    /// Throws runtime::ConfigError when no producer can be made from these settings.
    Publishers(KafkaSettings settings, runtime::Metrics& metrics, runtime::Status& status);
    bool transactional() const override { return settings_.exactly_once; }
    std::unique_ptr<relay::Publisher> open(const std::string& identity) override;

  private:
    KafkaSettings settings_;
    runtime::Metrics& metrics_;
    runtime::Status& status_;
    Batching batching_;
};

}  // namespace oms::kafka
