// Giving a task out, to whoever claims it or to those who read its queue's topic.
#pragma once

#include <array>
#include <span>

#include "pg/memory.hpp"
#include "tasks/rows.hpp"

namespace oms::tasks {

// What all tasks of one claim have in common.
struct Terms {
    std::int64_t epoch;
    std::int64_t until;
    std::int64_t now;
    std::int64_t owner;  // 0: the lease does not depend on the session
};

// An epoch that no lease ever had, and later than `above`, should the clock have been set back.
std::int64_t draw_epoch(std::int64_t above = 0);

// What giving out the task changes in its row.
inline constexpr std::array leased_fields{
    static_cast<int>(Field::status),      static_cast<int>(Field::attempt),     static_cast<int>(Field::lease_epoch),
    static_cast<int>(Field::lease_until), static_cast<int>(Field::lease_owner), static_cast<int>(Field::updated_at),
};
Leased lease_of(const pg::Row& row, const Terms& lease, pg::RowValues& changes);

// One timer for all tasks of a claim: most will be answered long before it fires.
void set_lease_timer(const Terms& lease, std::span<const Leased> taken);

}  // namespace oms::tasks
