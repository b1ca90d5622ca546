#include "kafka/conf.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <string_view>

#include "runtime/config.hpp"

namespace oms::kafka {
namespace {

/// Properties that the promises rest on, or that have an option of their own.
constexpr std::array<std::pair<std::string_view, std::string_view>, 20> reserved = {{
    {"bootstrap.servers", "use --broker"},
    {"metadata.broker.list", "use --broker"},
    {"compression.type", "use --compression"},
    {"compression.codec", "use --compression"},
    {"linger.ms", "use --linger"},
    {"queue.buffering.max.ms", "use --linger"},
    {"queue.buffering.max.messages", "use --in-flight-messages"},
    {"queue.buffering.max.kbytes", "use --in-flight-bytes"},
    {"enable.idempotence", "it is always on"},
    {"enable.gapless.guarantee", "it is on but for messages that are sent alone"},
    {"acks", "it is always all"},
    {"request.required.acks", "it is always all"},
    {"message.timeout.ms", "no message is ever given up"},
    {"delivery.timeout.ms", "no message is ever given up"},
    {"retries", "no message is ever given up"},
    {"message.send.max.retries", "no message is ever given up"},
    {"partitioner", "it is always murmur2_random, as Java clients have it"},
    {"sticky.partitioning.linger.ms", "each message is placed by itself"},
    {"transactional.id", "with --delivery exactly_once it follows from the database and the reader"},
    {"test.mock.num.brokers", "use --broker embedded"},
}};

void set(rd_kafka_conf_t* conf, const std::string& key, const std::string& value) {
    std::array<char, 512> error{};
    if (rd_kafka_conf_set(conf, key.c_str(), value.c_str(), error.data(), error.size()) == RD_KAFKA_CONF_OK) return;
    // librdkafka's text quotes the value, which may be a secret.
    const bool shows_value = !value.empty() && std::string_view(error.data()).find(value) != std::string_view::npos;
    throw runtime::ConfigError("Kafka property '" + key +
                               "': " + (shows_value ? "the value is not valid" : error.data()));
}

/// What holds for every client: how it reaches the brokers, and what the user wants of it.
ConfHandle client_conf(const KafkaSettings& settings) {
    ConfHandle conf(rd_kafka_conf_new());
    set(conf.get(), "client.id", "oms-worker");
    // Found soon after an outage, whatever its length.
    set(conf.get(), "reconnect.backoff.max.ms", "2000");
    set(conf.get(), "socket.keepalive.enable", "true");

    for (const auto& [key, value] : settings.properties) {
        const auto* taken =
            std::find_if(reserved.begin(), reserved.end(), [&key = key](const auto& r) { return r.first == key; });
        if (taken != reserved.end())
            throw runtime::ConfigError("Kafka property '" + key + "' cannot be set: " + std::string(taken->second));
        set(conf.get(), key, value);
    }
    set(conf.get(), "bootstrap.servers", settings.bootstrap);
    return conf;
}

}  // namespace

ConfHandle producer_conf(const KafkaSettings& settings, Batching batching, const std::string& transactional_id) {
    using std::to_string;
    const auto linger = std::chrono::duration_cast<std::chrono::milliseconds>(settings.linger).count();

    auto conf = client_conf(settings);
    set(conf.get(), "statistics.interval.ms", "5000");
    set(conf.get(), "enable.idempotence", "true");
    set(conf.get(), "acks", "all");
    if (!transactional_id.empty()) {
        set(conf.get(), "transactional.id", transactional_id);
        // Of its own it only asks where a topic ends, and wants to be told the very end.
        set(conf.get(), "isolation.level", "read_uncommitted");
    }
    // A refused batch stops everything behind it: some of its messages may be good, and must not be overtaken. A
    // transaction fails as a whole anyway.
    const bool gapless = !batching.alone() && transactional_id.empty();
    set(conf.get(), "enable.gapless.guarantee", gapless ? "true" : "false");
    if (batching.alone()) set(conf.get(), "batch.num.messages", "1");
    // A message waits for its broker as long as it takes: dropped by a timeout behind our back, it
    // would be overtaken by the next one of its key.
    set(conf.get(), "message.timeout.ms", "0");
    // Each message asks the partitioner, the producer's own (producer.cpp), also one without a key.
    set(conf.get(), "sticky.partitioning.linger.ms", "0");
    set(conf.get(), "compression.type", settings.compression);
    set(conf.get(), "linger.ms", to_string(linger));
    // The relay bounds what is in flight. The client's own bounds lie above, with room for replays and
    // dead letter copies, so that its queue is never what is full.
    set(conf.get(), "queue.buffering.max.messages", to_string(4 * settings.in_flight_messages + 10000));
    set(conf.get(), "queue.buffering.max.kbytes",
        to_string(std::min<std::size_t>(4 * (settings.in_flight_bytes >> 10) + (1u << 17), 2097151)));
    // Logs and deliveries come as events of one queue, polled by the relay's thread: no callbacks.
    set(conf.get(), "log.queue", "true");
    rd_kafka_conf_set_events(conf.get(),
                             RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_LOG | RD_KAFKA_EVENT_STATS);
    return conf;
}

ConfHandle consumer_conf(const KafkaSettings& settings) {
    auto conf = client_conf(settings);
    set(conf.get(), "isolation.level", "read_committed");
    set(conf.get(), "enable.partition.eof", "true");
    set(conf.get(), "auto.offset.reset", "earliest");
    set(conf.get(), "fetch.wait.max.ms", "100");
    // It lives for moments; what goes wrong comes with what it reads.
    rd_kafka_conf_set_log_cb(conf.get(), nullptr);
    return conf;
}

}  // namespace oms::kafka
