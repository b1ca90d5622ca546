#include "http/health.hpp"

#include <chrono>
#include <nlohmann/json.hpp>

namespace oms::http {

Health judge(const runtime::Status& status, runtime::Clock::duration patience) {
    using runtime::Phase;
    const auto phase = status.phase.load();
    const bool broker_up = status.broker_up.load();
    const auto silence = status.silence();

    Health health;
    // A broker or a database that is down does not make the worker less alive: it waits for them.
    health.live = silence < patience || phase == Phase::stopping || phase == Phase::stopped;
    // A standby has no producer yet, so the broker is the leader's matter.
    health.ready = phase == Phase::standby || (phase == Phase::leading && broker_up);
    nlohmann::ordered_json detail;
    detail["live"] = health.live;
    detail["ready"] = health.ready;
    detail["phase"] = name_of(phase);
    detail["broker_up"] = broker_up;
    detail["silent_seconds"] = std::chrono::duration<double>(silence).count();
    if (const auto trouble = status.trouble(); !trouble.empty()) detail["last_trouble"] = trouble;
    if (const auto cursor = status.cursor(); !cursor.empty()) detail["cursor"] = cursor;
    detail["version"] = OMS_VERSION;
    health.detail = detail.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
    return health;
}

}  // namespace oms::http
