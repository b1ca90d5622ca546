#include "sample.hpp"

#include <stdexcept>

#include "db/connection.hpp"
#include "db/event_rows.hpp"

namespace oms::bench {

Sample::Sample(const std::string& database, std::size_t most) {
    db::Connection session({.conninfo = database, .password = "", .application_name = "bench-kafka"});
    constexpr db::Statement events = {
        "sample", "SELECT " OMS_EVENT_COLUMNS " FROM oms.event WHERE topic IS NOT NULL ORDER BY id LIMIT $1"};
    const auto rows = session.run(events, {most});
    if (rows.rows() == 0) throw std::runtime_error("the log is empty");
    kafka::CloudEvents cloud_events("/oms");
    messages_.resize(static_cast<std::size_t>(rows.rows()));
    for (std::size_t i = 0; i < messages_.size(); ++i) {
        const auto event = db::event_of(rows, static_cast<int>(i));
        auto& message = messages_[i];
        message.topic = event.topic;
        message.key = event.key;
        message.payload = event.payload;
        for (const auto& [name, value] : cloud_events.headers_of(event)) message.texts.emplace_back(name, value);
        for (const auto& [name, value] : message.texts) message.headers.emplace_back(name, value);
    }
}

Outgoing Sample::operator[](std::size_t i) const {
    const auto& message = messages_[i % messages_.size()];
    return {message.topic, message.key, message.payload, message.headers};
}

}  // namespace oms::bench
