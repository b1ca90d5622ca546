#include "sender.hpp"

#include <array>
#include <chrono>
#include <stdexcept>
#include <thread>

#include "command/command.hpp"
#include "runtime/waiter.hpp"

namespace oms::bench {
namespace {

using namespace std::chrono_literals;

constexpr auto topic_deadline = 30s;

kafka::ConfHandle worker_conf(const std::string& brokers) {
    runtime::Settings settings;  // as the worker has them when nobody says otherwise
    settings.broker = brokers;
    return kafka::producer_conf(command::kafka_of(settings));
}

kafka::HeadersHandle handle_of(std::span<const kafka::Header> headers) {
    kafka::HeadersHandle handle(rd_kafka_headers_new(headers.size()));
    for (const auto& [name, value] : headers)
        rd_kafka_header_add(handle.get(), name.data(), static_cast<ssize_t>(name.size()), value.data(),
                            static_cast<ssize_t>(value.size()));
    return handle;
}

}  // namespace

Sender::Sender(const std::string& brokers) : producer_(worker_conf(brokers)) {}

void Sender::send(const Outgoing& message) {
    auto* const topic = producer_.topic(message.topic);
    for (;;) {
        auto headers = handle_of(message.headers);
        std::array<rd_kafka_vu_t, 5> fields{};
        fields[0].vtype = RD_KAFKA_VTYPE_RKT;
        fields[0].u.rkt = topic;
        fields[1].vtype = RD_KAFKA_VTYPE_MSGFLAGS;
        fields[1].u.i = RD_KAFKA_MSG_F_COPY;
        fields[2].vtype = RD_KAFKA_VTYPE_VALUE;
        fields[2].u.mem.ptr = const_cast<char*>(message.payload.data());
        fields[2].u.mem.size = message.payload.size();
        fields[3].vtype = RD_KAFKA_VTYPE_KEY;
        fields[3].u.mem.ptr = const_cast<char*>(message.key.data());
        fields[3].u.mem.size = message.key.size();
        fields[4].vtype = RD_KAFKA_VTYPE_HEADERS;
        fields[4].u.headers = headers.get();
        const kafka::ErrorHandle error(rd_kafka_produceva(producer_.get(), fields.data(), fields.size()));
        if (!error) {
            // The client owns the headers now, because it took the message.
            [[maybe_unused]] auto* const taken = headers.release();
            ++sent_;
            return;
        }
        if (rd_kafka_error_code(error.get()) != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            throw std::runtime_error(rd_kafka_error_string(error.get()));
        wait();
    }
}

void Sender::take_answers() {
    // Cleared before the queue is emptied: what arrives in between signals again.
    producer_.arrived().clear();
    while (auto event = producer_.next_event()) {
        if (rd_kafka_event_type(event.get()) != RD_KAFKA_EVENT_DR) continue;
        while (const auto* report = rd_kafka_event_message_next(event.get())) {
            if (report->err != RD_KAFKA_RESP_ERR_NO_ERROR)
                throw std::runtime_error(std::string("a message was not delivered: ") + rd_kafka_err2str(report->err));
            ++acknowledged_;
        }
    }
}

void Sender::wait() {
    std::array<pollfd, 1> fds = {pollfd{producer_.arrived().fd(), POLLIN, 0}};
    runtime::poll_for(fds, 100ms);
    take_answers();
}

void Sender::settle() {
    take_answers();
    while (acknowledged_ < sent_) wait();
}

void Sender::await_topic(const std::string& topic) {
    const auto deadline = std::chrono::steady_clock::now() + topic_deadline;
    for (;;) {
        const rd_kafka_metadata_t* metadata = nullptr;
        const auto error = rd_kafka_metadata(producer_.get(), 0, producer_.topic(topic), &metadata, 5000);
        bool ready = error == RD_KAFKA_RESP_ERR_NO_ERROR && metadata->topics[0].partition_cnt > 0;
        for (int i = 0; ready && i < metadata->topics[0].partition_cnt; ++i)
            ready = metadata->topics[0].partitions[i].leader >= 0;
        if (error == RD_KAFKA_RESP_ERR_NO_ERROR) rd_kafka_metadata_destroy(metadata);
        if (ready) return;
        if (std::chrono::steady_clock::now() > deadline)
            throw std::runtime_error("the broker has no topic " + topic + ": " + rd_kafka_err2str(error));
        std::this_thread::sleep_for(50ms);
    }
}

}  // namespace oms::bench
