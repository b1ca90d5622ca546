// Asking a jsonb a question in SQL's path language.
#pragma once

#include <optional>
#include <string_view>

#include "pg/postgres.hpp"

namespace oms::pg {

// Raises syntax_error when the text is no jsonpath: call it within attempt() where the text is a user's.
void require_jsonpath(std::string_view path);

// What a predicate says of `json`; nothing when it says neither yes nor no.
std::optional<bool> path_says(Jsonb* json, std::string_view path);

// The first item that a path finds; nullptr for none.
Jsonb* path_finds(Jsonb* json, std::string_view path);

}  // namespace oms::pg
