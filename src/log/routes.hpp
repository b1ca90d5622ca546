// Which topic an event goes to.
#pragma once

#include <string_view>

namespace oms::log {

// The topic for an event of this type; empty when it is not delivered. The view lives as long as the session's copy of the routes: copy it
// before the next statement.
std::string_view route(std::string_view aggregate_type, std::string_view event_type);

}  // namespace oms::log
