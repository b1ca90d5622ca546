#include "runtime/config.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "runtime/environment.hpp"

namespace oms::runtime {
namespace {

// Durations and sizes carry their unit, so that nobody has to remember which one is meant.
const CLI::Validator& duration() {
    static const std::map<std::string, std::int64_t> units = {
        {"ms", 1}, {"s", 1000}, {"min", 60'000}, {"h", 3'600'000}};
    static const CLI::Validator made = CLI::AsNumberWithUnit(units, CLI::AsNumberWithUnit::UNIT_REQUIRED, "DURATION");
    return made;
}

const std::map<std::string, log::Level> log_levels = {{"debug", log::Level::debug},
                                                      {"info", log::Level::info},
                                                      {"warning", log::Level::warning},
                                                      {"error", log::Level::error}};

// Less than one message of the usual greatest size would make every read a single event.
constexpr std::uint64_t in_flight_bytes_min = 1u << 16;

std::string not_an_address(const std::string& text) {
    const auto colon = text.rfind(':');
    const auto port = colon == std::string::npos ? std::string() : text.substr(colon + 1);
    const bool digits = !port.empty() && port.size() <= 5 && port.find_first_not_of("0123456789") == std::string::npos;
    if (text == "off" || (colon > 0 && digits && std::stoi(port) <= 65535)) return "";
    return "'" + text + "' is not host:port";
}

/// The parser and what it fills. Values that have no form of their own in CLI11 stop over in the
/// plain members and are moved into the settings by finish().
class Grammar {
  public:
    Grammar() {
        app_.set_version_flag("--version", OMS_VERSION);
        app_.set_config("--config", "", "Settings file: name = value, a line each")->envname("OMS_CONFIG");
        app_.allow_config_extras(CLI::config_extras_mode::error);
        app_.require_subcommand(0, 1);
        app_.fallthrough();
        app_.get_formatter()->column_width(32);
        database_options();
        broker_options();
        relay_options();
        clock_options();
        process_options();
        verbs();
    }

    CLI::App& app() { return app_; }
    Command finish();

    std::vector<EnvironmentOption> environment_options() {
        std::vector<EnvironmentOption> found;
        for (const auto* option : app_.get_options())
            if (!option->get_envname().empty())
                found.push_back({option->get_envname(), "--" + option->get_lnames().front(),
                                 option->get_lnames().front() == "topics" ? ',' : ';', option->get_expected_max() > 1});
        return found;
    }

  private:
    void database_options();
    void broker_options();
    void relay_options();
    void clock_options();
    void process_options();
    void verbs();

    CLI::Option* named(CLI::Option* option, const char* env, const char* group) {
        return option->envname(env)->group(group);
    }
    void span(const char* name, const char* env, const char* group, Milliseconds& value, std::pair<int, int> limits_ms,
              const char* shown, const char* help);
    void on_or_off(const char* name, const char* env, const char* group, std::string& value, const char* help);
    void key_values(const std::vector<std::string>& given, const char* option, bool from_file);

    CLI::App app_{"oms-worker carries committed events from PostgreSQL to Kafka, and does what is due", "oms-worker"};
    Command command_;
    std::vector<std::string> kafka_;
    std::vector<std::string> kafka_files_;
    std::string unknown_topic_ = "reject";
    std::string relay_ = "on";
    std::string clock_ = "on";
    std::string delivery_ = "at_least_once";
    std::string log_level_ = "info";
    std::string filter_;
    int rate_ = 0;
};

void Grammar::span(const char* name, const char* env, const char* group, Milliseconds& value,
                   std::pair<int, int> limits_ms, const char* shown, const char* help) {
    auto store = [this, name, &value, limits_ms](const std::int64_t& ms) {
        if (ms < limits_ms.first || ms > limits_ms.second)
            throw CLI::ValidationError(name, "must lie between " + std::to_string(limits_ms.first) + "ms and " +
                                                 std::to_string(limits_ms.second) + "ms");
        value = Milliseconds(ms);
    };
    named(app_.add_option_function<std::int64_t>(name, store, help), env, group)
        ->transform(duration())
        ->default_str(shown);
}

void Grammar::on_or_off(const char* name, const char* env, const char* group, std::string& value, const char* help) {
    named(app_.add_option(name, value, help)->check(CLI::IsMember({"on", "off"}))->capture_default_str(), env, group);
}

void Grammar::database_options() {
    auto& s = command_.settings;
    const auto group = "Database";
    named(app_.add_option("--database", s.database, "libpq connection string or URI; several hosts allowed"),
          "OMS_DATABASE", group);
    named(app_.add_option("--database-password", s.database_password, "Better: OMS_DATABASE_PASSWORD_FILE"),
          "OMS_DATABASE_PASSWORD", group);
    named(app_.add_option("--reader", s.reader, "Reader whose cursor is moved")->capture_default_str(), "OMS_READER",
          group);
    named(app_.add_option("--topics", s.topics, "Carry these topics only")->delimiter(','), "OMS_TOPICS", group);
    named(app_.add_option("--start-at", s.start_at, "Where a reader that does not exist yet begins")
              ->check(CLI::IsMember({"beginning", "now"}))
              ->capture_default_str(),
          "OMS_START_AT", group);
    span("--takeover-wait", "OMS_TAKEOVER_WAIT", group, s.takeover_wait, {10, 30'000}, "5s",
         "How long a standby's wait for the leader's lock lasts in one call");
    span("--session-lease", "OMS_SESSION_LEASE", group, s.session_lease, {1'000, 3'600'000}, "30s",
         "A leader that is silent for so long loses its session to the standby");
}

void Grammar::broker_options() {
    auto& s = command_.settings;
    const auto group = "Broker";
    named(app_.add_option("--broker", s.broker, "host:port[,host:port...] of Kafka, or 'embedded'"), "OMS_BROKER",
          group);
    named(app_.add_option("--embedded-nodes", s.embedded_nodes, "Nodes of the embedded broker")
              ->check(CLI::Range(1, 9))
              ->capture_default_str(),
          "OMS_EMBEDDED_NODES", group);
    named(app_.add_option("--kafka", kafka_, "librdkafka property key=value (repeatable)")->allow_extra_args(false),
          "OMS_KAFKA", group);
    named(app_.add_option("--kafka-file", kafka_files_,
                          "librdkafka property key=path, its value being the file's content (repeatable)")
              ->allow_extra_args(false),
          "OMS_KAFKA_FILES", group);
    named(app_.add_option("--compression", s.compression, "Compression of batches")
              ->check(CLI::IsMember({"none", "gzip", "snappy", "lz4", "zstd"}))
              ->capture_default_str(),
          "OMS_COMPRESSION", group);
    named(app_.add_option("--delivery", delivery_, "What a consumer gets: at_least_once or exactly_once")
              ->check(CLI::IsMember({"at_least_once", "exactly_once"}))
              ->capture_default_str(),
          "OMS_DELIVERY", group);
    named(app_.add_option("--cursor-topic", s.cursor_topic, "With exactly_once: where the cursor is kept in Kafka")
              ->capture_default_str(),
          "OMS_CURSOR_TOPIC", group);
    span("--linger", "OMS_LINGER", group, s.linger, {0, 10'000}, "1ms", "How long a message may wait for company");
    named(app_.add_option("--dlq-topic", s.dlq_topic, "Publish rejected messages here too"), "OMS_DLQ_TOPIC", group);
    named(app_.add_option("--source", s.source, "CloudEvents source")->capture_default_str(), "OMS_SOURCE", group);
    named(app_.add_option("--unknown-topic", unknown_topic_,
                          "A topic that does not exist: reject its messages, or wait for it")
              ->check(CLI::IsMember({"reject", "wait"}))
              ->capture_default_str(),
          "OMS_UNKNOWN_TOPIC", group);
}

void Grammar::relay_options() {
    auto& s = command_.settings;
    const auto group = "Relay";
    on_or_off("--relay", "OMS_RELAY", group, relay_, "Carry events to the broker");
    named(app_.add_option("--batch", s.batch, "Events per read at most")
              ->check(CLI::Range(1, 100'000))
              ->capture_default_str(),
          "OMS_BATCH", group);
    named(app_.add_option("--in-flight-messages", s.in_flight_messages, "Unacknowledged messages at most")
              ->check(CLI::Range(1, 1'000'000))
              ->capture_default_str(),
          "OMS_IN_FLIGHT_MESSAGES", group);
    named(app_.add_option("--in-flight-bytes", s.in_flight_bytes, "Unacknowledged bytes at most (16mb)")
              ->transform(CLI::AsSizeValue(false))
              ->default_str("16mb"),
          "OMS_IN_FLIGHT_BYTES", group);
    span("--commit-interval", "OMS_COMMIT_INTERVAL", group, s.commit_interval, {1, 60'000}, "100ms",
         "Least time between two writes of the cursor");
    span("--floor", "OMS_FLOOR", group, s.floor, {10, 600'000}, "5s",
         "Longest sleep of an idle relay that nobody wakes");
    span("--replay-interval", "OMS_REPLAY_INTERVAL", group, s.replay_interval, {10, 600'000}, "2s",
         "How often replays of dead letters are looked for");
}

void Grammar::clock_options() {
    auto& s = command_.settings;
    const auto group = "Clock";
    on_or_off("--clock", "OMS_CLOCK", group, clock_, "Do what is due: retries, deadlines, captures, expiries");
    named(app_.add_option("--clock-batch", s.clock_batch, "Timers per transaction at most")
              ->check(CLI::Range(1, 10'000))
              ->capture_default_str(),
          "OMS_CLOCK_BATCH", group);
    // Nobody rings for a timer that is due later than that: src/timers/timers.hpp, clock_sleep_max_us.
    span("--clock-interval", "OMS_CLOCK_INTERVAL", group, s.clock_interval, {10, 10'000}, "10s",
         "Longest sleep of the clock while nobody wakes it");
}

void Grammar::process_options() {
    auto& s = command_.settings;
    const auto group = "Process";
    named(app_.add_option("--http", s.http, "host:port of health and metrics; port 0 takes a free one; 'off'")
              ->check(CLI::Validator(not_an_address, "HOST:PORT"))
              ->capture_default_str(),
          "OMS_HTTP", group);
    span("--retry-cap", "OMS_RETRY_CAP", group, s.retry_cap, {10, 600'000}, "5s",
         "Longest pause between two attempts to reconnect");
    span("--shutdown-timeout", "OMS_SHUTDOWN_TIMEOUT", group, s.shutdown_timeout, {100, 600'000}, "25s",
         "How long a stop may take to flush and to move the cursor");
    named(app_.add_option("--port-file", s.port_file, "Write the embedded broker's addresses to this file"),
          "OMS_PORT_FILE", group);
    named(app_.add_option("--log-level", log_level_, "Lowest level that is logged")
              ->check(CLI::IsMember(log_levels))
              ->capture_default_str(),
          "OMS_LOG_LEVEL", group);
}

void Grammar::verbs() {
    const auto verb = [this](CLI::App* to, Verb value) {
        to->callback([this, value] { command_.verb = value; });
        return to;
    };
    verb(app_.add_subcommand("run", "Carry events and do what is due, until told to stop"), Verb::run);
    verb(app_.add_subcommand("check", "Test the settings, the database and the broker"), Verb::check);
    verb(app_.add_subcommand("broker", "Run the embedded broker alone"), Verb::broker);

    auto* dlq = app_.add_subcommand("dlq", "Dead letters");
    dlq->require_subcommand(1)->fallthrough();
    auto* list = verb(dlq->add_subcommand("list", "Show dead letters, one JSON object a line"), Verb::dlq_list);
    auto* replay = verb(dlq->add_subcommand("replay", "Send dead letters again, in key order"), Verb::dlq_replay);
    auto* discard = verb(dlq->add_subcommand("discard", "Give dead letters up"), Verb::dlq_discard);
    for (auto* sub : {list, replay, discard}) sub->fallthrough();
    for (auto* sub : {list, replay}) {
        sub->add_option("--filter", filter_, "JSON object, e.g. {\"topic\": \"orders\"}");
        sub->add_option("--limit", command_.limit, "At most so many")->check(CLI::PositiveNumber);
    }
    for (auto* sub : {replay, discard}) {
        sub->add_option("--id", command_.ids, "Dead letter to choose (repeatable)");
        sub->add_option("--reason", command_.reason, "Why, for the audit");
    }
    discard->get_option("--id")->required();
    discard->get_option("--reason")->required();
    replay->add_option("--rate", rate_, "Messages a second at most")->check(CLI::PositiveNumber);
    replay->add_flag("--execute", command_.execute, "Do it; without this flag it is only shown");
}

void Grammar::key_values(const std::vector<std::string>& given, const char* option, bool from_file) {
    for (const auto& pair : given) {
        const auto equals = pair.find('=');
        // The text is not shown: what was meant as key=value may be a secret alone.
        if (equals == std::string::npos || equals == 0) throw ConfigError(std::string(option) + " wants key=value");
        const std::string key = pair.substr(0, equals);
        const std::string value = pair.substr(equals + 1);
        command_.settings.kafka.emplace_back(key, from_file ? content_of_file(value, option + (" " + key)) : value);
    }
}

/// Throws when values that are each possible do not go together, or one is missing.
void judge(const Command& command) {
    const auto& s = command.settings;
    const bool carries = command.verb == Verb::run || command.verb == Verb::check;
    if (command.verb != Verb::broker && s.database.empty())
        throw ConfigError("no database given: set --database, OMS_DATABASE or OMS_DATABASE_FILE");
    if (carries && !s.relay && !s.clock) throw ConfigError("with --relay off and --clock off there is nothing to do");
    if (carries && s.relay && s.broker.empty())
        throw ConfigError("no broker given: set --broker or OMS_BROKER; without one, --relay off runs the clock alone");
    if (s.exactly_once && s.cursor_topic.empty()) throw ConfigError("--cursor-topic cannot be empty");
    if (s.reader.empty()) throw ConfigError("--reader cannot be empty");
    if (s.batch > s.in_flight_messages) throw ConfigError("--batch cannot exceed --in-flight-messages");
    if (s.in_flight_bytes < in_flight_bytes_min) throw ConfigError("--in-flight-bytes must be at least 64kb");
    if (s.session_lease < 3 * std::max(s.floor, s.replay_interval))
        throw ConfigError(
            "--session-lease must be at least three times --floor and --replay-interval, "
            "or an idle leader would lose its session");
    if (command.verb == Verb::dlq_replay && command.ids.empty() && !command.filter)
        throw ConfigError("dlq replay wants --id or --filter");
    if (command.filter && !nlohmann::json::parse(*command.filter, nullptr, false).is_object())
        throw ConfigError("--filter wants a JSON object");
}

Command Grammar::finish() {
    auto& s = command_.settings;
    key_values(kafka_, "--kafka", false);
    key_values(kafka_files_, "--kafka-file", true);
    s.unknown_topic_waits = unknown_topic_ == "wait";
    s.relay = relay_ == "on";
    s.clock = clock_ == "on";
    s.exactly_once = delivery_ == "exactly_once";
    s.log_level = log_levels.at(log_level_);
    if (rate_ > 0) command_.rate = rate_;
    if (!filter_.empty()) command_.filter = filter_;
    if (app_.get_subcommands().empty()) throw ConfigError("say what to do: run, check, dlq or broker; see --help");
    judge(command_);
    return std::move(command_);
}

}  // namespace

Command parse_command(std::vector<std::string> arguments, std::span<const std::string> environment) {
    Grammar grammar;
    const auto options = grammar.environment_options();
    auto all = arguments_from_environment(options, environment, arguments);
    all.insert(all.end(), arguments.begin(), arguments.end());
    std::reverse(all.begin(), all.end());  // CLI11 wants the last argument first
    try {
        grammar.app().parse(all);
    } catch (const CLI::CallForHelp&) {
        throw TextAsked(grammar.app().help());
    } catch (const CLI::CallForAllHelp&) {
        throw TextAsked(grammar.app().help("", CLI::AppFormatMode::All));
    } catch (const CLI::CallForVersion&) {
        throw TextAsked(std::string(OMS_VERSION) + "\n");
    } catch (const CLI::Error& error) {
        throw ConfigError(error.what());
    }
    auto command = grammar.finish();
    command.unknown_environment = unknown_names(options, environment);
    return command;
}

std::vector<std::string> option_names() {
    Grammar grammar;
    std::vector<std::string> names;
    for (const auto* option : grammar.app().get_options())
        for (const auto& name : option->get_lnames()) names.push_back("--" + name);
    return names;
}

std::vector<std::string> environment_of(char** environment) {
    std::vector<std::string> copy;
    for (char** entry = environment; *entry != nullptr; ++entry) copy.emplace_back(*entry);
    return copy;
}

}  // namespace oms::runtime
