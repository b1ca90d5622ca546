// The clock's TimerStore on PostgreSQL: each call is one function of the schema oms.
#pragma once

#include <memory>

#include "clock/ports.hpp"
#include "db/connection.hpp"
#include "db/listener.hpp"

namespace oms::db {

struct TimerSettings {
    Target target;
    runtime::Clock::duration session_lease{};
};

class TimerStore final : public clock::TimerStore {
  public:
    /// Connects, and refuses a pooler.
    TimerStore(const TimerSettings& settings, const runtime::Stop& stop);

    std::size_t run_due(std::size_t limit) override;
    runtime::Clock::duration next_due() override;
    bool arm_doorbell() override;
    void disarm_doorbell() override;
    bool take_ring() override { return listener_.take_ring(); }
    int wake_fd() const override { return connection_.socket(); }

  private:
    const runtime::Stop& stop_;
    Connection connection_;
    Listener listener_;
};

class TimerStores final : public clock::TimerStores {
  public:
    TimerStores(TimerSettings settings, const runtime::Stop& stop) : settings_(std::move(settings)), stop_(stop) {}
    std::unique_ptr<clock::TimerStore> open() override { return std::make_unique<TimerStore>(settings_, stop_); }

  private:
    TimerSettings settings_;
    const runtime::Stop& stop_;
};

}  // namespace oms::db
