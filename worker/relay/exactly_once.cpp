// The relay's third part: delivering in transactions, the cursor in the same one as the messages.
//
// What differs from delivering at least once: the cursor that counts is the one in the broker, and the database's follows it.
// An acknowledgement settles nothing until its transaction is committed; a transaction that fails is given up with its
// producer, and the next one begins at the broker's cursor.
#include <stdexcept>
#include <utility>

#include "relay/relay.hpp"
#include "relay/token.hpp"
#include "runtime/log.hpp"

namespace oms::relay {
namespace {

using namespace std::chrono_literals;

// Calls into the client that block this thread: short, for a stop and the session's lease have to be looked after.
constexpr runtime::Clock::duration client_patience = 500ms;
constexpr runtime::Clock::duration pause_between = 50ms;
constexpr runtime::Clock::duration abort_patience = 2s;

}  // namespace

/// Shuts out earlier producers, then finds out where to go on. False: the broker is not ready, call again.
bool Relay::take_over() {
    world_.status.alive();
    take_deliveries();
    keep_session_alive();
    if (publisher_.broken()) return false;
    if (!transactions_->take_over(std::min(client_patience, settings_.floor))) {
        wait(pause_between);
        return false;
    }
    // In this order: had another worker become the owner, it would shut this one out after this one shut it out; but this
    // session would have been lost before, and the next statement tells.
    if (const auto& stored = transactions_->stored()) {
        go_on_behind(*stored);
    } else {
        world_.status.set_cursor("database: none is stored in Kafka");
        log::info("Kafka has no cursor of this reader: the position in the database counts", {});
        source_.keep_alive();
    }
    transaction_.emplace(world_.clock.now());
    transaction_->introduces = true;
    transaction_->ending = true;
    return true;
}

void Relay::go_on_behind(const StoredCursor& stored) {
    const auto resumption = source_.resume(stored.place.text);
    if (resumption.refused) {
        world_.status.set_cursor("database: " + resumption.reason);
        log::warning("the cursor in Kafka is not trusted: the position in the database counts",
                     {{"reason", resumption.reason},
                      {"cluster", stored.place.cluster},
                      {"timeline", stored.place.timeline},
                      {"wal", stored.place.wal}});
        return;
    }
    world_.status.set_cursor("kafka");
    log::info("going on at the cursor in Kafka", {{"wal", stored.place.wal}, {"database", resumption.reason}});
    for (const auto attempt : stored.replays) source_.settle_replay(attempt, true, "");
}

bool Relay::transaction_is_due() const {
    if (!transaction_) return false;
    return transaction_->ending || transaction_->caught_up || !transaction_->last_read || !has_room() ||
           carried_.suspicion.any() || world_.clock.now() >= transaction_->since + settings_.commit_interval;
}

/// One step towards the end of the transaction.
void Relay::end_transaction() {
    transaction_->ending = true;
    bell_.leave();
    if (transaction_->messages == 0 && !transaction_->introduces) {
        require_all_acknowledged();
        return committed();
    }
    const bool stored = transaction_->cursor_stored || store_cursor();
    if (!stored || on_the_way_ > 0) {
        source_.take_ring();
        return wait(settings_.floor);
    }
    if (publisher_.broken() || gave_up_) return;
    require_all_acknowledged();
    if (!transactions_->commit(std::min(client_patience, settings_.floor))) return wait(pause_between);
    world_.metrics.transactions_committed.Increment();
    committed();
}

/// Hands the cursor over as soon as it is known, which is before the acknowledgements unless those still change something: a
/// key's next event may be held back, a replay refused.
bool Relay::store_cursor() {
    const bool open = gate_.gates_any() || replays_in_flight_ > 0 || !transaction_->replays.empty();
    if (open && on_the_way_ > 0) return false;
    const auto last = transaction_->last_read ? transaction_->last_read : last_committed_;
    transactions_->store(make_token(Sending::cursor, 0), {source_.bookmark(last), transaction_->replays});
    ++on_the_way_;
    transaction_->cursor_stored = true;
    return true;
}

void Relay::require_all_acknowledged() const {
    if (transaction_->acknowledged.size() != window_.unsettled())
        throw std::logic_error("a transaction was to end before all its events were acknowledged");
}

void Relay::committed() {
    // First what cannot fail: with this the transaction is settled, whatever becomes of the statements below.
    auto done = std::move(*transaction_);
    transaction_.reset();
    for (const auto ticket : done.acknowledged) window_.settle(ticket);
    receipts_.insert(receipts_.end(), std::make_move_iterator(done.receipts.begin()),
                     std::make_move_iterator(done.receipts.end()));
    if (done.last_read) last_committed_ = done.last_read;
    if (!done.introduces) carried_.suspicion.passed();
    for (const auto attempt : done.replays) source_.settle_replay(attempt, true, "");
    if (!done.replays.empty()) look_for_replays_at_once();
    if (done.introduces) convict();
}

/// The cursor alone went through: the message that failed alone before is to blame for it.
void Relay::convict() {
    const auto culprit = carried_.suspicion.take_culprit();
    if (!culprit) return;
    switch (sending_of(culprit->message)) {
    case Sending::event:
        source_.reject(culprit->event, culprit->error, false);
        for (auto& decided : source_.decided_ahead())
            if (decided.event == culprit->event) decided_.insert_or_assign(culprit->event, std::move(decided));
        look_at_blocked_keys();
        world_.metrics.rejected.Increment();
        log::error("an event cannot be sent and became a dead letter",
                   {{"event", culprit->event}, {"error", culprit->error}});
        break;
    case Sending::dead_copy:
        carried_.uncopied.insert(culprit->event);
        log::error("the dead letter topic refuses a message; it is kept in oms.dead_letter",
                   {{"topic", settings_.dlq_topic}, {"error", culprit->error}});
        break;
    case Sending::replay:
        source_.settle_replay(static_cast<std::int64_t>(number_of(culprit->message)), false, culprit->error);
        world_.metrics.replays_failed.Increment();
        break;
    case Sending::cursor: break;
    }
}

void Relay::look_for_the_culprit() {
    const auto error = transactions_->refusal();
    if (!transaction_ || error.empty()) return;
    if (transaction_->introduces) return log::error("the cursor cannot be written to Kafka", {{"error", error}});
    if (transaction_->messages != 1) return carried_.suspicion.failed(transaction_->messages);
    const auto message = transaction_->last_message;
    const bool of_an_event = sending_of(message) != Sending::replay;
    carried_.suspicion.suspect({message, of_an_event ? window_.event_id(number_of(message)) : 0, error});
}

/// Gives the open transaction up; consumers of committed messages need not wait for it any longer.
void Relay::abandon() {
    if (!transaction_) return;
    world_.metrics.transactions_aborted.Increment();
    world_.metrics.unconfirmed.Increment(static_cast<double>(on_the_way_));
    transactions_->abort(abort_patience);
    transaction_.reset();
    on_the_way_ = 0;
}

}  // namespace oms::relay
