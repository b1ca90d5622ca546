// Events of the log, read once and kept, as messages to be sent again and again.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "sender.hpp"

namespace oms::bench {

class Sample {
  public:
    /// The first `most` events of the log, in the form in which the worker sends them.
    Sample(const std::string& database, std::size_t most);

    std::size_t size() const noexcept { return messages_.size(); }
    /// The i-th message, from the beginning again after the last. The views live as long as the sample.
    Outgoing operator[](std::size_t i) const;

  private:
    struct Message {
        std::string topic;
        std::string key;
        std::string payload;
        std::vector<std::pair<std::string, std::string>> texts;
        std::vector<kafka::Header> headers;  // views of the texts
    };
    std::vector<Message> messages_;
};

}  // namespace oms::bench
