// A sequence of ours, drawn from directly.
#pragma once

#include <cstdint>

#include "pg/jump.hpp"
#include "pg/postgres.hpp"

namespace oms::pg {

class Sequence {
  public:
    explicit constexpr Sequence(const char* name) : name_(name) {}

    std::int64_t next();

  private:
    const char* name_;
};
static_assert(JumpSafe<Sequence>);

}  // namespace oms::pg
