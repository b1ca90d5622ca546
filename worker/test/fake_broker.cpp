#include "test/fake_broker.hpp"

#include <algorithm>

namespace oms::test {

using relay::Delivery;

// What is on the wire when a producer dies may or may not have been written: nobody is told. Of one key it is the
// first ones that were: a broker refuses a sequence number whose predecessor it has not seen.
FakePublisher::~FakePublisher() {
    broker_.current = nullptr;
    std::set<std::string> stopped;
    for (const auto& sent : on_wire_) {
        if (sent.refused || !broker_.up || stopped.contains(sent.written.key)) continue;
        if (broker_.random() % 2 == 0) {
            stopped.insert(sent.written.key);
            continue;
        }
        broker_.log.push_back(sent.written);
        broker_.in_doubt.insert(sent.written.event);
    }
    for (const auto& event : untold_) broker_.in_doubt.insert(event);
}

void FakePublisher::publish(relay::Token token, const relay::Event& event) {
    hand_over({token,
               {std::string(event.topic), std::string(event.key), event.id, {}},
               broker_.refuses(event),
               std::string(event.payload)});
}

void FakePublisher::publish(relay::Token token, const relay::Message& message) {
    hand_over({token,
               {message.topic, message.key, 0, message.headers},
               broker_.refused_topics.contains(message.topic),
               message.payload});
}

relay::Message FakePublisher::message_of(const relay::Event& event) {
    return {std::string(event.topic), std::string(event.key), std::string(event.payload), {}};
}

bool FakePublisher::take_over(runtime::Clock::duration) {
    if (!broker_.up) return false;
    stored_ = broker_.cursor;
    return true;
}

void FakePublisher::store(relay::Token token, const relay::StoredCursor& cursor) {
    to_store_ = cursor;
    hand_over({token, {"cursors", "fake", 0, {}}, false, cursor.place.text});
}

bool FakePublisher::commit(runtime::Clock::duration) {
    if (!queue_.empty() || !on_wire_.empty() || !answers_.empty()) throw std::logic_error("commit before the answers");
    if (!to_store_) throw std::logic_error("commit without a cursor");
    if (!broker_.up || broken_) return false;
    const bool fails = transaction_ == broker_.fail_commit_at;
    if (!fails || broker_.commit_anyway) {
        broker_.committed.insert(transaction_);
        broker_.cursor = to_store_;
    }
    broken_ = fails;
    to_store_.reset();
    transaction_ = 0;
    return !fails;
}

void FakePublisher::hand_over(Sent sent) {
    ++broker_.handed_over;
    if (broker_.transactional && transaction_ == 0) transaction_ = ++broker_.transactions;
    sent.written.transaction = transaction_;
    if (broker_.forbidden_topics.contains(sent.written.topic)) {
        refusal_ = "TOPIC_AUTHORIZATION_FAILED";
        broken_ = true;
    }
    if (broker_.break_after == 0) {
        broken_ = true;
        // Left in the wire list: in doubt for ever.
        while (!queue_.empty()) {
            answer(queue_.front(), Delivery::Outcome::unconfirmed);
            queue_.pop_front();
        }
    }
    if (broker_.break_after >= 0) --broker_.break_after;
    if (broken_) return answer(sent, Delivery::Outcome::unconfirmed);
    queue_.push_back(std::move(sent));
}

void FakePublisher::answer(const Sent& sent, Delivery::Outcome outcome) {
    Delivery delivery;
    delivery.token = sent.token;
    delivery.outcome = outcome;
    delivery.topic = "orders";
    delivery.offset = static_cast<std::int64_t>(broker_.log.size());
    delivery.partition = 0;
    if (outcome == Delivery::Outcome::rejected) {
        delivery.error = "MSG_SIZE_TOO_LARGE";
        delivery.message = std::make_unique<relay::Message>();
        delivery.message->topic = sent.written.topic;
        delivery.message->key = sent.written.key;
        delivery.message->payload = sent.payload;
    }
    answers_.push_back(std::move(delivery));
}

std::vector<Delivery> FakePublisher::deliveries() {
    if (broker_.up && !broken_) {
        // Some of what is on the wire is written: any of it, for keys live in partitions of their own; of one key only
        // the first, for a partition is written in order.
        std::vector<std::string> waiting;
        for (auto sent = on_wire_.begin(); sent != on_wire_.end();) {
            const bool first = std::find(waiting.begin(), waiting.end(), sent->written.key) == waiting.end();
            if (!first || broker_.random() % 3 == 0) {
                waiting.push_back(sent->written.key);
                ++sent;
                continue;
            }
            if (sent->refused && broker_.transactional) broken_ = true;  // the transaction is spoiled
            if (!sent->refused) {
                broker_.log.push_back(sent->written);
                untold_.push_back(sent->written.event);
            }
            answer(*sent, sent->refused ? Delivery::Outcome::rejected : Delivery::Outcome::sent);
            sent = on_wire_.erase(sent);
        }
        while (!queue_.empty() && on_wire_.size() < broker_.wire) {
            on_wire_.push_back(std::move(queue_.front()));
            queue_.pop_front();
        }
    }
    untold_.clear();
    return std::exchange(answers_, {});
}

void FakePublisher::drop_queued() {
    for (const auto& sent : queue_) answer(sent, Delivery::Outcome::unconfirmed);
    queue_.clear();
}

}  // namespace oms::test
