// `oms-worker run`: builds the rooms, lets the relay work in a thread of its own, and stops it.
//
// This thread does nothing but wait: for a signal, for the relay's end, and after the first signal
// for the shutdown timeout. So a stop works whatever the relay hangs in.
#include <cstdlib>
#include <exception>
#include <optional>
#include <random>
#include <thread>

#include "command/command.hpp"
#include "command/port_file.hpp"
#include "db/event_source.hpp"
#include "db/numbers.hpp"
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

/// How long a healthy relay can be silent: its longest wait, and time for a statement that hangs.
runtime::Clock::duration patience_of(const runtime::Settings& settings) {
    return std::max({settings.floor, settings.takeover_wait, settings.retry_cap}) + 90s;
}

/// Waits for the end. Returns when the relay is done; leaves the process when it does not get done.
void wait_for_the_end(Signals& signals, runtime::Stop& stop, const runtime::EventFd& relay_done,
                      const runtime::Settings& settings) {
    if (signals.wait(relay_done.fd(), std::nullopt) == Signals::Wake::other) return;
    log::info("stopping: no more reading, flushing, moving the cursor", {});
    stop.request();
    switch (signals.wait(relay_done.fd(), settings.shutdown_timeout)) {
    case Signals::Wake::other: return;
    case Signals::Wake::signal: log::warning("second signal: leaving at once", {}); break;
    case Signals::Wake::timeout: log::warning("the shutdown took too long: leaving", {}); break;
    }
    // Nothing is lost: what is not behind the cursor is read again by the next worker.
    std::_Exit(cut_short);
}

}  // namespace

int run(const runtime::Settings& given) {
    Signals signals;  // before any thread starts
    runtime::Settings settings = given;
    std::optional<kafka::EmbeddedBroker> embedded;
    if (settings.broker == "embedded") {
        embedded.emplace(settings.embedded_nodes);
        settings.broker = embedded->addresses();
        write_port_file(settings.port_file, settings.broker);
    }

    const runtime::SteadyClock clock;
    runtime::Stop stop;
    runtime::Metrics metrics;
    runtime::Status status(clock);
    runtime::PollWaiter waiter(stop);
    kafka::Publishers publishers(kafka_of(settings), metrics, status);
    db::EventSources sources(reader_of(settings), stop);
    db::Numbers numbers(target_of(settings), settings.reader, clock);
    std::optional<http::Server> server;
    if (settings.http != "off") server.emplace(settings.http, status, metrics, numbers, patience_of(settings));
    relay::Supervisor supervisor(sources, publishers, {waiter, clock, stop, metrics, status}, supervisor_of(settings));

    log::info("started", {{"version", OMS_VERSION},
                          {"reader", settings.reader},
                          {"broker", settings.broker},
                          {"http_port", server ? server->port() : 0}});
    const runtime::EventFd relay_done;
    int code = done;
    std::thread relay([&] {
        try {
            supervisor.run();
        } catch (const std::exception& error) {
            log::error("cannot go on", {{"error", error.what()}});
            code = failed;
        }
        relay_done.signal();
    });
    wait_for_the_end(signals, stop, relay_done, settings);
    relay.join();
    log::info("stopped", {});
    return code;
}

}  // namespace oms::command
