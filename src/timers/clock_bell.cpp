// A clock never sleeps longer than clock_sleep_max_us, so only a timer that is due sooner than that after its commit needs to wake it. Deadlines
// and leases, which are most timers, therefore ring nothing, and nobody has to know when the clock wants to wake.
//
// The bell itself is the relay's (log/doorbell.cpp): a lock that says who is awake.
#include "timers/clock_bell.hpp"

#include <algorithm>
#include <limits>

#include "pg/settings.hpp"
#include "pg/transaction.hpp"
#include "timers/timers.hpp"

#include "pg/poison.hpp"

namespace oms::timers {

namespace {

constexpr const char* channel = "oms_clock";
constexpr std::uint64_t the_clock = 0;  // one for the database
constexpr std::int64_t nothing_set = std::numeric_limits<std::int64_t>::max();

constinit std::int64_t earliest_set = nothing_set;  // in this transaction

void ring() {
    if (earliest_set == nothing_set || earliest_set - clock_sleep_max_us > pg::now_us()) return;
    bool clock_is_awake = pg::lock_name(pg::LockSpace::clock, the_clock, pg::LockStrength::producer,
                                        pg::LockDuration::transaction, false);
    if (!clock_is_awake) pg::notify(channel);
}

void forget(pg::Ending) { earliest_set = nothing_set; }

}  // namespace

void ring_at_commit(std::int64_t due_at) { earliest_set = std::min(earliest_set, due_at); }

bool arm_clock() {
    if (pg::holds_name(pg::LockSpace::clock, the_clock, pg::LockStrength::sleeper)) return true;
    return pg::lock_name(pg::LockSpace::clock, the_clock, pg::LockStrength::sleeper, pg::LockDuration::session, false);
}

void disarm_clock() {
    if (!pg::holds_name(pg::LockSpace::clock, the_clock, pg::LockStrength::sleeper)) return;
    pg::unlock_name(pg::LockSpace::clock, the_clock, pg::LockStrength::sleeper, pg::LockDuration::session);
}

void install() { pg::watch_transactions({.before_commit = ring, .ended = forget}); }

}  // namespace oms::timers
