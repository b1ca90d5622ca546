#include "http/health.hpp"

#include <chrono>
#include <nlohmann/json.hpp>

namespace oms::http {
namespace {

using nlohmann::ordered_json;
using runtime::ClockPhase;
using runtime::Phase;

bool is_live(const runtime::Pulse& room, bool ends, runtime::Clock::duration patience) {
    return ends || room.silence() < patience;
}

void tell(ordered_json& detail, const runtime::Pulse& room) {
    detail["silent_seconds"] = std::chrono::duration<double>(room.silence()).count();
    if (const auto trouble = room.trouble(); !trouble.empty()) detail["last_trouble"] = trouble;
}

void judge_relay(const runtime::Status& status, runtime::Clock::duration patience, Health& health,
                 ordered_json& detail) {
    const auto phase = status.phase.load();
    const bool broker_up = status.broker_up.load();
    // A broker or a database that is down does not make the worker less alive: it waits for them.
    health.live = health.live && is_live(status, phase == Phase::stopping || phase == Phase::stopped, patience);
    // A standby has no producer yet, so the broker is the leader's matter.
    health.ready = health.ready && (phase == Phase::standby || (phase == Phase::leading && broker_up));
    detail["phase"] = name_of(phase);
    detail["broker_up"] = broker_up;
    tell(detail, status);
    if (const auto cursor = status.cursor(); !cursor.empty()) detail["cursor"] = cursor;
}

void judge_clock(const runtime::ClockStatus& status, runtime::Clock::duration patience, Health& health,
                 ordered_json& detail) {
    const auto phase = status.phase.load();
    health.live = health.live && is_live(status, phase == ClockPhase::stopped, patience);
    health.ready = health.ready && phase == ClockPhase::running;
    detail["phase"] = name_of(phase);
    detail["lag_seconds"] = status.lag_seconds.load();
    tell(detail, status);
}

}  // namespace

Health judge(const runtime::RoomStatus& rooms, runtime::Clock::duration patience) {
    Health health{.live = true, .ready = true, .detail = {}};
    ordered_json relay;
    ordered_json clock;
    if (rooms.relay != nullptr) judge_relay(*rooms.relay, patience, health, relay);
    if (rooms.clock != nullptr) judge_clock(*rooms.clock, patience, health, clock);
    ordered_json detail;
    detail["live"] = health.live;
    detail["ready"] = health.ready;
    if (rooms.relay != nullptr) detail.update(relay);
    if (rooms.clock != nullptr) detail["clock"] = clock;
    detail["version"] = OMS_VERSION;
    health.detail = detail.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
    return health;
}

}  // namespace oms::http
