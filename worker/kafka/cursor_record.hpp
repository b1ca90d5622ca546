// The cursor as a record of a topic: JSON, for people and tools may want to look at it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "relay/ports.hpp"

namespace oms::kafka {

std::string text_of(const relay::StoredCursor& cursor);

/// Nothing when the text was not made by text_of().
std::optional<relay::StoredCursor> cursor_of(std::string_view text);

}  // namespace oms::kafka
