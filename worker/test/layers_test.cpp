// Goal: the rooms know each other only as the map says: main -> command -> {relay, http, db, kafka} -> runtime; db and kafka
// implement the ports and are included by nobody but command. Method: the includes of every file.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>

namespace oms::test {
namespace {

namespace fs = std::filesystem;

const fs::path worker = fs::path(OMS_TEST_DIR).parent_path();

// What each room may include: whole rooms, or single headers.
const std::map<std::string, std::set<std::string>> allowed = {
    {"runtime", {}},
    {"relay", {"runtime"}},
    {"http", {"runtime"}},
    {"db", {"runtime", "relay/ports.hpp", "http/ports.hpp"}},
    {"kafka", {"runtime", "relay/ports.hpp"}},
    {"command", {"runtime", "relay", "http", "db", "kafka"}},
};

// Libraries that one room alone knows.
const std::map<std::string, std::string> owner = {
    {"libpq-fe.h", "db"},  {"librdkafka/rdkafka.h", "kafka"}, {"librdkafka/rdkafka_mock.h", "kafka"},
    {"httplib.h", "http"}, {"CLI/CLI.hpp", "runtime"},        {"spdlog/spdlog.h", "runtime"}};

std::vector<std::string> includes_of(const fs::path& file, const std::regex& form) {
    std::vector<std::string> names;
    std::ifstream in(file);
    for (std::string line; std::getline(in, line);)
        if (std::smatch found; std::regex_search(line, found, form)) names.push_back(found[1]);
    return names;
}

TEST(Layers, RoomsIncludeOnlyWhatTheMapAllows) {
    int files = 0;
    for (const auto& [room, may] : allowed) {
        for (const auto& entry : fs::directory_iterator(worker / room)) {
            ++files;
            for (const auto& name : includes_of(entry.path(), std::regex("^#include \"([^\"]+)\""))) {
                const auto other = name.substr(0, name.find('/'));
                EXPECT_TRUE(other == room || may.contains(other) || may.contains(name))
                    << entry.path() << " includes " << name;
            }
            for (const auto& name : includes_of(entry.path(), std::regex("^#include <([^>]+)>"))) {
                const auto of = owner.find(name);
                EXPECT_TRUE(of == owner.end() || of->second == room) << entry.path() << " includes " << name;
            }
        }
    }
    EXPECT_GT(files, 50);
}

TEST(Layers, StatementsCallFunctionsOfTheSchemaAndTouchNoTable) {
    // Every `FROM oms.x` or `JOIN oms.x` in the database room is a call: a name followed by a parenthesis.
    const std::regex table(R"((FROM|JOIN|INTO|UPDATE)\s+oms\.[a-z_]+(?!\()\b(?!\())", std::regex::icase);
    for (const auto& entry : fs::directory_iterator(worker / "db")) {
        std::ifstream in(entry.path());
        for (std::string line; std::getline(in, line);)
            EXPECT_FALSE(std::regex_search(line, table)) << entry.path() << ": " << line;
    }
}

}  // namespace
}  // namespace oms::test
