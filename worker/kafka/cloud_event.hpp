// Events as CloudEvents 1.0, Kafka protocol binding, binary mode: the payload is the message's value,
// everything else is headers.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "relay/ports.hpp"

namespace oms::kafka {

using Header = std::pair<std::string_view, std::string_view>;

/// The members of a JSON object as texts, in memory that is used again and again.
class OwnHeaders {
  public:
    /// Reads the object; texts as they are, other values as JSON, nulls left out. Nothing when it is not an object.
    void read(std::string_view object);

    std::size_t size() const noexcept { return size_; }
    const std::pair<std::string, std::string>& operator[](std::size_t i) const { return members_[i]; }

  private:
    friend struct OwnHeadersReader;
    void read_nested(std::string_view object);
    std::pair<std::string, std::string>& next();

    std::vector<std::pair<std::string, std::string>> members_;
    std::size_t size_ = 0;
};

class CloudEvents {
  public:
    explicit CloudEvents(std::string source) : source_(std::move(source)) {}

    /// The headers of one event. The views live until the next call, or as long as the event's.
    const std::vector<Header>& headers_of(const relay::Event& event);

  private:
    void add_own(std::string_view headers);

    std::string source_;
    // Kept between calls, so that an event costs no allocation of its own.
    std::vector<Header> headers_;
    OwnHeaders own_;
    std::string id_;
    std::string seq_;
    std::string time_;
};

/// Turns PostgreSQL's ISO time in UTC into RFC 3339: 2024-01-31 10:00:00.25+00 -> 2024-01-31T10:00:00.25Z.
std::string rfc3339(std::string_view time);

}  // namespace oms::kafka
