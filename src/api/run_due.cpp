// oms.run_due: what is due now. The worker's clock calls it; so can pg_cron, or anybody.
//
// Each timer's work is a subtransaction: one that fails is put back with its error, to be tried again later, and harms no other (due_work).
#include "api/due_work.hpp"
#include "api/filter.hpp"
#include "api/task_outcome.hpp"
#include "pg/entry.hpp"
#include "pg/subtransaction.hpp"

#include "pg/poison.hpp"

namespace oms::api {
namespace {

constexpr std::int32_t limit_max = 100'000;

}  // namespace

OMS_FUNCTION(oms_run_due) {
    pg::Call call{fcinfo};
    std::int32_t limit = checked_count(call, 0, "limit", 1000, limit_max);
    std::int32_t done = 0;
    const std::span<const timers::Due> taken = timers::take_due(limit);
    // Whoever answers for several tasks at a time locks in the same order. What goes wrong here is met again by the timer that it is about.
    if (taken.size() > 1) (void)pg::attempt([&] { lock_behind(taken); }, pg::Conflicts::become_data);
    for (const timers::Due& due : taken) {
        CHECK_FOR_INTERRUPTS();
        if (run_timer(due)) ++done;
    }
    return Int32GetDatum(done);
}

OMS_FUNCTION(oms_next_due) {
    pg::Call call{fcinfo};
    std::optional<std::int64_t> next = timers::next_due();
    return next ? TimestampTzGetDatum(*next) : call.null();
}

OMS_FUNCTION(oms_clock_arm) {
    (void)fcinfo;
    return BoolGetDatum(timers::arm_clock());
}

OMS_FUNCTION(oms_clock_disarm) {
    pg::Call call{fcinfo};
    timers::disarm_clock();
    return call.null();
}

}  // namespace oms::api
