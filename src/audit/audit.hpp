// The audit: what people did by force. The door of the room.
#pragma once

#include <string_view>

#include "pg/json.hpp"

namespace oms::audit {

struct Entry {
    std::string_view actor, operation, object, reason;
    Jsonb* before;
    Jsonb* after;
};

// Records an entry in the caller's transaction, with the role that logged in.
void record(const Entry& entry);

}  // namespace oms::audit
