// Filters for the list functions.
#include "api/filter.hpp"

#include <algorithm>
#include <charconv>

#include "core/status.hpp"
#include "pg/memory.hpp"
#include "pg/raise.hpp"
#include "pg/settings.hpp"

#include "pg/poison.hpp"

namespace oms::api {

namespace {

[[noreturn]] void refuse(std::string_view name, const char* problem, const char* detail,
                         std::span<const FilterMember> known) {
    StringInfoData names;
    initStringInfo(&names);
    for (const FilterMember& member : known) {
        appendStringInfo(&names, "%s%.*s", names.len == 0 ? "" : ", ", static_cast<int>(member.name.size()),
                         member.name.data());
    }
    pg::raise(pg::Error::invalid_argument, {.message = pg::format("filter member %s %s", pg::quoted(name), problem),
                                            .detail = detail,
                                            .hint = pg::format("Known members: %s.", names.data)});
}

// "cancelled" is accepted wherever a status is.
Datum text_value(std::string_view name, std::string_view text) {
    return pg::text_datum(name == "status" ? core::normalize_status(text) : text);
}

Datum list_value(const FilterMember& member, const pg::JsonMember& given, std::span<const FilterMember> known) {
    pg::Array<Datum> texts;
    if (given.kind == pg::JsonKind::text) {
        texts.push(text_value(member.name, given.text()));
    } else {
        pg::for_each_element(given.container(), [&](std::uint32_t, const pg::JsonMember& element) {
            if (element.kind != pg::JsonKind::text) {
                refuse(member.name, "is not a list of strings",
                       pg::format("It contains %s.", pg::kind_name(element.kind)), known);
            }
            texts.push(text_value(member.name, element.text()));
        });
    }
    return pg::text_array_datum(texts.span());
}

void append_condition(Query& query, const FilterMember& member, const pg::JsonMember& given,
                      std::span<const FilterMember> known) {
    auto wrong = [&](const char* wanted) {
        refuse(member.name, pg::format("is not %s", wanted), pg::format("It is %s.", pg::kind_name(given.kind)), known);
    };
    switch (member.kind) {
    case FilterKind::text:
        if (given.kind != pg::JsonKind::text) wrong("a string");
        query.append(member.condition, TEXTOID, text_value(member.name, given.text()));
        return;
    case FilterKind::text_or_list:
        if (given.kind != pg::JsonKind::text && given.kind != pg::JsonKind::array)
            wrong("a string or a list of strings");
        query.append(member.condition, TEXTARRAYOID, list_value(member, given, known));
        return;
    case FilterKind::boolean:
        if (given.kind != pg::JsonKind::boolean) wrong("true or false");
        query.append(member.condition, BOOLOID, BoolGetDatum(given.value.val.boolean));
        return;
    case FilterKind::uuid: {
        core::OrderId id;
        if (given.kind != pg::JsonKind::text) wrong("a uuid as a string");
        if (!core::parse_uuid(given.text(), id))
            refuse(member.name, "is not a uuid", pg::format("It is %s.", pg::quoted(given.text())), known);
        query.append(member.condition, UUIDOID, pg::uuid_datum(id));
        return;
    }
    case FilterKind::time: {
        if (given.kind != pg::JsonKind::text) wrong("a timestamp as a string");
        std::optional<std::int64_t> moment = pg::parse_time(given.text());
        if (!moment)
            refuse(member.name, "is not a timestamp", pg::format("It is %s.", pg::quoted(given.text())), known);
        query.append(member.condition, TIMESTAMPTZOID, TimestampTzGetDatum(*moment));
        return;
    }
    }
}

}  // namespace

Query::Query(const char* beginning) {
    initStringInfo(&text_);
    appendStringInfoString(&text_, beginning);
}

void Query::append(const char* sql, Oid type, Datum value) {
    Assert(count_ < parameters_max);
    types_[count_] = type;
    values_[count_] = value;
    ++count_;
    for (const char* at = sql; *at != '\0'; ++at) {
        if (at[0] == '%' && at[1] == 'd') {
            appendStringInfo(&text_, "$%zu", count_);
            ++at;
        } else {
            appendStringInfoChar(&text_, *at);
        }
    }
}

pg::Result Query::run() {
    return pg::run_once(pg::Access::reads, text_.data, {types_.data(), count_}, {values_.data(), count_},
                        {nulls_.data(), count_});
}

void append_conditions(Query& query, Jsonb* filter, std::span<const FilterMember> known,
                       std::span<const std::string_view> others) {
    if (filter == nullptr) return;
    if (pg::kind_of(filter) != pg::JsonKind::object) {
        pg::raise(pg::Error::invalid_argument,
                  {.message = "filter is not an object",
                   .detail = pg::format("It is %s.", pg::kind_name(pg::kind_of(filter))),
                   .hint = "A filter looks like {\"status\": \"paid\"}; {} means everything."});
    }
    pg::for_each_member(&filter->root, [&](std::string_view name, const pg::JsonMember& given) {
        if (std::ranges::find(others, name) != others.end()) return;
        const auto member = std::ranges::find(known, name, &FilterMember::name);
        if (member == known.end())
            refuse(name, "is not known", "What is not understood is refused, not ignored.", known);
        append_condition(query, *member, given, known);
    });
}

std::int32_t checked_count(const pg::Call& call, int position, const char* name, std::int32_t fallback,
                           std::int32_t maximum) {
    std::int32_t count = call.integer(position).value_or(fallback);
    if (count >= 1 && count <= maximum) return count;
    pg::raise(pg::Error::invalid_argument, {.message = pg::format("%s must be 1 to %d", name, maximum),
                                            .detail = pg::format("It is %d.", count),
                                            .hint = pg::format("Leave it out for %d.", fallback)});
}

void raise_bad_cursor(std::string_view cursor) {
    pg::raise(pg::Error::invalid_argument, {.message = pg::format("%s is not a cursor", pg::quoted(cursor)),
                                            .detail = "A cursor is the next_cursor of a row that this function gave.",
                                            .hint = "Pass it unchanged, or NULL to begin at the first row."});
}

std::int64_t number_of_cursor(std::string_view cursor) {
    std::int64_t number = 0;
    const char* const end = cursor.data() + cursor.size();
    auto [stopped, problem] = std::from_chars(cursor.data(), end, number);
    if (problem != std::errc{} || stopped != end) raise_bad_cursor(cursor);
    return number;
}

Datum answer_page(const pg::Call& call, Query& query, int limit_argument, std::int32_t limit_max) {
    query.append(" LIMIT %d", INT4OID, Int32GetDatum(checked_count(call, limit_argument, "limit", 100, limit_max)));
    pg::RowSet answer{call};
    answer.add(query.run());
    return Datum{0};
}

}  // namespace oms::api
