#include "relay/key_gate.hpp"

#include <iterator>

namespace oms::relay {
namespace {

Batch copy_of(const Event& event) {
    auto text = std::make_shared<std::string>();
    // Reserved before the first view is taken: growing would move the text away under the views.
    text->reserve(event.bytes() + event.aggregate_type.size() + event.aggregate_id.size() + event.type.size() +
                  event.topic.size() + event.occurred_at.size());
    const auto keep = [&text](std::string_view part) {
        const auto start = text->size();
        text->append(part);
        return std::string_view(*text).substr(start);
    };
    Event copy;
    copy.id = event.id;
    copy.seq = event.seq;
    copy.aggregate_type = keep(event.aggregate_type);
    copy.aggregate_id = keep(event.aggregate_id);
    copy.type = keep(event.type);
    copy.topic = keep(event.topic);
    copy.key = keep(event.key);
    copy.payload = keep(event.payload);
    copy.headers = keep(event.headers);
    copy.occurred_at = keep(event.occurred_at);
    return {text, {copy}};
}

}  // namespace

std::string KeyGate::lane_name(std::string_view topic, std::string_view key) {
    std::string name(topic);
    name += '\n';  // no topic name contains one
    name += key;
    return name;
}

void KeyGate::set_policies(const std::vector<TopicPolicy>& policies) {
    gated_.clear();
    for (const auto& policy : policies)
        if (policy.block_key) gated_.insert(policy.topic);
}

void KeyGate::set_blocked(const std::vector<BlockedKey>& keys) {
    blocked_.clear();
    for (const auto& [topic, key] : keys) blocked_.insert(lane_name(topic, key));
}

KeyGate::Verdict KeyGate::admit(Ticket ticket, const Event& event) {
    auto name = lane_name(event.topic, event.key);
    if (const auto lane = lanes_.find(name); lane != lanes_.end()) {
        lane->second.push_back({ticket, copy_of(event)});
        return Verdict::hold;
    }
    if (blocked_.contains(name)) return Verdict::park;
    lanes_.try_emplace(name);
    busy_.emplace(ticket, std::move(name));
    return Verdict::send;
}

std::vector<Held> KeyGate::pass(Ticket ticket) {
    std::vector<Held> next;
    const auto busy = busy_.find(ticket);
    if (busy == busy_.end()) return next;
    auto name = std::move(busy->second);
    busy_.erase(busy);
    const auto lane = lanes_.find(name);
    if (lane->second.empty()) {
        lanes_.erase(lane);
        return next;
    }
    next.push_back(std::move(lane->second.front()));
    lane->second.pop_front();
    busy_.emplace(next.front().ticket, std::move(name));
    return next;
}

std::vector<Held> KeyGate::block(Ticket ticket) {
    const auto busy = busy_.find(ticket);
    if (busy == busy_.end()) return {};
    const auto lane = lanes_.find(busy->second);
    std::vector<Held> held(std::make_move_iterator(lane->second.begin()), std::make_move_iterator(lane->second.end()));
    lanes_.erase(lane);
    blocked_.insert(std::move(busy->second));
    busy_.erase(busy);
    return held;
}

}  // namespace oms::relay
