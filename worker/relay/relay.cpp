#include "relay/relay.hpp"

#include <algorithm>
#include <array>

#include "relay/token.hpp"
#include "runtime/log.hpp"

namespace oms::relay {

using runtime::Clock;

namespace {

// While little arrives, reading takes up at most a fifth of the time, and an event waits for no more than 5 ms.
constexpr int pause_per_read = 4;
constexpr Clock::duration longest_pause = 5ms;

}  // namespace

Relay::Relay(EventSource& source, Publisher& publisher, Carried& carried, World world, const RelaySettings& settings)
    : source_(source),
      publisher_(publisher),
      window_(carried.window),
      receipts_(carried.receipts),
      world_(world),
      settings_(settings),
      bell_(source, world.clock, settings.floor) {}

Relay::Outcome Relay::run() {
    try {
        prepare();
        while (!world_.stop.requested()) {
            if (publisher_.broken() || gave_up_) {
                salvage();
                write_cursor_if_due(true);
                bell_.leave();
                return Outcome::producer_broken;
            }
            turn();
        }
        drain();
        return Outcome::stopped;
    } catch (...) {
        // The session is gone, another worker may own the reader by now: stop sending at once, but learn
        // what became of the messages that are already on their way.
        salvage();
        throw;
    }
}

void Relay::prepare() {
    const auto policies = source_.topic_policies();
    gate_.set_policies(policies);
    for (const auto& policy : policies)
        if (policy.receipts) receipt_topics_.insert(policy.topic);
    gate_.set_blocked(source_.blocked_keys());
}

void Relay::turn() {
    world_.status.alive();
    take_deliveries();
    write_cursor_if_due(false);
    look_after_replays();
    show_gauges();
    if (publisher_.broken() || gave_up_) return;

    if (bell_.asleep()) {
        const auto woken = bell_.wake();
        if (woken == Doorbell::Woken::no) return wait(bell_.sleeps_until() - world_.clock.now());
        (woken == Doorbell::Woken::by_bell ? world_.metrics.wakeups_by_bell : world_.metrics.wakeups_by_floor)
            .Increment();
    }
    const auto now = world_.clock.now();
    if (has_room() && now >= next_read_) return read_and_publish();
    const auto pause = has_room() ? next_read_ - now : settings_.floor;
    bell_.leave();
    source_.take_ring();  // awake it is of no use, and on the socket it would turn the wait into a spin
    wait(pause);
}

bool Relay::has_room() const {
    // Room for a whole batch, or half of everything: reading two events whenever two were acknowledged
    // would cost a round trip for each.
    const auto wanted = std::min(settings_.batch, (settings_.in_flight_messages + 1) / 2);
    return window_.unsettled() + wanted <= settings_.in_flight_messages &&
           window_.unsettled_bytes() < settings_.in_flight_bytes && !window_.full();
}

void Relay::read_and_publish() {
    const auto bytes = settings_.in_flight_bytes - window_.unsettled_bytes();
    const auto most = std::clamp<std::size_t>(
        bytes / event_bytes_, 1, std::min(settings_.batch, settings_.in_flight_messages - window_.unsettled()));
    const auto started = world_.clock.now();
    const Batch batch = source_.read(most, bytes);
    if (batch.events.empty()) {
        world_.metrics.reads_empty.Increment();
        window_.caught_up();
        next_read_ = world_.clock.now() + bell_.found_nothing();
        return;
    }
    bell_.found();
    if (batch.events.size() < most / 2) pace(world_.clock.now() - started);
    world_.metrics.reads_with_events.Increment();
    world_.metrics.batch_events.Observe(static_cast<double>(batch.events.size()));

    std::size_t read = 0;
    for (const auto& event : batch.events) read += event.bytes();
    // Follows growth at once and shrinks slowly: a guess too small asks for too much memory.
    event_bytes_ = std::max(read / batch.events.size() + 1, event_bytes_ - event_bytes_ / 8);
    // A full batch promises another one. The database fills it while this one is handed over.
    if (batch.events.size() >= most && 2 * read < bytes &&
        window_.unsettled() + 2 * settings_.batch <= settings_.in_flight_messages)
        source_.prefetch(most, bytes - read);
    for (const auto& event : batch.events) take_in(event);
}

/// Reading on at once whatever was committed during the last read would keep a server busy with statements that return
/// an event or two each, at the cost of those who commit. So a read that found little is followed by a pause.
void Relay::pace(Clock::duration read_took) {
    next_read_ = world_.clock.now() + std::min(read_took * pause_per_read, longest_pause);
}

void Relay::take_in(const Event& event) {
    Ticket ticket = 0;
    if (!window_.add(event, ticket)) return world_.metrics.already_settled.Increment();
    if (event.topic.empty()) return window_.settle(ticket);
    if (!gate_.gates(event.topic)) return send(ticket, event);
    switch (gate_.admit(ticket, event)) {
    case KeyGate::Verdict::send: return send(ticket, event);
    case KeyGate::Verdict::hold: return;
    case KeyGate::Verdict::park: return park(ticket, event);
    }
}

void Relay::send(Ticket ticket, const Event& event) {
    publisher_.publish(make_token(Sending::event, ticket), event);
    ++on_the_way_;
}

void Relay::park(Ticket ticket, const Event& event) {
    if (!source_.reject(event.id, "waits behind a rejected event of its key", true)) {
        gate_.unblock(event);
        if (gate_.admit(ticket, event) == KeyGate::Verdict::send) send(ticket, event);
        return;
    }
    world_.metrics.parked.Increment();
    window_.settle(ticket);
}

void Relay::write_cursor_if_due(bool now) {
    const auto position = window_.position();
    if (!position) return;
    if (!now && !window_.full() && world_.clock.now() < cursor_written_ + settings_.commit_interval) return;
    source_.commit(*position, receipts_);
    world_.metrics.receipts.Increment(static_cast<double>(receipts_.size()));
    receipts_.clear();
    window_.committed();
    cursor_written_ = world_.clock.now();
    world_.metrics.cursor_writes.Increment();
    world_.metrics.committed_event_id.Set(static_cast<double>(*position));
}

void Relay::look_after_replays() {
    const auto now = world_.clock.now();
    if (now < replays_looked_for_ + settings_.replay_interval) return;
    replays_looked_for_ = now;
    // Unsettled replays are returned again, so there is one round of them at a time.
    if (replays_in_flight_ > 0) return source_.keep_alive();
    gate_.set_blocked(source_.blocked_keys());
    const auto batch = source_.take_replays(settings_.batch);
    for (const auto& replay : batch.replays) {
        publisher_.publish(make_token(Sending::replay, static_cast<std::uint64_t>(replay.attempt_id)), replay.event);
        ++replays_in_flight_;
        ++on_the_way_;
    }
}

void Relay::wait(Clock::duration longest) {
    const auto now = world_.clock.now();
    auto until = now + longest;
    until = std::min(until, replays_looked_for_ + settings_.replay_interval);
    if (window_.position()) until = std::min(until, cursor_written_ + settings_.commit_interval);
    const std::array fds = {source_.wake_fd(), publisher_.wake_fd()};
    if (until > now) world_.waiter.wait(fds, until - now);
}

void Relay::show_gauges() {
    auto& metrics = world_.metrics;
    metrics.in_flight_messages.Set(static_cast<double>(window_.unsettled()));
    metrics.in_flight_bytes.Set(static_cast<double>(window_.unsettled_bytes()));
    metrics.window_events.Set(static_cast<double>(window_.events()));
}

void Relay::drain() {
    world_.status.phase = runtime::Phase::stopping;
    const auto deadline = world_.clock.now() + settings_.drain_timeout;
    bell_.leave();
    take_deliveries();
    while (window_.unsettled() + replays_in_flight_ > 0 && !publisher_.broken() && !gave_up_ &&
           world_.clock.now() < deadline) {
        const std::array fds = {publisher_.wake_fd()};
        world_.waiter.wait(fds, deadline - world_.clock.now());
        take_deliveries();
        write_cursor_if_due(false);
    }
    if (window_.unsettled() > 0)
        log::warning("stopped with unconfirmed messages; they will be sent again", {{"messages", window_.unsettled()}});
    write_cursor_if_due(true);
    source_.detach();
}

}  // namespace oms::relay
