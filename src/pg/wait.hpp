// Waiting a while, so that a cancel request or the end of the server ends the wait.
#pragma once

#include <cstdint>

#include "pg/jump.hpp"
#include "pg/postgres.hpp"

namespace oms::pg {

// A moment some milliseconds from now, by the real clock.
class Deadline {
  public:
    explicit Deadline(std::int32_t ms) : at_(GetCurrentTimestamp() + std::int64_t{ms} * 1000) {}
    bool has_passed() const { return GetCurrentTimestamp() >= at_; }

  private:
    TimestampTz at_;
};
static_assert(JumpSafe<Deadline>);

void pause(std::int32_t ms);

}  // namespace oms::pg
