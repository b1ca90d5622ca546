#include "relay/window.hpp"

#include <algorithm>
#include <functional>
#include <limits>
#include <stdexcept>

namespace oms::relay {

Window::Fingerprint Window::fingerprint(const Event& event) noexcept {
    Fingerprint mixed = 0;
    const auto mix = [&mixed](std::size_t value) {
        mixed ^= value + 0x9e3779b97f4a7c15u + (mixed << 6) + (mixed >> 2);
    };
    mix(static_cast<std::size_t>(event.seq));
    mix(std::hash<std::string_view>{}(event.aggregate_id));
    mix(std::hash<std::string_view>{}(event.type));
    mix(std::hash<std::string_view>{}(event.occurred_at));
    return mixed;
}

bool Window::add(const Event& event, Ticket& ticket) {
    const auto print = fingerprint(event);
    const auto known = known_.find(event.id);
    const bool settled = known != known_.end() && known->second == print;
    if (known != known_.end()) known_.erase(known);
    const auto bytes =
        static_cast<std::uint32_t>(std::min<std::size_t>(event.bytes(), std::numeric_limits<std::uint32_t>::max()));
    ticket = first_ + entries_.size();
    entries_.push_back({event.id, print, bytes, settled});
    if (settled) {
        advance();
        return false;
    }
    ++unsettled_;
    unsettled_bytes_ += bytes;
    return true;
}

void Window::settle(Ticket ticket) {
    if (ticket < first_ || ticket - first_ >= entries_.size() || entries_[ticket - first_].settled)
        throw std::logic_error("an event was settled twice or never read");
    auto& settled = entries_[ticket - first_];
    settled.settled = true;
    --unsettled_;
    unsettled_bytes_ -= settled.bytes;
    advance();
}

void Window::advance() {
    while (!entries_.empty() && entries_.front().settled) {
        position_ = entries_.front().id;
        behind_.push_back({entries_.front().id, entries_.front().fingerprint});
        entries_.pop_front();
        ++first_;
    }
}

void Window::committed() {
    behind_.clear();
    position_.reset();
}

void Window::restart() {
    // Only restarts that follow each other without catching up, with other workers in between, can
    // pile up what is never read again. Forgetting costs duplicates, growing would cost the bound.
    if (known_.size() > capacity_) known_.clear();
    for (const auto& [id, print] : behind_) known_[id] = print;
    for (const auto& entry : entries_)
        if (entry.settled) known_[entry.id] = entry.fingerprint;
    first_ += entries_.size();
    entries_.clear();
    behind_.clear();
    position_.reset();
    unsettled_ = 0;
    unsettled_bytes_ = 0;
}

}  // namespace oms::relay
