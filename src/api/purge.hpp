// Purges go over a table by its ids, a window at a time, and begin anew when they come to the end. Where the next one begins is a row of
// oms.purge_position: a scheduler may call each purge in a session of its own.
#pragma once

#include <cstdint>

#include "pg/entry.hpp"
#include "pg/jump.hpp"

namespace oms::api {

// One window: what was deleted of it, and up to which id it was dealt with; 0: it is empty, the table has no more.
struct Purged {
    std::int32_t deleted;
    std::int64_t last_id;
};
static_assert(pg::JumpSafe<Purged>);

// How many rows a window has, and how many windows a call looks at before it gives up finding something to delete.
inline constexpr std::int32_t window_rows = 10'000;
inline constexpr int windows_max = 100;

class PurgeWalk {
  public:
    // Takes the walk called `what` for this transaction; false when another one has it.
    bool begin(const char* what);
    std::int64_t from() const { return next_; }
    // False when the walk is to end: something was deleted, everything was seen, or enough was.
    bool goes_on(const Purged& window);
    void end();

  private:
    const char* what_ = nullptr;
    std::int64_t start_ = 0;
    std::int64_t next_ = 0;
    int windows_ = 0;
    bool wrapped_ = false;
};
static_assert(pg::JumpSafe<PurgeWalk>);

// Deletes through `window(from)` -> Purged, until one of them deleted something; answers how many.
template <class Fn>
std::int32_t purge(const char* what, Fn&& window) {
    PurgeWalk walk;
    if (!walk.begin(what)) return 0;
    Purged done{};
    do {
        CHECK_FOR_INTERRUPTS();
        done = window(walk.from());
    } while (walk.goes_on(done));
    walk.end();
    return done.deleted;
}

}  // namespace oms::api
