// The settings: from flags, the environment and a file, in this order of precedence.
//
// Everything that can be judged without asking a database or a broker is judged here, so that a
// worker with an impossible configuration does not start at all.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "runtime/log.hpp"

namespace oms::runtime {

using Milliseconds = std::chrono::milliseconds;

struct Settings {
    // Database
    std::string database;
    std::string database_password;
    std::string reader = "kafka";
    std::vector<std::string> topics;
    std::string start_at = "beginning";
    Milliseconds takeover_wait{5000};
    Milliseconds session_lease{30000};

    // Broker
    std::string broker;
    int embedded_nodes = 1;
    std::vector<std::pair<std::string, std::string>> kafka;
    std::string compression = "lz4";
    Milliseconds linger{1};
    std::string dlq_topic;
    std::string source = "/oms";
    bool unknown_topic_waits = false;
    bool exactly_once = false;
    std::string cursor_topic = "oms.cursors";

    // Relay
    bool relay = true;
    std::uint64_t batch = 1000;
    std::uint64_t in_flight_messages = 10000;
    std::uint64_t in_flight_bytes = 16u << 20;
    Milliseconds commit_interval{100};
    Milliseconds floor{5000};
    Milliseconds replay_interval{2000};

    // Clock
    bool clock = true;
    std::uint64_t clock_batch = 100;
    Milliseconds clock_interval{10000};

    // Process
    Milliseconds retry_cap{5000};
    std::string http = "127.0.0.1:9479";
    Milliseconds shutdown_timeout{25000};
    std::string port_file;
    log::Level log_level = log::Level::info;
};

enum class Verb { run, check, broker, dlq_list, dlq_replay, dlq_discard };

struct Command {
    Verb verb = Verb::run;
    Settings settings;

    // dlq
    std::vector<std::int64_t> ids;
    std::optional<std::string> filter;  // JSON
    std::optional<int> rate;
    int limit = 100;
    bool execute = false;
    std::string reason;

    // Environment variables that look like ours and are not.
    std::vector<std::string> unknown_environment;
};

/// The configuration cannot be used; what() says which part and why.
class ConfigError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

/// The user asked for text (--help, --version), which what() holds.
class TextAsked : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

/// Parses the command line (without the program's name) and the environment (as `environ`).
Command parse_command(std::vector<std::string> arguments, std::span<const std::string> environment);

/// Names every option, as `--name`; the documentation is checked against it.
std::vector<std::string> option_names();

/// Copies a process environment into strings.
std::vector<std::string> environment_of(char** environment);

}  // namespace oms::runtime
