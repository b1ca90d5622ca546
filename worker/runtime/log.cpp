#include "runtime/log.hpp"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <nlohmann/json.hpp>

namespace oms::log {
namespace {

spdlog::level::level_enum to_spdlog(Level level) {
    switch (level) {
    case Level::debug: return spdlog::level::debug;
    case Level::info: return spdlog::level::info;
    case Level::warning: return spdlog::level::warn;
    case Level::error: return spdlog::level::err;
    }
    return spdlog::level::err;
}

const char* name_of(Level level) {
    switch (level) {
    case Level::debug: return "debug";
    case Level::info: return "info";
    case Level::warning: return "warning";
    case Level::error: return "error";
    }
    return "error";
}

spdlog::logger& logger() {
    static const auto made = [] {
        auto fresh = spdlog::stderr_logger_mt("oms-worker");
        // spdlog writes the time, the rest of the object is ours: `%v` carries everything behind it.
        fresh->set_pattern(R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ",%v)", spdlog::pattern_time_type::utc);
        fresh->flush_on(spdlog::level::debug);
        return fresh;
    }();
    return *made;
}

}  // namespace

void set_level(Level level) { logger().set_level(to_spdlog(level)); }

std::string render(Level level, std::string_view message, Fields fields) {
    nlohmann::ordered_json line;
    line["level"] = name_of(level);
    line["message"] = message;
    for (const auto& field : fields)
        std::visit([&](const auto& value) { line[std::string(field.name)] = value; }, field.value);
    // Texts from the outside (error messages of a broker) need not be UTF-8; a log line must be.
    return line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

void write(Level level, std::string_view message, Fields fields) {
    auto& out = logger();
    if (!out.should_log(to_spdlog(level))) return;
    const std::string line = render(level, message, fields);
    out.log(to_spdlog(level), std::string_view(line).substr(1));
}

}  // namespace oms::log
