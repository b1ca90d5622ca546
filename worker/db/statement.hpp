// A statement of the worker: a name under which each session prepares it once, and its text.
//
// Every text calls functions of the schema oms and nothing else; the rules live there.
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

namespace oms::db {

struct Statement {
    const char* name;
    const char* sql;
};

/// One argument in text form; empty is NULL.
class Argument {
  public:
    Argument(std::nullopt_t) {}
    Argument(std::string text) : text_(std::move(text)) {}
    Argument(std::string_view text) : text_(std::string(text)) {}
    Argument(const char* text) : text_(std::string(text)) {}
    Argument(const std::optional<std::string>& text) : text_(text) {}
    template <std::same_as<bool> T>
    Argument(T value) : text_(value ? "t" : "f") {}
    template <std::integral T>
    requires(!std::same_as<T, bool>) Argument(T value) : text_(std::to_string(value)) {}

    const char* text() const noexcept { return text_ ? text_->c_str() : nullptr; }

  private:
    std::optional<std::string> text_;
};

using Arguments = std::initializer_list<Argument>;

/// Writes an array literal: {"a","b"}.
class ArrayText {
  public:
    void add(std::string_view element) {
        text_ += text_.empty() ? "{\"" : ",\"";
        for (const char c : element) {
            if (c == '"' || c == '\\') text_ += '\\';
            text_ += c;
        }
        text_ += '"';
    }
    void add(std::int64_t element) { add(std::string_view(std::to_string(element))); }
    std::string finish() && { return text_.empty() ? "{}" : std::move(text_) + "}"; }

  private:
    std::string text_;
};

}  // namespace oms::db
