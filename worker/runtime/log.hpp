// The log: one JSON object per line on standard error.
//
// Callers pass names and values, never a formatted sentence with values inside, so that every line
// can be searched by field. Nothing that came from a secret may be passed here.
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

namespace oms::log {

struct Field {
    std::string_view name;
    std::variant<std::string, std::int64_t, double, bool> value;

    Field(std::string_view n, std::string v) : name(n), value(std::move(v)) {}
    Field(std::string_view n, std::string_view v) : name(n), value(std::string(v)) {}
    Field(std::string_view n, const char* v) : name(n), value(std::string(v)) {}
    Field(std::string_view n, double v) : name(n), value(v) {}
    template <std::same_as<bool> T>
    Field(std::string_view n, T v) : name(n), value(v) {}
    template <std::integral T>
    requires(!std::same_as<T, bool>) Field(std::string_view n, T v) : name(n), value(static_cast<std::int64_t>(v)) {}
};

using Fields = std::initializer_list<Field>;

enum class Level { debug, info, warning, error };

/// Sets the lowest level that is written. Before the first call it is `info`.
void set_level(Level level);

void write(Level level, std::string_view message, Fields fields);

inline void debug(std::string_view message, Fields f = {}) { write(Level::debug, message, f); }
inline void info(std::string_view message, Fields f = {}) { write(Level::info, message, f); }
inline void warning(std::string_view message, Fields f = {}) { write(Level::warning, message, f); }
inline void error(std::string_view message, Fields f = {}) { write(Level::error, message, f); }

/// Renders one line as write() does, without the time; the part that tests can compare.
std::string render(Level level, std::string_view message, Fields fields);

}  // namespace oms::log
