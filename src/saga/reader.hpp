// Reading one object of a definition: every member is known, has its type, and lies in its range; an error names the place.
#pragma once

#include <initializer_list>
#include <optional>
#include <string_view>

#include "pg/function.hpp"
#include "pg/json.hpp"

namespace oms::saga {

class Reader {
  public:
    // `where` is the path of the object for messages, for example steps[3].compensation.
    Reader(const pg::JsonMember& object, const char* where);

    const char* where() const { return where_; }
    const char* path_of(std::string_view member) const;

    // Refuses members that are not named here.
    void only(std::initializer_list<std::string_view> known) const;

    pg::JsonMember member(std::string_view name) const { return pg::member_of(object_, name); }
    bool has(std::string_view name) const { return member(name).kind != pg::JsonKind::missing; }

    // Texts of 1 to `bytes_max` bytes; the optional ones are empty when they are missing.
    std::string_view text(std::string_view name, std::size_t bytes_max) const;
    std::string_view optional_text(std::string_view name, std::size_t bytes_max) const;
    std::int64_t whole(std::string_view name, std::int64_t least, std::int64_t most,
                       std::optional<std::int64_t> fallback) const;
    double decimal(std::string_view name, double least, double most, double fallback) const;
    bool flag(std::string_view name) const;  // false when missing

    // "schema.name"; empty when missing and not required.
    pg::FunctionName function(std::string_view name, bool required) const;

    // A member that must be there and be of this kind.
    pg::JsonMember required(std::string_view name, pg::JsonKind kind) const;

    [[noreturn]] void refuse(std::string_view member, const char* problem, const char* hint) const;

  private:
    JsonbContainer* object_;
    const char* where_;
};
static_assert(pg::JumpSafe<Reader>);

}  // namespace oms::saga
