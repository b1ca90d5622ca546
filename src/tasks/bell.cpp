// One bell for each queue, as the relay's (log/doorbell.cpp): a lock that says who is awake. The channel is one for all queues, its payload empty:
// who wakes looks at his own queue, and goes on sleeping if it was another's.
#include "tasks/bell.hpp"

#include <array>

#include "core/fingerprint.hpp"
#include "pg/transaction.hpp"
#include "tasks/front.hpp"
#include "tasks/queues.hpp"
#include "tasks/tasks.hpp"

#include "pg/poison.hpp"

namespace oms::tasks {

namespace {

constexpr const char* channel = "oms_tasks";

// Queues that got tasks in this transaction. One that feeds more queues rings for the rest without asking who is awake.
constexpr std::size_t bells_max = 16;
constinit std::array<std::uint64_t, bells_max> bells{};
constinit std::size_t bell_count = 0;
constinit bool too_many = false;

std::uint64_t name_of(std::string_view queue) { return XXH3_64bits(queue.data(), queue.size()); }

void ring() {
    bool somebody_sleeps = too_many;
    for (std::size_t i = 0; i < bell_count && !somebody_sleeps; ++i) {
        somebody_sleeps = !pg::lock_name(pg::LockSpace::queue, bells[i], pg::LockStrength::producer,
                                         pg::LockDuration::transaction, false);
    }
    if (somebody_sleeps) pg::notify(channel);
}

void forget(pg::Ending) {
    bell_count = 0;
    too_many = false;
}

}  // namespace

void ring_at_commit(std::string_view queue) {
    std::uint64_t bell = name_of(queue);
    for (std::size_t i = 0; i < bell_count; ++i) {
        if (bells[i] == bell) return;
    }
    if (bell_count < bells_max) {
        bells[bell_count++] = bell;
    } else {
        too_many = true;
    }
}

bool arm_queue(std::string_view queue) {
    std::uint64_t bell = name_of(queue);
    if (pg::holds_name(pg::LockSpace::queue, bell, pg::LockStrength::sleeper)) return true;
    return pg::lock_name(pg::LockSpace::queue, bell, pg::LockStrength::sleeper, pg::LockDuration::session, false);
}

void disarm_queue(std::string_view queue) {
    std::uint64_t bell = name_of(queue);
    if (!pg::holds_name(pg::LockSpace::queue, bell, pg::LockStrength::sleeper)) return;
    pg::unlock_name(pg::LockSpace::queue, bell, pg::LockStrength::sleeper, pg::LockDuration::session);
}

void relation_changed(Oid relation) {
    queues_changed(relation);
    fronts_changed(relation);
}

void install() { pg::watch_transactions({.before_commit = ring, .ended = forget}); }

}  // namespace oms::tasks
