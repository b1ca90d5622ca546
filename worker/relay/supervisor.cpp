#include "relay/supervisor.hpp"

#include <chrono>

#include "runtime/log.hpp"

namespace oms::relay {
namespace {

using runtime::Phase;

// One partition without a leader holds the prefix back while the others are acknowledged. The window
// may run ahead of the hole by this factor before reading stops; an entry costs some 40 bytes.
constexpr std::size_t window_per_in_flight = 16;

double seconds_of(runtime::Clock::duration d) { return std::chrono::duration<double>(d).count(); }

}  // namespace

Supervisor::Supervisor(EventSources& sources, Publishers& publishers, World world, SupervisorSettings settings)
    : sources_(sources),
      publishers_(publishers),
      world_(world),
      settings_(std::move(settings)),
      carried_(settings_.relay.in_flight_messages * window_per_in_flight),
      backoff_(settings_.retry_base, settings_.retry_cap, settings_.seed) {}

void Supervisor::run() {
    while (!world_.stop.requested()) {
        world_.status.alive();
        world_.status.phase = Phase::connecting;
        try {
            live_one_session();
        } catch (const Refused&) {
            throw;
        } catch (const std::exception& error) {
            world_.metrics.leader.Set(0);
            if (world_.stop.requested()) break;
            world_.metrics.session_losses.Increment();
            world_.status.set_trouble(error.what());
            world_.status.phase = Phase::connecting;
            log::error("the session ended; connecting again", {{"error", error.what()}});
            pause();
        }
    }
    world_.metrics.leader.Set(0);
    world_.status.phase = Phase::stopped;
}

void Supervisor::live_one_session() {
    const auto source = sources_.open();
    while (wait_for_the_reader(*source)) {
        world_.status.phase = Phase::leading;
        world_.metrics.leader.Set(1);
        log::info("leading", {});
        if (relay_once(*source) == Relay::Outcome::stopped) return;
        // The same session reads on from the stored cursor: attaching anew forgets what it read ahead.
        // Only a worker that waits for the reader can slip in here, and then this one is its standby.
        source->detach();
        pause();
    }
}

bool Supervisor::wait_for_the_reader(EventSource& source) {
    bool told = false;
    while (!world_.stop.requested()) {
        world_.status.alive();
        if (source.attach(told ? settings_.takeover_wait : runtime::Clock::duration::zero())) {
            world_.status.set_trouble("");
            return true;
        }
        world_.status.phase = Phase::standby;
        world_.metrics.leader.Set(0);
        backoff_.reset();
        if (!told) log::info("standing by: another worker owns the reader", {});
        told = true;
    }
    return false;
}

Relay::Outcome Supervisor::relay_once(EventSource& source) {
    carried_.window.restart();
    const auto publisher = publishers_.open();
    Relay relay(source, *publisher, carried_, world_, settings_.relay);
    // Looked at on every way out: one that worked for a while starts its pauses anew.
    struct ResetBackoff {
        Supervisor& supervisor;
        const Relay& relay;
        runtime::Clock::time_point since;
        ~ResetBackoff() {
            const auto lived = supervisor.world_.clock.now() - since;
            if (relay.delivered() || lived > supervisor.settings_.retry_cap) supervisor.backoff_.reset();
        }
    } reset{*this, relay, world_.clock.now()};
    const auto outcome = relay.run();
    if (outcome == Relay::Outcome::producer_broken) {
        world_.metrics.producer_rebuilds.Increment();
        log::warning("the producer is broken; reading starts again at the cursor with a new one", {});
    }
    return outcome;
}

void Supervisor::pause() {
    const auto pause = backoff_.next();
    log::info("pausing", {{"seconds", seconds_of(pause)}});
    const auto until = world_.clock.now() + pause;
    while (!world_.stop.requested() && world_.clock.now() < until) world_.waiter.wait({}, until - world_.clock.now());
}

}  // namespace oms::relay
