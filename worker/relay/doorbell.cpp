#include "relay/doorbell.hpp"

#include <algorithm>
#include <chrono>

namespace oms::relay {
namespace {

using namespace std::chrono_literals;

// Somebody is committing: a commit takes a flush of the log, so looking again within a millisecond is
// soon enough, and later than ten would be felt as latency.
constexpr runtime::Clock::duration shortest_pause = 1ms;
constexpr runtime::Clock::duration longest_pause = 10ms;

}  // namespace

void Doorbell::found() {
    leave();
    pause_ = {};
}

runtime::Clock::duration Doorbell::found_nothing() {
    if (state_ == State::armed) {
        state_ = State::asleep;
        until_ = clock_.now() + floor_;
        return {};
    }
    // Rings that came before the bell is taken speak of commits that the read once more will see.
    source_.take_ring();
    if (!source_.arm_doorbell()) {
        pause_ = std::clamp(pause_ * 2, shortest_pause, longest_pause);
        return pause_;
    }
    state_ = State::armed;
    pause_ = {};
    return {};
}

Doorbell::Woken Doorbell::wake() {
    if (state_ != State::asleep) return Woken::no;
    const bool rung = source_.take_ring();
    if (!rung && clock_.now() < until_) return Woken::no;
    leave();
    return rung ? Woken::by_bell : Woken::by_floor;
}

void Doorbell::leave() {
    if (state_ == State::awake) return;
    state_ = State::awake;
    source_.disarm_doorbell();
}

}  // namespace oms::relay
