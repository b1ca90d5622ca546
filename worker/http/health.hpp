// The judgement behind /livez, /readyz and /healthz.
#pragma once

#include <string>

#include "runtime/clock.hpp"
#include "runtime/status.hpp"

namespace oms::http {

struct Health {
    bool live = false;   // the process does its work: restarting it would not help
    bool ready = false;  // events flow, or would if this worker were the leader
    std::string detail;  // JSON
};

/// `patience`: how long the relay's thread may be silent before it counts as stuck.
Health judge(const runtime::Status& status, runtime::Clock::duration patience);

}  // namespace oms::http
