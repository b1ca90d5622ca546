#include "kafka/publisher.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <utility>

#include "kafka/delivery.hpp"
#include "kafka/error.hpp"
#include "kafka/transactional_publisher.hpp"
#include "runtime/log.hpp"

namespace oms::kafka {
namespace {

constexpr runtime::Clock::duration repeat_after = std::chrono::seconds(30);

HeadersHandle handle_of(std::span<const Header> headers) {
    HeadersHandle handle(rd_kafka_headers_new(headers.size()));
    for (const auto& [name, value] : headers)
        rd_kafka_header_add(handle.get(), name.data(), static_cast<ssize_t>(name.size()), value.data(),
                            static_cast<ssize_t>(value.size()));
    return handle;
}

}  // namespace

Publisher::Publisher(const KafkaSettings& settings, runtime::Metrics& metrics, runtime::Status& status,
                     Batching& batching, const std::string& transactional_id)
    : settings_(settings),
      metrics_(metrics),
      status_(status),
      next_batching_(batching),
      batching_(std::exchange(batching, {})),
      transactional_(!transactional_id.empty()),
      producer_(producer_conf(settings, batching_, transactional_id)),
      cloud_events_(settings.source) {}

void Publisher::publish(relay::Token token, const relay::Event& event) {
    given(token);
    produce(token, {event.topic, event.key, event.payload, cloud_events_.headers_of(event)});
}

void Publisher::publish(relay::Token token, const relay::Message& message) {
    given(token);
    send(token, message);
}

/// The relay reads again in the order it read before, so the first messages given are those that were on their way.
void Publisher::given(relay::Token token) {
    ++unsettled_;
    if (suspected_ == batching_.suspects) return;
    ++suspected_;
    suspects_.insert(token);
}

void Publisher::settled(const relay::Delivery& delivery) {
    if (delivery.outcome == relay::Delivery::Outcome::unconfirmed) return;
    if (!transactional_) --unsettled_;
    suspects_.erase(delivery.token);
    if (!transactional_ && sent_enough_alone()) broken_ = true;
}

void Publisher::send(relay::Token token, const relay::Message& message) {
    const std::vector<Header> headers(message.headers.begin(), message.headers.end());
    produce(token, {message.topic, message.key, message.payload, headers});
}

relay::Message Publisher::message_of(const relay::Event& event) {
    return message_of({event.topic, event.key, event.payload, cloud_events_.headers_of(event)});
}

relay::Message Publisher::message_of(const Parts& parts) {
    relay::Message message{std::string(parts.topic), std::string(parts.key), std::string(parts.payload), {}};
    for (const auto& [name, value] : parts.headers) message.headers.emplace_back(name, value);
    return message;
}

void Publisher::produce(relay::Token token, const Parts& parts) {
    before_message();
    auto* const topic = producer_.topic(parts.topic);
    if (topic == nullptr) return refuse({token, message_of(parts)}, RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION);
    auto& gate = Producer::gate_of(*topic);
    if (!gate.admits()) return gate.hold({token, message_of(parts)});
    gate.offer(token, now_);
    auto headers = handle_of(parts.headers);
    std::array<rd_kafka_vu_t, 7> fields{};
    fields[0].vtype = RD_KAFKA_VTYPE_RKT;
    fields[0].u.rkt = topic;
    fields[1].vtype = RD_KAFKA_VTYPE_MSGFLAGS;
    fields[1].u.i = RD_KAFKA_MSG_F_COPY;
    fields[2].vtype = RD_KAFKA_VTYPE_VALUE;
    fields[2].u.mem.ptr = const_cast<char*>(parts.payload.data());
    fields[2].u.mem.size = parts.payload.size();
    fields[3].vtype = RD_KAFKA_VTYPE_KEY;
    fields[3].u.mem.ptr = const_cast<char*>(parts.key.data());
    fields[3].u.mem.size = parts.key.size();
    fields[4].vtype = RD_KAFKA_VTYPE_HEADERS;
    fields[4].u.headers = headers.get();
    fields[5].vtype = RD_KAFKA_VTYPE_OPAQUE;
    fields[5].u.ptr = reinterpret_cast<void*>(static_cast<std::uintptr_t>(token));
    fields[6].vtype = RD_KAFKA_VTYPE_PARTITION;
    fields[6].u.i32 = parts.partition;
    const ErrorHandle error(rd_kafka_produceva(producer_.get(), fields.data(), fields.size()));
    const auto entry = gate.offered();
    if (entry == PartitionGate::Entry::must_wait) return gate.hold({token, message_of(parts)});
    if (error) {
        gate.withdraw();
        return refuse({token, message_of(parts)}, rd_kafka_error_code(error.get()));
    }
    if (parts.partition == RD_KAFKA_PARTITION_UA && entry == PartitionGate::Entry::topic_unknown)
        gate.send_ahead(token);
    // The client owns the headers now, because it took the message.
    [[maybe_unused]] auto* const taken = headers.release();
}

void Publisher::refuse(PartitionGate::Held refused, rd_kafka_resp_err_t error) {
    if (error == RD_KAFKA_RESP_ERR__QUEUE_FULL)
        throw std::runtime_error("the Kafka client's queue is full although the relay is within bounds");
    const auto kind = classify(error, settings_.unknown_topic_waits);
    if (kind == ErrorClass::fatal) broken_ = true;
    relay::Delivery delivery;
    delivery.token = refused.token;
    delivery.outcome = outcome_of(kind);
    delivery.error = std::string(rd_kafka_err2name(error)) + ": " + rd_kafka_err2str(error);
    delivery.topic = "";
    if (auto* const topic = producer_.topic(refused.message.topic)) delivery.topic = rd_kafka_topic_name(topic);
    if (kind == ErrorClass::reject) delivery.message = std::make_unique<relay::Message>(std::move(refused.message));
    refused_.push_back(std::move(delivery));
    producer_.arrived().signal();
}

std::vector<relay::Delivery> Publisher::deliveries() {
    // Cleared before the queue is emptied: what arrives in between signals again.
    producer_.arrived().clear();
    now_ = runtime::SteadyClock().now();
    auto arrived = std::exchange(refused_, {});
    for (const auto& delivery : arrived) settled(delivery);
    while (auto event = producer_.next_event()) {
        switch (rd_kafka_event_type(event.get())) {
        case RD_KAFKA_EVENT_DR:
            while (const auto* report = rd_kafka_event_message_next(event.get())) {
                arrived.push_back(judge(*report));
                settled(arrived.back());
                let_in(*report, arrived.back().outcome);
            }
            break;
        case RD_KAFKA_EVENT_ERROR: on_error(event.get()); break;
        case RD_KAFKA_EVENT_STATS: on_statistics(event.get()); break;
        case RD_KAFKA_EVENT_LOG: on_log(event.get()); break;
        default: break;
        }
    }
    // Asked, not only listened to: the messages that a fatal error takes with it are answered before the error itself.
    if (rd_kafka_fatal_error(producer_.get(), nullptr, 0) != RD_KAFKA_RESP_ERR_NO_ERROR) broken_ = true;
    return arrived;
}

/// A broker refuses a batch as a whole, so its messages are judged by what happens to each alone: the next producer, which
/// begins at the cursor again, sends as many as may have been on their way one by one.
relay::Delivery Publisher::judge(const rd_kafka_message_t& report) {
    auto delivery = delivery_of(report, settings_.unknown_topic_waits);
    if (report.err == RD_KAFKA_RESP_ERR_NO_ERROR && delivery.outcome == relay::Delivery::Outcome::unconfirmed)
        log::error("a message is reported as sent that the broker has not acknowledged; it is read again",
                   {{"topic", delivery.topic}});
    if (batching_.alone()) {
        // Its whole transaction is read again.
        if (transactional_ && delivery.outcome == relay::Delivery::Outcome::rejected) send_alone_next();
    } else if (blames_the_batch(report.err)) {
        if (!next_batching_.alone())
            log::warning("a batch was refused; its messages will be sent one by one",
                         {{"topic", delivery.topic}, {"error", delivery.error}});
        send_alone_next();
        broken_ = true;
        delivery.outcome = relay::Delivery::Outcome::unconfirmed;
        delivery.message.reset();
    }
    return delivery;
}

/// What waited for this answer goes on; or is as guilty, of the topic; or is read again, in order not to overtake anything.
void Publisher::let_in(const rd_kafka_message_t& report, relay::Delivery::Outcome outcome) {
    const bool sent = outcome == relay::Delivery::Outcome::sent;
    auto waited = Producer::gate_of(*report.rkt)
                      .answered(reinterpret_cast<std::uintptr_t>(report._private), report.partition, sent, now_);
    if (waited.empty()) return;
    if (outcome == relay::Delivery::Outcome::rejected && !blames_the_batch(report.err)) {
        for (auto& held : waited) refuse(std::move(held), report.err);
    } else if (broken_ || outcome == relay::Delivery::Outcome::unconfirmed) {
        leave_unconfirmed(waited);
    } else {
        for (const auto& [token, message] : waited) send(token, message);
    }
}

void Publisher::leave_unconfirmed(const std::vector<PartitionGate::Held>& messages) {
    for (const auto& held : messages) {
        relay::Delivery delivery;
        delivery.token = held.token;
        delivery.outcome = relay::Delivery::Outcome::unconfirmed;
        delivery.error = "not sent: it waited behind the first message of its partition";
        refused_.push_back(std::move(delivery));
    }
    if (!messages.empty()) producer_.arrived().signal();
}

void Publisher::on_log(rd_kafka_event_t* event) {
    const char* facility = nullptr;
    const char* text = nullptr;
    int level = 0;
    if (rd_kafka_event_log(event, &facility, &text, &level) != 0) return;
    // Errors of the connection also come as error events; the client's own lines are detail.
    constexpr int syslog_error = 3;
    complaint_ = complaint_ || level <= syslog_error;
    const auto as = level <= syslog_error ? log::Level::warning : log::Level::debug;
    log::write(as, "kafka client", {{"facility", facility}, {"text", text}});
}

void Publisher::on_error(rd_kafka_event_t* event) {
    complaint_ = true;
    metrics_.broker_errors.Increment();
    auto error = rd_kafka_event_error(event);
    std::string text = rd_kafka_event_error_string(event);
    if (error == RD_KAFKA_RESP_ERR__FATAL) {
        std::array<char, 512> reason{};
        error = rd_kafka_fatal_error(producer_.get(), reason.data(), reason.size());
        text = reason.data();
        broken_ = true;
    }
    if (error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) show_broker(false);
    status_.set_trouble(text);
    // The client repeats itself at each attempt to reconnect: during an outage one line in a while says it all.
    const auto now = runtime::SteadyClock().now();
    if (error == reported_ && now < reported_at_ + repeat_after) return;
    reported_ = error;
    reported_at_ = now;
    log::warning("kafka", {{"error", rd_kafka_err2name(error)},
                           {"text", text},
                           {"class", broken_ ? "fatal" : name_of(classify(error, true))}});
}

void Publisher::on_statistics(rd_kafka_event_t* event) {
    // The one thing looked for is whether any broker's connection stands; parsing a document that
    // grows with the number of partitions would cost more than all the rest of an idle worker.
    const char* text = rd_kafka_event_stats(event);
    show_broker(text != nullptr && std::string_view(text).find(R"("state":"UP")") != std::string_view::npos);
}

void Publisher::show_broker(bool up) {
    status_.broker_up = up;
    metrics_.broker_up.Set(up ? 1 : 0);
}

void Publisher::drop_queued() {
    for (auto& gate : producer_.gates()) leave_unconfirmed(gate.give_up());
    rd_kafka_purge(producer_.get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_NON_BLOCKING);
}

std::unique_ptr<relay::Publisher> Publishers::open(const std::string& identity) {
    if (!settings_.exactly_once) return std::make_unique<Publisher>(settings_, metrics_, status_, batching_);
    return std::make_unique<TransactionalPublisher>(settings_, metrics_, status_, batching_, identity);
}

Publishers::Publishers(KafkaSettings settings, runtime::Metrics& metrics, runtime::Status& status)
    : settings_(std::move(settings)), metrics_(metrics), status_(status) {
    // Judged as a whole now, not when the first session stands: some values clash only together.
    const Producer trial(producer_conf(settings_, {}, settings_.exactly_once ? "oms-trial" : ""));
}

}  // namespace oms::kafka
