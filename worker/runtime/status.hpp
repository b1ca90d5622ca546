// What the worker is doing right now, written by the rooms' threads and read by whoever asks over HTTP.
#pragma once

#include <atomic>
#include <mutex>
#include <string>

#include "runtime/clock.hpp"

namespace oms::runtime {

/// What every room tells: that its thread is not stuck, and what troubled it last.
class Pulse {
  public:
    explicit Pulse(const Clock& clock) : clock_(clock) { alive(); }

    /// The room's thread says that it is not stuck. Called at least once per longest sleep.
    void alive() noexcept { last_sign_.store(clock_.now().time_since_epoch().count()); }
    Clock::duration silence() const noexcept {
        return clock_.now().time_since_epoch() - Clock::duration(last_sign_.load());
    }

    void set_trouble(std::string text) {
        const std::lock_guard lock(mutex_);
        trouble_ = std::move(text);
    }
    std::string trouble() const {
        const std::lock_guard lock(mutex_);
        return trouble_;
    }

  protected:
    mutable std::mutex mutex_;

  private:
    const Clock& clock_;
    std::atomic<Clock::duration::rep> last_sign_{0};
    std::string trouble_;
};

/// The relay.
enum class Phase { connecting, standby, leading, stopping, stopped };

constexpr const char* name_of(Phase phase) {
    switch (phase) {
    case Phase::connecting: return "connecting";
    case Phase::standby: return "standby";
    case Phase::leading: return "leading";
    case Phase::stopping: return "stopping";
    case Phase::stopped: return "stopped";
    }
    return "unknown";
}

class Status : public Pulse {
  public:
    using Pulse::Pulse;

    std::atomic<Phase> phase{Phase::connecting};
    std::atomic<bool> broker_up{false};

    /// Which cursor counted when this worker began to lead; empty when delivering at least once.
    void set_cursor(std::string text) {
        const std::lock_guard lock(mutex_);
        cursor_ = std::move(text);
    }
    std::string cursor() const {
        const std::lock_guard lock(mutex_);
        return cursor_;
    }

  private:
    std::string cursor_;
};

enum class ClockPhase { connecting, running, stopped };

constexpr const char* name_of(ClockPhase phase) {
    switch (phase) {
    case ClockPhase::connecting: return "connecting";
    case ClockPhase::running: return "running";
    case ClockPhase::stopped: return "stopped";
    }
    return "unknown";
}

class ClockStatus : public Pulse {
  public:
    using Pulse::Pulse;

    std::atomic<ClockPhase> phase{ClockPhase::connecting};
    std::atomic<double> lag_seconds{0};  // for how long the oldest due timer had been due at the last look
};

/// Of the rooms that this worker has; at least one.
struct RoomStatus {
    const Status* relay = nullptr;
    const ClockStatus* clock = nullptr;
};

}  // namespace oms::runtime
