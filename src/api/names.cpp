// Letters, digits and a few marks, within a length.
#include "api/names.hpp"

#include <algorithm>

#include "pg/raise.hpp"

#include "pg/poison.hpp"

namespace oms::api {

namespace {

constexpr std::size_t reader_bytes_max = 63;
constexpr std::size_t topic_bytes_max = 249;  // Kafka's own limit

bool is_name(std::string_view name, std::size_t bytes_max) {
    return !name.empty() && name.size() <= bytes_max && std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
               c == '-';
    });
}

void require_name(std::string_view name, const char* what, std::size_t bytes_max) {
    if (is_name(name, bytes_max)) return;
    pg::raise(pg::Error::invalid_argument,
              {.message = pg::format("%s is not the name of a %s", pg::quoted(name), what),
               .detail = pg::format("It has 1 to %zu letters, digits, dots, hyphens and underscores.", bytes_max),
               .hint = pg::format("Choose another name for the %s.", what)});
}

}  // namespace

std::string_view checked_reader_name(const pg::Call& call, int position) {
    std::string_view name = call.required_text(position, "the name of the reader");
    require_name(name, "reader", reader_bytes_max);
    return name;
}

void require_topic_name(std::string_view topic) { require_name(topic, "topic", topic_bytes_max); }

}  // namespace oms::api
