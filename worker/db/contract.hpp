// Which functions of the schema oms this database offers.
//
// The worker runs against the extension of its own version and of the one before: what is younger is
// looked for once per session and done without when it is missing.
#pragma once

#include <string>

#include "db/connection.hpp"

namespace oms::db {

struct Contract {
    bool reading = false;         // the functions without which nothing works
    bool reads_by_bytes = false;  // read_events(text, int, bigint)
    bool parks = false;           // reject_event with the argument `parked`
    bool replays = false;
    bool receipts = false;
    bool topic_policies = false;
    bool blocked_keys = false;
    bool metrics = false;
    bool bookmarks = false;  // what delivering exactly once takes
    bool timers = false;     // what the clock takes
    bool letters_ahead = false;

    static Contract of(Connection& connection);
};

}  // namespace oms::db
