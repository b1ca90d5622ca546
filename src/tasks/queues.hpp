// What is configured for a queue. A queue without a row of oms.queue has the defaults; it comes into being with its first task.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/retry.hpp"
#include "pg/postgres.hpp"

namespace oms::tasks {

struct Queue {
    std::string_view name;
    bool paused = false;
    std::int64_t lease_us = 30'000'000;
    bool publish = false;
    int leased_max = 0;  // 0: no limit
    core::RetryPolicy policy{.attempts_max = 25, .base_ms = 1'000, .factor = 2, .cap_ms = 300'000, .jitter = 0.2};
};

// The queue's settings, valid until the next call into the room.
const Queue& queue_named(std::string_view name);

void queues_changed(Oid relation);

}  // namespace oms::tasks
