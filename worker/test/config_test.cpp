// Goal: what the worker is told is either understood or refused with words; precedence is flag, environment, file.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "runtime/config.hpp"

namespace oms::runtime {
namespace {

using testing::HasSubstr;
using Strings = std::vector<std::string>;

const Strings least = {"--database=d", "--broker=b"};

Command parse(Strings arguments, Strings environment = {}) {
    arguments.insert(arguments.begin(), least.begin(), least.end());
    return parse_command(std::move(arguments), environment);
}

std::string error_of(Strings arguments, Strings environment = {}) {
    try {
        parse_command(std::move(arguments), environment);
    } catch (const ConfigError& error) {
        return error.what();
    }
    return "no error";
}

std::string error_with(Strings arguments, Strings environment = {}) {
    arguments.insert(arguments.begin(), least.begin(), least.end());
    return error_of(std::move(arguments), std::move(environment));
}

struct TemporaryFile {
    explicit TemporaryFile(const std::string& content)
        : path(std::filesystem::temp_directory_path() / ("oms-worker-config-" + std::to_string(::getpid()))) {
        std::ofstream(path) << content;
    }
    ~TemporaryFile() { std::filesystem::remove(path); }
    std::filesystem::path path;
};

TEST(Config, DefaultsAreThoseOfTheDocumentation) {
    const auto s = parse({"run"}).settings;
    EXPECT_EQ(s.reader, "kafka");
    EXPECT_EQ(s.batch, 1000u);
    EXPECT_EQ(s.in_flight_bytes, 16u << 20);
    EXPECT_EQ(s.commit_interval, Milliseconds(100));
    EXPECT_EQ(s.shutdown_timeout, Milliseconds(25000));
    EXPECT_EQ(s.compression, "lz4");
    EXPECT_TRUE(s.relay && s.clock);
    EXPECT_EQ(s.clock_interval, Milliseconds(10000));
    EXPECT_EQ(s.clock_batch, 100u);
}

TEST(Config, AWorkerWithoutARelayNeedsNoBroker) {
    const auto s = parse_command({"run", "--database=d", "--relay", "off", "--clock-interval=2s"}, {}).settings;
    EXPECT_TRUE(s.clock && !s.relay);
    EXPECT_EQ(s.clock_interval, Milliseconds(2000));
    EXPECT_FALSE(parse({"run", "--clock", "off"}).settings.clock);
    EXPECT_FALSE(parse({"run"}, {"OMS_CLOCK=off"}).settings.clock);
    EXPECT_THAT(error_with({"run", "--relay", "off", "--clock", "off"}), HasSubstr("nothing to do"));
}

TEST(Config, ReadsUnitsListsAndRepeatedOptions) {
    const auto s =
        parse({"run", "--floor", "2s", "--session-lease=1min", "--in-flight-bytes", "2mb", "--topics", "a,b", "--kafka",
               "security.protocol=ssl", "--kafka", "ssl.ca.location=/x=y", "--log-level", "debug"})
            .settings;
    EXPECT_EQ(s.floor, Milliseconds(2000));
    EXPECT_EQ(s.session_lease, Milliseconds(60000));
    EXPECT_EQ(s.in_flight_bytes, 2u << 20);
    EXPECT_EQ(s.topics, (Strings{"a", "b"}));
    EXPECT_EQ(s.kafka, (std::vector<std::pair<std::string, std::string>>{{"security.protocol", "ssl"},
                                                                         {"ssl.ca.location", "/x=y"}}));
    EXPECT_EQ(s.log_level, log::Level::debug);
}

TEST(Config, AFlagWinsOverTheEnvironmentAndTheEnvironmentOverTheFile) {
    const TemporaryFile file("reader=\"from-file\"\nbatch=7\nsource=\"/file\"\n");
    const Strings environment = {"OMS_CONFIG=" + file.path.string(), "OMS_READER=from-environment", "OMS_BATCH=8"};
    const auto s = parse({"run", "--batch", "9"}, environment).settings;
    EXPECT_EQ(s.batch, 9u);
    EXPECT_EQ(s.reader, "from-environment");
    EXPECT_EQ(s.source, "/file");
}

TEST(Config, SecretsComeFromFiles) {
    const TemporaryFile file("hunter2\n");
    const auto path = file.path.string();
    const auto c = parse({"run"}, {"OMS_DATABASE_PASSWORD_FILE=" + path, "OMS_KAFKA_FILES=sasl.password=" + path,
                                   "OMS_KAFKA=sasl.username=u;security.protocol=sasl_ssl"});
    EXPECT_EQ(c.settings.database_password, "hunter2") << "without the newline";
    EXPECT_THAT(c.settings.kafka, testing::Contains(testing::Pair("sasl.password", "hunter2")));
    EXPECT_THAT(c.settings.kafka, testing::Contains(testing::Pair("security.protocol", "sasl_ssl")));
    EXPECT_THAT(error_with({"run"}, {"OMS_DATABASE_PASSWORD_FILE=/nowhere"}), HasSubstr("/nowhere"));
    EXPECT_THAT(error_with({"run"}, {"OMS_READER=a", "OMS_READER_FILE=" + path}), HasSubstr("both set"));
}

TEST(Config, UnknownKeysAreRefused) {
    EXPECT_THAT(error_with({"run", "--bach", "3"}), HasSubstr("--bach"));
    const TemporaryFile file("bach=3\n");
    EXPECT_THAT(error_with({"--config", file.path.string(), "run"}), HasSubstr("bach"));
    EXPECT_THAT(error_with({"--config", "/nowhere.toml", "run"}), HasSubstr("/nowhere.toml"));
    EXPECT_THAT(error_with({"walk"}), HasSubstr("walk"));
}

TEST(Config, UnknownVariablesAreNamedAndNotRefused) {
    const auto c = parse({"run"}, {"OMS_SERVICE_HOST=10.0.0.1", "OMS_READER=r", "HOME=/"});
    EXPECT_EQ(c.unknown_environment, Strings{"OMS_SERVICE_HOST"});
}

TEST(Config, ImpossibleValuesAreRefused) {
    EXPECT_THAT(error_with({"run", "--batch", "0"}), HasSubstr("--batch"));
    EXPECT_THAT(error_with({"run", "--batch", "many"}), HasSubstr("--batch"));
    EXPECT_THAT(error_with({"run", "--floor", "5"}), HasSubstr("unit"));
    EXPECT_THAT(error_with({"run", "--floor", "0ms"}), HasSubstr("--floor"));
    EXPECT_THAT(error_with({"run", "--compression", "rar"}), HasSubstr("--compression"));
    EXPECT_THAT(error_with({"run", "--batch", "1000", "--in-flight-messages", "10"}),
                HasSubstr("--in-flight-messages"));
    EXPECT_THAT(error_with({"run", "--session-lease", "6s"}), HasSubstr("three times"));
    EXPECT_THAT(error_with({"run", "--in-flight-bytes", "1kb"}), HasSubstr("--in-flight-bytes"));
    EXPECT_THAT(error_with({"run", "--http", "localhost"}), HasSubstr("--http"));
    EXPECT_THAT(error_with({"run", "--http", "localhost:99999"}), HasSubstr("--http"));
    EXPECT_THAT(error_with({"run", "--start-at", "middle"}), HasSubstr("--start-at"));
    EXPECT_THAT(error_with({"run", "--reader", ""}), HasSubstr("--reader"));
    EXPECT_THAT(error_with({"run", "--clock", "fast"}), HasSubstr("--clock"));
    EXPECT_THAT(error_with({"run", "--clock-interval", "11s"}), HasSubstr("--clock-interval"));
    EXPECT_THAT(error_with({"run", "--clock-batch", "0"}), HasSubstr("--clock-batch"));
}

TEST(Config, AKafkaPairWithoutAnEqualsSignIsRefusedAndNotShown) {
    const auto error = error_with({"run", "--kafka", "hunter2"});
    EXPECT_THAT(error, HasSubstr("key=value"));
    EXPECT_THAT(error, testing::Not(HasSubstr("hunter2")));
}

TEST(Config, NamesWhatIsMissing) {
    EXPECT_THAT(error_of({"run"}), HasSubstr("OMS_DATABASE"));
    EXPECT_THAT(error_of({"run", "--database", "d"}), HasSubstr("OMS_BROKER"));
    EXPECT_THAT(error_of({}), HasSubstr("say what to do"));
    EXPECT_EQ(error_of({"broker"}), "no error") << "the embedded broker needs nothing";
    EXPECT_EQ(error_of({"dlq", "list", "--database", "d"}), "no error") << "dead letters need no broker";
}

TEST(Config, ReadsTheDeadLetterVerbs) {
    auto c = parse({"dlq", "list", "--limit", "5", "--filter", R"({"topic": "t"})"});
    EXPECT_EQ(c.verb, Verb::dlq_list);
    EXPECT_EQ(c.limit, 5);
    c = parse({"dlq", "replay", "--id", "3", "--id", "4", "--rate", "10", "--reason", "fixed"});
    EXPECT_EQ(c.verb, Verb::dlq_replay);
    EXPECT_EQ(c.ids, (std::vector<std::int64_t>{3, 4}));
    EXPECT_EQ(c.rate, 10);
    EXPECT_FALSE(c.execute) << "a dry run by default";
    EXPECT_THAT(error_with({"dlq", "replay"}), HasSubstr("--id or --filter"));
    EXPECT_THAT(error_with({"dlq", "list", "--filter", "topic=t"}), HasSubstr("JSON"));
    EXPECT_THAT(error_with({"dlq", "discard", "--id", "3"}), HasSubstr("--reason"));
}

TEST(Config, HelpIsTextAndNotAnError) {
    EXPECT_THROW(parse({"--help"}), TextAsked);
    EXPECT_THROW(parse({"--version"}), TextAsked);
}

TEST(Config, EveryOptionIsInTheDocumentation) {
    std::ifstream file(std::string(OMS_TEST_DIR) + "/../../docs/worker.md");
    std::ostringstream text;
    text << file.rdbuf();
    ASSERT_FALSE(text.str().empty());
    for (const auto& name : option_names()) EXPECT_THAT(text.str(), HasSubstr("`" + name + "`"));
}

}  // namespace
}  // namespace oms::runtime
