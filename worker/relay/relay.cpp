#include "relay/relay.hpp"

#include <algorithm>
#include <array>

#include "relay/token.hpp"
#include "runtime/log.hpp"

namespace oms::relay {

using runtime::Clock;
using runtime::Doorbell;

namespace {

// While little arrives, reading takes up at most a fifth of the time, and an event waits for no more than 5 ms.
constexpr int pause_per_read = 4;
constexpr Clock::duration longest_pause = 5ms;

}  // namespace

Relay::Relay(EventSource& source, Publisher& publisher, Carried& carried, World world, const RelaySettings& settings)
    : source_(source),
      publisher_(publisher),
      transactions_(publisher.transactions()),
      carried_(carried),
      window_(carried.window),
      receipts_(carried.receipts),
      world_(world),
      settings_(settings),
      bell_(source, world.clock, settings.floor) {}

Relay::Outcome Relay::run() {
    try {
        bool ready = prepare();
        while (!world_.stop.requested()) {
            if (publisher_.broken() || gave_up_) {
                if (transactions_ != nullptr) look_for_the_culprit();
                salvage();
                write_cursor_if_due(true);
                bell_.leave();
                return Outcome::producer_broken;
            }
            if (ready)
                turn();
            else
                ready = prepare();
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

/// Makes everything known that has to be before the first read; false when the broker is not ready yet.
bool Relay::prepare() {
    if (transactions_ != nullptr && !take_over()) return false;
    for (auto& decided : source_.decided_ahead()) {
        const auto event = decided.event;
        decided_.insert_or_assign(event, std::move(decided));
    }
    const auto policies = source_.topic_policies();
    gate_.set_policies(policies);
    for (const auto& policy : policies)
        if (policy.receipts) receipt_topics_.insert(policy.topic);
    look_at_blocked_keys();
    return true;
}

void Relay::turn() {
    world_.status.alive();
    take_deliveries();
    write_cursor_if_due(false);
    look_after_replays();
    show_gauges();
    if (publisher_.broken() || gave_up_) return;
    if (transaction_is_due()) return end_transaction();

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
    const auto most = std::clamp<std::size_t>(bytes / event_bytes_, 1, most_to_read());
    const auto started = world_.clock.now();
    const Batch batch = source_.read(most, bytes);
    if (batch.events.empty()) {
        world_.metrics.reads_empty.Increment();
        window_.caught_up();
        next_read_ = world_.clock.now() + bell_.found_nothing();
        return;
    }
    bell_.found();
    if (transactions_ != nullptr) {
        if (!transaction_) transaction_.emplace(world_.clock.now());
        transaction_->last_read = batch.events.back().id;
        transaction_->caught_up = batch.events.size() < most;
    }
    if (batch.events.size() < most / 2) pace(world_.clock.now() - started);
    world_.metrics.reads_with_events.Increment();
    world_.metrics.batch_events.Observe(static_cast<double>(batch.events.size()));

    std::size_t read = 0;
    for (const auto& event : batch.events) read += event.bytes();
    // Follows growth at once and shrinks slowly: a guess too small asks for too much memory.
    event_bytes_ = std::max(read / batch.events.size() + 1, event_bytes_ - event_bytes_ / 8);
    // A full batch promises another one. The database fills it while this one is handed over.
    if (batch.events.size() >= most && 2 * read < bytes &&
        window_.unsettled() + 2 * settings_.batch <= settings_.in_flight_messages && !carried_.suspicion.any())
        source_.prefetch(most, bytes - read);
    for (const auto& event : batch.events) take_in(event);
}

/// Reading on at once whatever was committed during the last read would keep a server busy with statements that return
/// an event or two each, at the cost of those who commit. So a read that found little is followed by a pause.
void Relay::pace(Clock::duration read_took) {
    next_read_ = world_.clock.now() + std::min(read_took * pause_per_read, longest_pause);
}

std::size_t Relay::most_to_read() const {
    return carried_.suspicion.limit(std::min(settings_.batch, settings_.in_flight_messages - window_.unsettled()));
}

void Relay::take_in(const Event& event) {
    Ticket ticket = 0;
    if (!window_.add(event, ticket)) return pass_settled(event);
    if (event.topic.empty()) return settle(ticket);
    if (!gate_.gates(event.topic)) return deliver(ticket, event);
    switch (gate_.admit(ticket, event)) {
    case KeyGate::Verdict::send: return deliver(ticket, event);
    case KeyGate::Verdict::hold: return;
    case KeyGate::Verdict::park: return decided_.contains(event.id) ? deliver(ticket, event) : park(ticket, event);
    }
}

/// An event that is known to be settled, from before a restart.
void Relay::pass_settled(const Event& event) {
    world_.metrics.already_settled.Increment();
    const auto decided = decided_.extract(event.id);
    if (decided && !decided.mapped().parked && gate_.gates(event.topic)) gate_.block_behind(event);
}

/// Sends the event, unless it was decided before that it is not to be sent.
void Relay::deliver(Ticket ticket, const Event& event) {
    return decided_.contains(event.id) ? pass_decided(ticket, event) : send(ticket, event);
}

/// An event that was rejected or parked before, and is read again because the cursor did not pass it.
void Relay::pass_decided(Ticket ticket, const Event& event) {
    const auto decided = std::move(decided_.extract(event.id).mapped());
    world_.metrics.already_settled.Increment();
    if (!decided.parked && gate_.gates(event.topic)) gate_.block_behind(event);
    if (decided.parked || settings_.dlq_topic.empty() || carried_.uncopied.contains(event.id)) return settle(ticket);
    publish_copy(ticket, publisher_.message_of(event), decided.error);
}

/// Of the keys that a dead letter blocks, those are still free whose dead letter will be read again: what is read before it
/// came before it.
void Relay::look_at_blocked_keys() {
    gate_.set_blocked(source_.blocked_keys());
    for (const auto& [event, decided] : decided_)
        if (!decided.parked) gate_.unblock(decided.topic, decided.key);
}

void Relay::send(Ticket ticket, const Event& event) {
    publisher_.publish(make_token(Sending::event, ticket), event);
    handed_over(make_token(Sending::event, ticket));
}

void Relay::handed_over(Token token) {
    ++on_the_way_;
    if (!transaction_) return;
    ++transaction_->messages;
    transaction_->last_message = token;
}

void Relay::park(Ticket ticket, const Event& event) {
    if (parked(ticket, event)) return;
    gate_.unblock(event.topic, event.key);
    if (gate_.admit(ticket, event) == KeyGate::Verdict::send) send(ticket, event);
}

/// Parks the event; false when nothing holds its key back any more.
bool Relay::parked(Ticket ticket, const Event& event) {
    if (!source_.reject(event.id, "waits behind a rejected event of its key", true)) return false;
    world_.metrics.parked.Increment();
    settle(ticket);
    return true;
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

void Relay::keep_session_alive() {
    const auto now = world_.clock.now();
    if (now < replays_looked_for_ + settings_.replay_interval) return;
    replays_looked_for_ = now;
    source_.keep_alive();
}

void Relay::look_after_replays() {
    // Unsettled replays are returned again, so there is one round of them at a time; none joins a transaction that ends.
    if (replays_in_flight_ > 0 || (transaction_ && transaction_->ending)) return keep_session_alive();
    const auto now = world_.clock.now();
    if (now < replays_looked_for_ + settings_.replay_interval) return;
    replays_looked_for_ = now;
    look_at_blocked_keys();
    const auto batch = source_.take_replays(carried_.suspicion.limit(settings_.batch));
    if (transactions_ != nullptr && !transaction_ && !batch.replays.empty()) transaction_.emplace(now);
    for (const auto& replay : batch.replays) {
        const auto token = make_token(Sending::replay, static_cast<std::uint64_t>(replay.attempt_id));
        publisher_.publish(token, replay.event);
        ++replays_in_flight_;
        handed_over(token);
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
    if (transaction_) transaction_->caught_up = true;
    while (!is_drained() && !publisher_.broken() && !gave_up_ && world_.clock.now() < deadline) {
        const std::array fds = {publisher_.wake_fd()};
        keep_session_alive();
        if (transaction_)
            end_transaction();
        else
            world_.waiter.wait(fds, deadline - world_.clock.now());
        take_deliveries();
        write_cursor_if_due(false);
    }
    if (transaction_) abandon();
    if (window_.unsettled() > 0)
        log::warning("stopped with unconfirmed messages; they will be sent again", {{"messages", window_.unsettled()}});
    write_cursor_if_due(true);
    source_.detach();
}

bool Relay::is_drained() const { return !transaction_ && window_.unsettled() + replays_in_flight_ == 0; }

}  // namespace oms::relay
