// `oms-worker check`: says, line by line, what works and what does not. Changes nothing.
#include <chrono>
#include <cstdio>

#include "command/command.hpp"
#include "db/probe.hpp"
#include "kafka/probe.hpp"

namespace oms::command {
namespace {

using namespace std::chrono_literals;

constexpr runtime::Clock::duration broker_patience = 10s;

bool say(bool good, const char* about, const std::string& text) {
    std::printf("%-6s %-9s %s\n", good ? "ok" : "FAILED", about, text.c_str());
    return good;
}

bool check_broker(const runtime::Settings& settings, const std::vector<std::string>& topics) {
    if (settings.broker == "embedded") return say(true, "broker", "embedded, nothing to reach");
    const auto report = kafka::probe(kafka_of(settings), topics, broker_patience);
    if (!say(report.reachable, "broker", report.text)) return false;
    for (const auto& topic : report.missing_topics) say(true, "broker", "topic '" + topic + "' does not exist (yet)");
    return true;
}

}  // namespace

int check(const runtime::Settings& settings) {
    // What the parser let pass is valid; the client judges its own properties.
    auto kafka = kafka_of(settings);
    if (settings.broker == "embedded") kafka.bootstrap = "";
    if (settings.relay) kafka::producer_conf(kafka);
    bool good = say(true, "settings", "valid");

    bool database = true;
    const db::Wanted wanted{settings.relay ? std::optional(settings.reader) : std::nullopt, settings.clock};
    for (const auto& finding : db::probe(target_of(settings), wanted))
        database = say(finding.good, "database", finding.text) && database;
    if (!settings.relay) return database ? done : failed;
    auto topics = database ? db::topics_with_policy(target_of(settings)) : std::vector<std::string>{};
    if (settings.exactly_once) topics.push_back(settings.cursor_topic);
    good = check_broker(settings, topics) && database && good;
    return good ? done : failed;
}

}  // namespace oms::command
