// The judgement behind /livez, /readyz and /healthz.
#pragma once

#include <string>

#include "runtime/clock.hpp"
#include "runtime/status.hpp"

namespace oms::http {

struct Health {
    bool live = false;   // the process does its work: restarting it would not help
    bool ready = false;  // events flow, or would if this worker were the leader; what is due is done
    std::string detail;  // JSON
};

/// `patience`: how long a room's thread may be silent before it counts as stuck.
Health judge(const runtime::RoomStatus& rooms, runtime::Clock::duration patience);

}  // namespace oms::http
