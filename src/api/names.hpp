// Names that people give: of readers and of topics.
#pragma once

#include <string_view>

#include "pg/entry.hpp"

namespace oms::api {

// The argument, which names a reader; invalid_argument when it cannot.
std::string_view checked_reader_name(const pg::Call& call, int position);

// Raises invalid_argument when this could not be a topic of Kafka's.
void require_topic_name(std::string_view topic);

}  // namespace oms::api
