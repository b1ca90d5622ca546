// The door between SQL and C++: declaring a function that SQL may call, reading its arguments, giving its answer.
//
// OMS_FUNCTION(oms_create_order) { pg::Call call{fcinfo}; ... }
// Every argument may be NULL (no function is STRICT): reading one says whether it is required, and a missing one is an
// invalid_argument that names it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "core/ids.hpp"
#include "pg/jump.hpp"
#include "pg/plan.hpp"
#include "pg/postgres.hpp"

#define OMS_FUNCTION(name)                                   \
    extern "C" {                                             \
    OMS_EXPORT Datum name(FunctionCallInfo fcinfo);          \
    OMS_EXPORT const Pg_finfo_record* pg_finfo_##name(void); \
    const Pg_finfo_record* pg_finfo_##name(void) {           \
        static constexpr Pg_finfo_record info{1};            \
        return &info;                                        \
    }                                                        \
    }                                                        \
    extern "C" Datum name(FunctionCallInfo fcinfo)

namespace oms::pg {

// The arguments of one call. Views live until the caller's memory context resets, that is: for the whole call.
class Call {
  public:
    explicit Call(FunctionCallInfo info) : info_(info) {}

    bool is_null(int i) const { return i >= info_->nargs || info_->args[i].isnull; }

    std::optional<std::string_view> text(int i) const;
    std::optional<std::int32_t> integer(int i) const;
    std::optional<std::int64_t> bigint(int i) const;
    std::optional<bool> boolean(int i) const;
    std::optional<core::OrderId> uuid(int i) const;
    std::optional<std::int64_t> interval_us(int i) const;  // a month counts 30 days; too long a one is the longest
    std::optional<std::int64_t> time(int i) const;
    Jsonb* jsonb(int i) const;  // nullptr when NULL
    Datum datum(int i) const { return info_->args[i].value; }

    std::string_view required_text(int i, const char* name) const;
    core::OrderId required_uuid(int i, const char* name) const;
    Jsonb* required_jsonb(int i, const char* name) const;

    Datum null() const {
        info_->isnull = true;
        return Datum{0};
    }
    FunctionCallInfo raw() const { return info_; }

  private:
    FunctionCallInfo info_;
};
static_assert(JumpSafe<Call>);

// Answers with rows: the result goes to a tuplestore that the executor reads. One object per call, on the stack.
class RowSet {
  public:
    explicit RowSet(const Call& call);
    void add(const Datum* values, const bool* nulls);
    void add(const Result& rows);  // a query's rows, whose columns are those of the answer

  private:
    Tuplestorestate* store_;
    TupleDesc descriptor_;
};
static_assert(JumpSafe<RowSet>);

// One row of the function's composite result type.
Datum composite_result(const Call& call, const Datum* values, const bool* nulls);

Datum text_datum(std::string_view text);
Datum text_array_datum(std::span<Datum> texts);
Datum uuid_datum(const core::OrderId& id);
std::string_view text_view(Datum text);

}  // namespace oms::pg
