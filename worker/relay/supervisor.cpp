#include "relay/supervisor.hpp"

#include <chrono>
#include <utility>

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
        } catch (const runtime::Refused&) {
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
    world_.status.phase = Phase::stopping;
    try {
        write_down();
    } catch (const std::exception& error) {
        log::warning("the cursor could not be written any more; some messages will be sent again",
                     {{"error", error.what()}});
    }
    world_.status.phase = Phase::stopped;
}

/// After a stop without a session: writes down, in one more session, what is known to be acknowledged. The cursor moves only
/// in a session that has read, so the events are read again up to the first that is not known.
void Supervisor::write_down() {
    auto& window = carried_.window;
    window.restart();
    if (!window.remembers()) return;
    const auto source = sources_.open();
    if (!source->attach(runtime::Clock::duration::zero())) return;
    bool known = true;
    while (known && window.remembers()) {
        const auto batch = source->read(settings_.relay.batch, settings_.relay.in_flight_bytes);
        if (batch.events.empty()) break;
        for (const auto& event : batch.events) {
            Ticket ticket = 0;
            // Without a topic there is nothing to be sent.
            if (window.add(event, ticket)) {
                if (!event.topic.empty()) known = false;
                if (known) window.settle(ticket);
            }
            if (!known) break;
        }
    }
    if (const auto position = window.position()) source->commit(*position, carried_.receipts);
    source->detach();
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
    const auto publisher = publishers_.open(publishers_.transactional() ? source.identity() : "");
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
