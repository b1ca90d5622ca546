#include "kafka/partition_gate.hpp"

#include <chrono>
#include <iterator>
#include <utility>

namespace oms::kafka {
namespace {

constexpr runtime::Clock::duration remembered = std::chrono::hours(1);

}  // namespace

bool PartitionGate::Partition::open(runtime::Clock::time_point now) const noexcept {
    return acknowledged && now - *acknowledged < remembered;
}

bool PartitionGate::ask(relay::Token token, std::int32_t partition) {
    const std::lock_guard lock(mutex_);
    const auto index = static_cast<std::size_t>(partition);
    if (index >= partitions_.size()) partitions_.resize(index + 1);
    auto& place = partitions_[index];
    const bool open = place.open(offer_.now);
    if (!open && !place.opener) {
        place.opener = token;
        ++opening_;
    }
    // One that the client places later, in a thread of its own, cannot be held any more. It is alone: see admits().
    if (std::this_thread::get_id() != producing_) return true;
    const bool admitted = open || place.opener == token;
    offer_.entry = admitted ? Entry::admitted : Entry::must_wait;
    offer_.partition = partition;
    return admitted;
}

void PartitionGate::offer(relay::Token token, runtime::Clock::time_point now) {
    const std::lock_guard lock(mutex_);
    producing_ = std::this_thread::get_id();
    offer_ = Offer{token, Entry::topic_unknown, nowhere, now};
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

std::vector<PartitionGate::Held> PartitionGate::answered(relay::Token token, std::int32_t partition, bool sent,
                                                         runtime::Clock::time_point now) {
    std::vector<Held> freed;
    const auto free = [&](std::int32_t behind) {
        auto waited = held_.extract(behind);
        if (waited) std::move(waited.mapped().begin(), waited.mapped().end(), std::back_inserter(freed));
    };
    const std::lock_guard lock(mutex_);
    const auto reached = static_cast<std::size_t>(partition);
    if (sent && partition >= 0 && reached < partitions_.size()) partitions_[reached].acknowledged = now;
    if (opening_ > 0)
        for (std::size_t index = 0; index < partitions_.size(); ++index) {
            auto& place = partitions_[index];
            if (place.opener != token) continue;
            place.opener.reset();
            --opening_;
            free(static_cast<std::int32_t>(index));
        }
    if (scout_ == token) {
        scout_.reset();
        free(nowhere);
    }
    return freed;
}

std::vector<PartitionGate::Held> PartitionGate::give_up() {
    std::vector<Held> all;
    for (auto& [partition, waited] : std::exchange(held_, {}))
        std::move(waited.begin(), waited.end(), std::back_inserter(all));
    return all;
}

}  // namespace oms::kafka
