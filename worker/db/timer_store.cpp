#include "db/timer_store.hpp"

#include <chrono>

#include "db/contract.hpp"
#include "db/session.hpp"
#include "runtime/log.hpp"

namespace oms::db {
namespace {

constexpr Statement run_due_timers = {"run_due", "SELECT oms.run_due($1)"};
// In microseconds, rounded up: who wakes a moment too early finds nothing. Timers that are due much later, or never, are all one.
constexpr Statement time_left = {"time_left",
                                 "SELECT ceil(extract(epoch FROM least(oms.next_due(), oms.clock_time() + interval '1 "
                                 "hour') - oms.clock_time()) * 1000000)"
                                 "::bigint"};
constexpr Statement clock_arm = {"clock_arm", "SELECT oms.clock_arm()"};
constexpr Statement clock_disarm = {"clock_disarm", "SELECT oms.clock_disarm()"};

// Somebody may hold what a timer needs for as long as he likes. Then this timer is put back, and those behind it go on: the
// first limit is for one lock, the second, below the patience of Connection, for all of a transaction together.
constexpr auto limits =
    "SET lock_timeout = '3s'; SET statement_timeout = '50s'; SET default_transaction_isolation = 'read committed'";

Connection open_timers(const TimerSettings& settings) {
    auto connection = open_session(settings.target, settings.session_lease);
    if (!Contract::of(connection).timers)
        throw Error(
            "the extension oms is not installed in this database, or has no timers; "
            "hint: CREATE EXTENSION oms, or --clock off",
            "", Error::Session::alive, false);
    connection.run_text(limits);
    return connection;
}

}  // namespace

TimerStore::TimerStore(const TimerSettings& settings, const runtime::Stop& stop)
    : stop_(stop), connection_(open_timers(settings)), listener_(connection_, "LISTEN oms_clock") {
    log::info("the clock is connected to the database", {{"server", connection_.peer()}});
}

std::size_t TimerStore::run_due(std::size_t limit) {
    try {
        return connection_.run_unless(stop_, run_due_timers, {limit}).number<std::size_t>(0, 0);
    } catch (const Error& error) {
        if (error.session_lost()) throw;
        throw clock::RunFailed(error.what());
    }
}

runtime::Clock::duration TimerStore::next_due() {
    return std::chrono::microseconds(connection_.run_unless(stop_, time_left).number<std::int64_t>(0, 0));
}

bool TimerStore::arm_doorbell() { return connection_.run(clock_arm).boolean(0, 0); }

void TimerStore::disarm_doorbell() { connection_.run(clock_disarm); }

}  // namespace oms::db
