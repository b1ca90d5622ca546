// What the worker is doing right now, written by the relay and read by whoever asks over HTTP.
#pragma once

#include <atomic>
#include <mutex>
#include <string>

#include "runtime/clock.hpp"

namespace oms::runtime {

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

class Status {
  public:
    explicit Status(const Clock& clock) : clock_(clock) { alive(); }

    std::atomic<Phase> phase{Phase::connecting};
    std::atomic<bool> broker_up{false};

    /// The relay's thread says that it is not stuck. Called at least once per floor timeout.
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
    const Clock& clock_;
    std::atomic<Clock::duration::rep> last_sign_{0};
    mutable std::mutex mutex_;
    std::string trouble_;
    std::string cursor_;
};

}  // namespace oms::runtime
