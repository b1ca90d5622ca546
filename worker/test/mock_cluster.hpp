// A reader beside the broker, embedded or not, so that tests see what a consumer would see.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "kafka/embedded_broker.hpp"

namespace oms::test {

struct Consumed {
    std::string key;
    std::string payload;
    std::int32_t partition = 0;
    std::int64_t offset = 0;
    std::map<std::string, std::string> headers;
};

/// Reads a topic from its beginning until `count` messages came, or until nothing came for a long time.
std::vector<Consumed> consume(const std::string& bootstrap, const std::string& topic, std::size_t count);

/// What a consumer looks at: what is committed, as is usual, or also what was given up.
enum class Isolation { committed, uncommitted };

/// The same until the end of every partition.
std::vector<Consumed> consume_all(const std::string& bootstrap, const std::string& topic,
                                  Isolation isolation = Isolation::committed);

/// Makes a topic with these settings.
void create_topic(const std::string& bootstrap, const std::string& topic,
                  const std::map<std::string, std::string>& settings);

}  // namespace oms::test
