// Asking a jsonb a question in SQL's path language.
#pragma once

#include <optional>
#include <string_view>

#include "pg/jump.hpp"
#include "pg/postgres.hpp"

namespace oms::pg {

// A path as the server has read it, in the memory context in which that happened.
struct JsonPath {
    const void* read = nullptr;

    bool empty() const { return read == nullptr; }
};
static_assert(JumpSafe<JsonPath>);

// Raises syntax_error when the text is no jsonpath: call it within attempt() where the text is a user's.
JsonPath read_jsonpath(std::string_view text);

// What a predicate says of `json`; nothing when it says neither yes nor no.
std::optional<bool> path_says(Jsonb* json, const JsonPath& path);

// The first item that a path finds; nullptr for none.
Jsonb* path_finds(Jsonb* json, const JsonPath& path);

}  // namespace oms::pg
