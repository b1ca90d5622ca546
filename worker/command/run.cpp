// `oms-worker run`: builds the rooms, lets relay and clock work in threads of their own, and stops them.
//
// This thread does nothing but wait: for a signal, for a room's end, and after the first of these for
// the shutdown timeout. So a stop works whatever the rooms hang in.
#include <cstdlib>
#include <optional>
#include <random>
#include <vector>

#include "clock/timekeeper.hpp"
#include "command/command.hpp"
#include "command/crew.hpp"
#include "command/port_file.hpp"
#include "db/event_source.hpp"
#include "db/numbers.hpp"
#include "db/timer_store.hpp"
#include "http/server.hpp"
#include "kafka/embedded_broker.hpp"
#include "kafka/publisher.hpp"
#include "relay/supervisor.hpp"
#include "runtime/log.hpp"
#include "runtime/stop.hpp"

namespace oms::command {
namespace {

using namespace std::chrono_literals;
using runtime::Signals;

relay::SupervisorSettings supervisor_of(const runtime::Settings& settings) {
    relay::SupervisorSettings made;
    made.relay.batch = settings.batch;
    made.relay.in_flight_messages = settings.in_flight_messages;
    made.relay.in_flight_bytes = settings.in_flight_bytes;
    made.relay.commit_interval = settings.commit_interval;
    made.relay.floor = settings.floor;
    made.relay.replay_interval = settings.replay_interval;
    // What is left of the shutdown's time is for moving the cursor and letting go of the reader.
    made.relay.drain_timeout = settings.shutdown_timeout * 4 / 5;
    made.relay.dlq_topic = settings.dlq_topic;
    made.takeover_wait = settings.takeover_wait;
    made.retry_cap = settings.retry_cap;
    made.seed = std::random_device{}();
    return made;
}

db::ReaderSettings reader_of(const runtime::Settings& settings) {
    db::ReaderSettings made;
    made.target = target_of(settings);
    made.reader = settings.reader;
    made.topics = settings.topics;
    made.start_at = settings.start_at;
    made.session_lease = settings.session_lease;
    return made;
}

clock::Settings clock_of(const runtime::Settings& settings) {
    clock::Settings made;
    made.batch = settings.clock_batch;
    made.interval = settings.clock_interval;
    made.retry_cap = settings.retry_cap;
    made.seed = std::random_device{}();
    return made;
}

db::TimerSettings timers_of(const runtime::Settings& settings) {
    db::TimerSettings made;
    made.target = target_of(settings);
    made.target.application_name = "oms-worker clock";
    // It must be able to sleep through its longest sleep.
    made.session_lease = std::max(settings.session_lease, 3 * settings.clock_interval);
    return made;
}

/// How long a healthy room can be silent: its longest wait, and time for a statement that hangs.
runtime::Clock::duration patience_of(const runtime::Settings& settings) {
    return std::max({settings.floor, settings.takeover_wait, settings.retry_cap, settings.clock_interval}) + 90s;
}

struct RelayRoom {
    RelayRoom(const runtime::Settings& settings, runtime::Waiter& waiter, const runtime::Clock& time,
              const runtime::Stop& stop, runtime::Metrics& metrics)
        : status(time),
          publishers(kafka_of(settings), metrics, status),
          sources(reader_of(settings), stop),
          supervisor(sources, publishers, {waiter, time, stop, metrics, status}, supervisor_of(settings)) {}

    runtime::Status status;
    kafka::Publishers publishers;
    db::EventSources sources;
    relay::Supervisor supervisor;
};

struct ClockRoom {
    ClockRoom(const runtime::Settings& settings, runtime::Waiter& waiter, const runtime::Clock& time,
              const runtime::Stop& stop, runtime::Metrics& metrics)
        : status(time),
          timers(timers_of(settings), stop),
          timekeeper(timers, {waiter, time, stop, metrics, status}, clock_of(settings)) {}

    runtime::ClockStatus status;
    db::TimerStores timers;
    clock::Timekeeper timekeeper;
};

/// Waits for the end. Returns when all rooms are done; leaves the process when they do not get done.
void wait_for_the_end(Signals& signals, runtime::Stop& stop, const Crew& crew, const runtime::Settings& settings) {
    if (signals.wait(crew.one_has_ended(), std::nullopt) == Signals::Wake::signal)
        log::info("stopping: no more reading, flushing, moving the cursor", {});
    stop.request();
    switch (signals.wait(crew.all_have_ended(), settings.shutdown_timeout)) {
    case Signals::Wake::other: return;
    case Signals::Wake::signal: log::warning("second signal: leaving at once", {}); break;
    case Signals::Wake::timeout: log::warning("the shutdown took too long: leaving", {}); break;
    }
    // Nothing is lost: what is not behind the cursor is read again by the next worker, what was due still is.
    std::_Exit(cut_short);
}

}  // namespace

int run(const runtime::Settings& given) {
    Signals signals;  // before any thread starts
    runtime::Settings settings = given;
    std::optional<kafka::EmbeddedBroker> embedded;
    if (settings.relay && settings.broker == "embedded") {
        embedded.emplace(settings.embedded_nodes);
        settings.broker = embedded->addresses();
        write_port_file(settings.port_file, settings.broker);
    }

    const runtime::SteadyClock time;
    runtime::Stop stop;
    runtime::Metrics metrics;
    runtime::PollWaiter waiter(stop);
    std::optional<RelayRoom> relay_room;
    std::optional<ClockRoom> clock_room;
    runtime::RoomStatus rooms;
    std::vector<Job> jobs;
    if (settings.relay) {
        relay_room.emplace(settings, waiter, time, stop, metrics);
        rooms.relay = &relay_room->status;
        jobs.push_back({"relay", [&] { relay_room->supervisor.run(); }});
    }
    if (settings.clock) {
        clock_room.emplace(settings, waiter, time, stop, metrics);
        rooms.clock = &clock_room->status;
        jobs.push_back({"clock", [&] { clock_room->timekeeper.run(); }});
    }
    db::Numbers numbers(target_of(settings), settings.reader, time);
    std::optional<http::Server> server;
    if (settings.http != "off") server.emplace(settings.http, rooms, metrics, numbers, patience_of(settings));

    log::info("started", {{"version", OMS_VERSION},
                          {"reader", settings.relay ? settings.reader : "off"},
                          {"broker", settings.relay ? settings.broker : "off"},
                          {"clock", settings.clock ? "on" : "off"},
                          {"http_port", server ? server->port() : 0}});
    Crew crew(jobs);
    wait_for_the_end(signals, stop, crew, settings);
    const bool good = crew.join();
    log::info("stopped", {});
    return good ? done : failed;
}

}  // namespace oms::command
