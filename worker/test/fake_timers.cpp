#include "test/fake_timers.hpp"

#include <algorithm>

namespace oms::test {
namespace {

// Whoever sets a timer that is due later than this rings for nobody.
constexpr runtime::Clock::duration longest_sleep = 10s;

}  // namespace

int FakeTimers::set(runtime::Clock::duration delay) {
    const auto due = clock_.now() + std::max(delay, runtime::Clock::duration::zero());
    timers[++made_] = {.due = due};
    if (delay <= longest_sleep && !bell_holders.empty()) {
        for (int session = 1; session <= sessions; ++session) rung.insert(session);
        ++notifications;
    }
    return made_;
}

int FakeTimers::not_fired() const {
    return static_cast<int>(
        std::count_if(timers.begin(), timers.end(), [](const auto& timer) { return timer.second.fired == 0; }));
}

runtime::Clock::duration FakeTimers::latest() const {
    runtime::Clock::duration latest{};
    for (const auto& [id, timer] : timers) latest = std::max(latest, timer.late);
    return latest;
}

int FakeTimers::count(const std::string& call) const {
    return static_cast<int>(std::count(trace.begin(), trace.end(), call));
}

void FakeTimers::lose_session() {
    for (int session = 1; session <= sessions; ++session) lost_.insert(session);
    bell_holders.clear();
    rung.clear();  // notifications belong to the session that listened
}

void FakeTimers::check(int session, FakeDatabase::When when) {
    for (const auto& fault : faults)
        if (fault.at_call == calls() && fault.when == when) lose_session();
    if (lost_.contains(session)) throw SessionLost("the session is gone");
}

template <typename F>
auto FakeTimers::call(int session, const char* name, F effect) {
    trace.emplace_back(name);
    if (on_call) on_call(name);
    check(session, FakeDatabase::When::before);
    if constexpr (std::is_void_v<decltype(effect())>) {
        effect();
        check(session, FakeDatabase::When::after);
    } else {
        auto value = effect();
        check(session, FakeDatabase::When::after);
        return value;
    }
}

FakeTimerSession::FakeTimerSession(FakeTimers& db) : db_(db), id_(++db.sessions) {
    db_.call(id_, "open", [] {});
}

FakeTimerSession::~FakeTimerSession() { db_.bell_holders.erase(id_); }

std::size_t FakeTimerSession::run_due(std::size_t limit) {
    return db_.call(id_, "run_due", [&] {
        const auto now = db_.clock_.now();
        std::vector<FakeTimers::Timer*> due;
        for (auto& [id, timer] : db_.timers)
            if (timer.fired == 0 && timer.due <= now && !timer.in_hand && due.size() < limit) due.push_back(&timer);
        db_.most_at_once = std::max(db_.most_at_once, due.size());
        if (db_.fails)
            if (const auto error = db_.fails(due.size())) throw clock::RunFailed(*error);
        for (auto* timer : due) {
            ++timer->fired;
            timer->late = now - timer->due;
            db_.clock_.advance(db_.work_takes);
        }
        return due.size();
    });
}

runtime::Clock::duration FakeTimerSession::next_due() {
    return db_.call(id_, "next_due", [&] {
        auto left = runtime::Clock::duration(1h);
        for (const auto& [id, timer] : db_.timers)
            if (timer.fired == 0) left = std::min(left, timer.due - db_.clock_.now());
        return left;
    });
}

bool FakeTimerSession::arm_doorbell() {
    return db_.call(id_, "arm", [&] {
        db_.bell_holders.insert(id_);
        return true;
    });
}

void FakeTimerSession::disarm_doorbell() {
    db_.call(id_, "disarm", [&] { db_.bell_holders.erase(id_); });
}

bool FakeTimerSession::take_ring() {
    return db_.call(id_, "ring", [&] { return db_.rung.erase(id_) > 0; });
}

}  // namespace oms::test
