// Turning a filter of the caller's into a query: known members only, every value a parameter, never text.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "pg/entry.hpp"
#include "pg/json.hpp"
#include "pg/plan.hpp"

namespace oms::api {

// What a member of a filter may look like.
enum class FilterKind : unsigned char { text, text_or_list, boolean, time, uuid };

struct FilterMember {
    std::string_view name;
    FilterKind kind;
    const char* condition;  // SQL with one %d, the parameter's number
};

// A statement being put together.
class Query {
  public:
    explicit Query(const char* beginning);

    void append(const char* sql) { appendStringInfoString(&text_, sql); }
    // Appends SQL in which %d stands for the number of a new parameter.
    void append(const char* sql, Oid type, Datum value);

    pg::Result run();

  private:
    static constexpr std::size_t parameters_max = 16;
    StringInfoData text_;
    std::array<Oid, parameters_max> types_{};
    std::array<Datum, parameters_max> values_{};
    std::array<bool, parameters_max> nulls_{};
    std::size_t count_ = 0;
};
static_assert(pg::JumpSafe<Query>);

// Appends a condition for each member of `filter`; raises invalid_argument for unknown members and wrong types. Members in `others` are known
// but left to the caller.
void append_conditions(Query& query, Jsonb* filter, std::span<const FilterMember> known,
                       std::span<const std::string_view> others = {});

// An optional argument that says how many; invalid_argument when it is not in 1..maximum.
std::int32_t checked_count(const pg::Call& call, int position, const char* name, std::int32_t fallback,
                           std::int32_t maximum);

[[noreturn]] void raise_bad_cursor(std::string_view cursor);
// A cursor that is the number of a row; raises for anything else.
std::int64_t number_of_cursor(std::string_view cursor);

// Ends a query of pages by its LIMIT, runs it, and answers its rows.
Datum answer_page(const pg::Call& call, Query& query, int limit_argument, std::int32_t limit_max = 1000);

}  // namespace oms::api
