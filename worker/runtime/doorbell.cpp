#include "runtime/doorbell.hpp"

#include <algorithm>
#include <chrono>

namespace oms::runtime {
namespace {

using namespace std::chrono_literals;

// Somebody is committing: a commit takes a flush of the log, so looking again within a millisecond is
// soon enough, and later than ten would be felt as latency.
constexpr Clock::duration shortest_pause = 1ms;
constexpr Clock::duration longest_pause = 10ms;

}  // namespace

void Doorbell::found() {
    leave();
    pause_ = {};
}

Clock::duration Doorbell::found_nothing() {
    if (state_ == State::armed) {
        state_ = State::asleep;
        until_ = clock_.now() + floor_;
        return {};
    }
    // Rings that came before the bell is taken speak of commits that the look once more will see.
    bell_.take_ring();
    if (!bell_.arm_doorbell()) {
        pause_ = std::clamp(pause_ * 2, shortest_pause, longest_pause);
        return pause_;
    }
    state_ = State::armed;
    pause_ = {};
    return {};
}

Doorbell::Woken Doorbell::wake() {
    if (state_ != State::asleep) return Woken::no;
    const bool rung = bell_.take_ring();
    if (!rung && clock_.now() < until_) return Woken::no;
    leave();
    return rung ? Woken::by_bell : Woken::by_floor;
}

void Doorbell::leave() {
    if (state_ == State::awake) return;
    state_ = State::awake;
    bell_.disarm_doorbell();
}

}  // namespace oms::runtime
