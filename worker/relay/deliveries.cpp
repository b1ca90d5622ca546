// The relay's other half: what happens when the broker answers.
#include <array>
#include <utility>

#include "relay/relay.hpp"
#include "relay/token.hpp"
#include "runtime/log.hpp"

namespace oms::relay {
namespace {

// Long enough for requests that are on the wire to be answered by a living broker, short enough not
// to keep the next session waiting for a dead one.
constexpr runtime::Clock::duration salvage_time = 2s;

}  // namespace

void Relay::take_deliveries() {
    for (auto& delivery : publisher_.deliveries()) {
        --on_the_way_;
        const auto number = number_of(delivery.token);
        const bool unconfirmed = delivery.outcome == Delivery::Outcome::unconfirmed;
        if (unconfirmed) {
            gave_up_ = true;
            world_.metrics.unconfirmed.Increment();
        }
        switch (sending_of(delivery.token)) {
        case Sending::event: after_event(delivery, number); break;
        case Sending::dead_copy:
            if (delivery.outcome == Delivery::Outcome::rejected)
                log::error("the dead letter topic refuses a message; it is kept in oms.dead_letter",
                           {{"topic", settings_.dlq_topic}, {"error", delivery.error}});
            if (delivery.outcome == Delivery::Outcome::rejected) carried_.uncopied.insert(window_.event_id(number));
            if (!unconfirmed) settle(number);
            break;
        case Sending::cursor: break;
        case Sending::replay: after_replay(delivery, static_cast<std::int64_t>(number)); break;
        }
    }
    // From here on statements are run, which may throw; every acknowledgement is in the window.
    for (auto& delivery : std::exchange(rejected_, {})) reject(delivery);
    while (!passed_.empty())
        for (const auto ticket : std::exchange(passed_, {})) pass_gate(ticket);
    const auto replays = std::exchange(settled_replays_, {});
    for (const auto& [attempt, delivery] : replays) {
        const bool sent = delivery.outcome == Delivery::Outcome::sent;
        if (sent && transaction_)
            transaction_->replays.push_back(attempt);
        else
            source_.settle_replay(attempt, sent, delivery.error);
    }
    if (transaction_) return;  // the next ones are looked for when it has ended
    // Events parked behind a replayed one follow one by one: the next is asked for at once, not at the next look.
    if (!replays.empty() && replays_in_flight_ == 0) look_for_replays_at_once();
}

void Relay::after_event(Delivery& delivery, Ticket ticket) {
    if (delivery.outcome == Delivery::Outcome::rejected) {
        rejected_.push_back(std::move(delivery));
        return;
    }
    if (delivery.outcome != Delivery::Outcome::sent) return;
    delivered_ = true;
    world_.status.broker_up = true;
    world_.metrics.broker_up.Set(1);
    world_.metrics.published.Increment();
    world_.metrics.delivery_seconds.Observe(delivery.seconds);
    if (!receipt_topics_.empty() && receipt_topics_.contains(std::string(delivery.topic)))
        (transaction_ ? transaction_->receipts : receipts_)
            .push_back({window_.event_id(ticket), std::string(delivery.topic), delivery.partition, delivery.offset,
                        delivery.broker_time_ms});
    settle(ticket);
}

void Relay::settle(Ticket ticket) {
    if (transaction_)
        transaction_->acknowledged.push_back(ticket);  // settled when the transaction is
    else
        window_.settle(ticket);
    if (gate_.gates_any()) passed_.push_back(ticket);
}

void Relay::pass_gate(Ticket ticket) {
    for (const auto& held : gate_.pass(ticket)) {
        // Blocked meanwhile, by a dead letter that was read again.
        if (gate_.blocks(held.event()) && !decided_.contains(held.event().id)) {
            if (parked(held.ticket, held.event())) continue;
            gate_.unblock(held.event().topic, held.event().key);
        }
        deliver(held.ticket, held.event());
    }
}

void Relay::after_replay(Delivery& delivery, std::int64_t attempt) {
    --replays_in_flight_;
    if (delivery.outcome == Delivery::Outcome::unconfirmed) return;
    const bool sent = delivery.outcome == Delivery::Outcome::sent;
    (sent ? world_.metrics.replays_sent : world_.metrics.replays_failed).Increment();
    settled_replays_.emplace_back(attempt, std::move(delivery));
}

void Relay::reject(Delivery& delivery) {
    const Ticket ticket = number_of(delivery.token);
    const auto event = window_.event_id(ticket);
    source_.reject(event, delivery.error, false);
    world_.metrics.rejected.Increment();
    log::error("an event cannot be sent and became a dead letter",
               {{"event", event}, {"topic", delivery.topic}, {"error", delivery.error}});
    for (const auto& held : gate_.block(ticket)) park(held.ticket, held.event());

    if (publisher_.broken()) return;  // read and judged again, by then as one that is decided
    // The copy goes out before the cursor passes the event: a stop in between sends it again.
    if (settings_.dlq_topic.empty() || !delivery.message || carried_.uncopied.contains(event)) return settle(ticket);
    publish_copy(ticket, std::move(*delivery.message), delivery.error);
}

void Relay::publish_copy(Ticket ticket, Message copy, const std::string& error) {
    copy.headers.emplace_back("oms_error", error);
    copy.headers.emplace_back("oms_original_topic", copy.topic);
    copy.topic = settings_.dlq_topic;
    publisher_.publish(make_token(Sending::dead_copy, ticket), copy);
    handed_over(make_token(Sending::dead_copy, ticket));
}

/// Stops sending and learns, for a bounded time, what became of messages that were on their way.
/// Only acknowledgements count: whatever would need the database is read and judged again.
void Relay::salvage() {
    rejected_.clear();
    passed_.clear();
    settled_replays_.clear();
    if (transactions_ != nullptr) return abandon();
    publisher_.drop_queued();
    const auto deadline = world_.clock.now() + salvage_time;
    for (;;) {
        for (auto& delivery : publisher_.deliveries()) {
            --on_the_way_;
            if (sending_of(delivery.token) != Sending::event) continue;
            if (delivery.outcome == Delivery::Outcome::sent) after_event(delivery, number_of(delivery.token));
            if (delivery.outcome == Delivery::Outcome::unconfirmed) world_.metrics.unconfirmed.Increment();
        }
        const auto now = world_.clock.now();
        if (on_the_way_ == 0 || now >= deadline) break;
        const std::array fds = {publisher_.wake_fd()};
        world_.waiter.wait(fds, deadline - now);
    }
    passed_.clear();
}

}  // namespace oms::relay
