#include "kafka/partition_gate.hpp"

#include <iterator>
#include <utility>

namespace oms::kafka {

bool PartitionGate::ask(relay::Token token, std::int32_t partition) {
    const std::lock_guard lock(mutex_);
    const auto index = static_cast<std::size_t>(partition);
    if (index >= partitions_.size()) partitions_.resize(index + 1);
    auto& place = partitions_[index];
    if (!place.open && !place.opener) {
        place.opener = token;
        ++opening_;
    }
    // One that the client places later, in a thread of its own, cannot be held any more. It is alone: see admits().
    if (std::this_thread::get_id() != producing_) return true;
    const bool admitted = place.open || place.opener == token;
    offer_ = Offer{token, admitted ? Entry::admitted : Entry::must_wait, partition};
    return admitted;
}

void PartitionGate::offer(relay::Token token) {
    const std::lock_guard lock(mutex_);
    producing_ = std::this_thread::get_id();
    offer_ = Offer{token, Entry::topic_unknown, nowhere};
}

PartitionGate::Entry PartitionGate::offered() {
    const std::lock_guard lock(mutex_);
    return offer_.entry;
}

void PartitionGate::withdraw() {
    const std::lock_guard lock(mutex_);
    if (offer_.entry != Entry::admitted) return;
    auto& place = partitions_[static_cast<std::size_t>(offer_.partition)];
    if (place.opener != offer_.token) return;
    place.opener.reset();
    --opening_;
}

void PartitionGate::hold(Held held) { held_[scout_ ? nowhere : offer_.partition].push_back(std::move(held)); }

std::deque<PartitionGate::Held> PartitionGate::answered(relay::Token token, std::int32_t partition, bool sent) {
    std::deque<Held> freed;
    const auto free = [&](std::int32_t behind) {
        auto waited = held_.extract(behind);
        if (waited) std::move(waited.mapped().begin(), waited.mapped().end(), std::back_inserter(freed));
    };
    const std::lock_guard lock(mutex_);
    if (opening_ > 0)
        for (std::size_t index = 0; index < partitions_.size(); ++index) {
            auto& place = partitions_[index];
            if (place.opener != token) continue;
            place.opener.reset();
            --opening_;
            place.open = sent && static_cast<std::int32_t>(index) == partition;
            free(static_cast<std::int32_t>(index));
        }
    if (scout_ == token) {
        scout_.reset();
        free(nowhere);
    }
    return freed;
}

std::deque<PartitionGate::Held> PartitionGate::give_up() {
    std::deque<Held> all;
    for (auto& [partition, waited] : std::exchange(held_, {}))
        std::move(waited.begin(), waited.end(), std::back_inserter(all));
    return all;
}

}  // namespace oms::kafka
