// Bookmarks as text: numbers between single spaces, in an order that only this room knows.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "log/cursor.hpp"
#include "pg/postgres.hpp"

namespace oms::log {

// What a bookmark says: where, and of which reader in which history.
struct WrittenPlace {
    std::int64_t cluster = 0;
    Oid database = InvalidOid;
    std::int64_t created_at = 0;  // of the reader: one of the same name that was created anew is another one
    std::uint32_t timeline = 0;
    std::uint64_t wal = 0;
    std::int64_t generation = 0;  // of the position that was stored by then
    Cursor cursor{};
    std::string_view reader{};
};

std::string_view text_of(const WrittenPlace& place);

// Nothing when the text was not made by text_of().
std::optional<WrittenPlace> place_of(std::string_view text);

}  // namespace oms::log
