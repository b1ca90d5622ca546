// Members of a definition, and saying no to them.
#include "saga/reader.hpp"

#include <algorithm>

#include "pg/memory.hpp"
#include "pg/raise.hpp"

#include "pg/poison.hpp"

namespace oms::saga {

Reader::Reader(const pg::JsonMember& object, const char* where) : object_(nullptr), where_(where) {
    if (object.kind != pg::JsonKind::object) {
        pg::raise(pg::Error::invalid_argument, {.message = pg::format("%s must be an object", where),
                                                .detail = pg::format("It is %s.", pg::kind_name(object.kind)),
                                                .hint = "Write a JSON object in braces."});
    }
    object_ = object.container();
}

const char* Reader::path_of(std::string_view member) const {
    return pg::format("%s.%.*s", where_, static_cast<int>(member.size()), member.data());
}

void Reader::refuse(std::string_view member, const char* problem, const char* hint) const {
    pg::raise(pg::Error::invalid_argument,
              {.message = pg::format("%s %s", path_of(member), problem),
               .detail = "A definition is accepted only when every part of it can be carried out.",
               .hint = hint});
}

void Reader::only(std::initializer_list<std::string_view> known) const {
    pg::for_each_member(object_, [&](std::string_view name, const pg::JsonMember&) {
        if (std::ranges::find(known, name) != known.end()) return;
        StringInfoData list;
        initStringInfo(&list);
        for (std::string_view each : known) {
            appendStringInfo(&list, "%s%.*s", list.len == 0 ? "" : ", ", static_cast<int>(each.size()), each.data());
        }
        pg::raise(pg::Error::invalid_argument,
                  {.message = pg::format("%s has an unknown member %s", where_, pg::quoted(name)),
                   .detail = "A misspelled member must not be silently without effect.",
                   .hint = pg::format("Known here: %s.", list.data)});
    });
}

pg::JsonMember Reader::required(std::string_view name, pg::JsonKind kind) const {
    pg::JsonMember found = member(name);
    if (found.kind == kind) return found;
    refuse(name, pg::format("must be %s, but is %s", pg::kind_name(kind), pg::kind_name(found.kind)),
           pg::format("Give it as %s.", pg::kind_name(kind)));
}

std::string_view Reader::text(std::string_view name, std::size_t bytes_max) const {
    std::string_view text = required(name, pg::JsonKind::text).text();
    if (text.empty() || text.size() > bytes_max) {
        refuse(name, pg::format("must have 1 to %zu bytes, but has %zu", bytes_max, text.size()),
               "Shorten it, or fill it in.");
    }
    return text;
}

std::string_view Reader::optional_text(std::string_view name, std::size_t bytes_max) const {
    return has(name) ? text(name, bytes_max) : std::string_view{};
}

std::int64_t Reader::whole(std::string_view name, std::int64_t least, std::int64_t most,
                           std::optional<std::int64_t> fallback) const {
    if (fallback && !has(name)) return *fallback;
    std::optional<std::int64_t> number = pg::whole_number(required(name, pg::JsonKind::number).value);
    if (number && *number >= least && *number <= most) return *number;
    refuse(name, "is out of range",
           pg::format("Give a whole number from " INT64_FORMAT " to " INT64_FORMAT ".", least, most));
}

double Reader::decimal(std::string_view name, double least, double most, double fallback) const {
    if (!has(name)) return fallback;
    double number = pg::decimal_number(required(name, pg::JsonKind::number).value);
    if (number >= least && number <= most) return number;
    refuse(name, "is out of range", pg::format("Give a number from %g to %g.", least, most));
}

bool Reader::flag(std::string_view name) const {
    return has(name) && required(name, pg::JsonKind::boolean).value.val.boolean;
}

pg::FunctionName Reader::function(std::string_view name, bool required_here) const {
    constexpr std::size_t bytes_max = 2 * NAMEDATALEN;
    if (!required_here && !has(name)) return {};
    std::string_view whole_name = text(name, bytes_max);
    std::size_t dot = whole_name.find('.');
    if (dot == std::string_view::npos || dot == 0 || dot + 1 == whole_name.size() ||
        whole_name.find('.', dot + 1) != std::string_view::npos) {
        refuse(name, pg::format("must be schema.function, but is %s", pg::quoted(whole_name)),
               "Name the schema: a search_path has no say in what a saga calls.");
    }
    return {{whole_name.data(), dot}, {whole_name.data() + dot + 1, whole_name.size() - dot - 1}};
}

}  // namespace oms::saga
