// A sequence of ours, drawn from directly.
#pragma once

#include <cstdint>
#include <span>

#include "pg/jump.hpp"
#include "pg/postgres.hpp"

namespace oms::pg {

class Sequence {
  public:
    explicit constexpr Sequence(const char* name) : name_(name) {}

    std::int64_t next();

    // The last value that anybody drew, committed or not; 0 when none was.
    std::int64_t last() const;

    // Says of each of these running transactions whether it has certainly drawn nothing before this call. False where that is not known: for
    // prepared transactions, the own one, and those that end meanwhile.
    std::span<const bool> untouched_by(std::span<const std::uint64_t> running) const;

  private:
    const char* name_;
};
static_assert(JumpSafe<Sequence>);

}  // namespace oms::pg
