// Topics with block_key: one message of a key on its way at a time.
//
// A rejection is known only when the broker answers. If a later event of the key were already on
// its way by then, it could not be parked any more. So the gate holds later events of a busy key
// back; other keys flow. Held events are copies: their batch may be long gone.
#pragma once

#include <deque>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "relay/ports.hpp"
#include "relay/window.hpp"

namespace oms::relay {

struct Held {
    Ticket ticket;
    Batch copy;  // of one event
    const Event& event() const { return copy.events.front(); }
};

class KeyGate {
  public:
    void set_policies(const std::vector<TopicPolicy>& policies);
    void set_blocked(const std::vector<BlockedKey>& keys);

    bool gates_any() const noexcept { return !gated_.empty(); }
    /// Tells whether the topic is gated at all; for all others nothing below applies.
    bool gates(std::string_view topic) const { return gates_any() && gated_.contains(std::string(topic)); }

    enum class Verdict {
        send,  // the key is now busy with this event
        hold,  // kept; pass() or block() gives it back
        park,  // a dead letter holds the key
    };
    Verdict admit(Ticket ticket, const Event& event);

    /// The event was settled: returns the next held one of its key, which is to be sent now.
    std::vector<Held> pass(Ticket ticket);
    /// The event was rejected: blocks its key and returns all held ones, which are to be parked.
    std::vector<Held> block(Ticket ticket);
    /// The database says that nothing holds the key any more.
    void unblock(std::string_view topic, std::string_view key) { blocked_.erase(lane_name(topic, key)); }
    /// What follows the event waits behind it, as far as the database knows.
    bool blocks(const Event& event) const { return blocked_.contains(lane_name(event.topic, event.key)); }
    void block_behind(const Event& event) { blocked_.insert(lane_name(event.topic, event.key)); }

  private:
    static std::string lane_name(std::string_view topic, std::string_view key);

    std::unordered_set<std::string> gated_;
    std::unordered_set<std::string> blocked_;
    std::unordered_map<std::string, std::deque<Held>> lanes_;  // one per busy key
    std::unordered_map<Ticket, std::string> busy_;             // which lane an event on its way uses
};

}  // namespace oms::relay
