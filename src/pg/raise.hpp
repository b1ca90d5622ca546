// Raising an error: the only way out of the extension's code besides returning.
#pragma once

#include <string_view>

#include "pg/errors.hpp"

namespace oms::pg {

// What the caller is told. The primary message is lower case without a full stop and names the thing and its state; detail (what was
// found) and hint (what would be legal) are sentences.
struct Report {
    const char* message;
    const char* detail = nullptr;
    const char* hint = nullptr;
};

[[noreturn]] void raise(Error error, const Report& report);

// Raises PostgreSQL's own 40001: the transaction's snapshot cannot see what the command would have to act on.
[[noreturn]] void raise_serialization_failure(const char* message);

// Tells the client, and the server's log, of something unusual that went well.
void report_notice(const Report& report);

// Formats into the current memory context.
char* format(const char* pattern, ...) __attribute__((format(gnu_printf, 1, 2)));

// A user's string for a message: quoted, and cut to a readable length at a character boundary.
char* quoted(std::string_view text);

}  // namespace oms::pg
