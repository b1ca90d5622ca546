// Goal: every log line is one JSON object, whatever is put into it.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "runtime/log.hpp"

namespace oms::log {
namespace {

TEST(Log, WritesOneJsonObjectWithTypedFields) {
    const auto line = nlohmann::json::parse(
        render(Level::warning, "said \"so\"", {{"text", "a\nb"}, {"number", 7}, {"share", 0.5}, {"flag", true}}));
    EXPECT_EQ(line["level"], "warning");
    EXPECT_EQ(line["message"], "said \"so\"");
    EXPECT_EQ(line["text"], "a\nb");
    EXPECT_EQ(line["number"], 7);
    EXPECT_EQ(line["share"], 0.5);
    EXPECT_EQ(line["flag"], true);
}

TEST(Log, SurvivesTextThatIsNotUtf8) {
    const auto text = render(Level::error, "broker said", {{"text", "\xff\xfe"}});
    EXPECT_FALSE(nlohmann::json::parse(text, nullptr, false).is_discarded());
    EXPECT_EQ(text.find('\n'), std::string::npos);
}

}  // namespace
}  // namespace oms::log
