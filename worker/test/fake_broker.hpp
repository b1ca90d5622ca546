// A broker in memory: partitions that keep what was written, and producers that can be slow, refuse, break or be cut off
// with messages on the wire.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "relay/ports.hpp"

namespace oms::test {

struct Written {
    std::string topic;
    std::string key;
    relay::EventId event;
    std::vector<std::pair<std::string, std::string>> headers;
    int transaction = 0;  // 0: none
};

class FakePublisher;

class FakeBroker {
  public:
    explicit FakeBroker(unsigned seed = 1) : random(seed) {}

    bool up = true;
    std::function<bool(const relay::Event&)> refuses = [](const relay::Event&) { return false; };
    std::set<std::string> refused_topics;  // for ready-made messages
    int break_after = -1;                  // the producer is broken for good after so many messages handed over
    std::size_t wire = 5;                  // messages on the way at a time
    std::mt19937 random;

    // Delivering exactly once.
    bool transactional = false;
    std::optional<relay::StoredCursor> cursor;  // of the last transaction that was committed
    std::set<int> committed;
    int transactions = 0;
    int fail_commit_at = -1;                 // the transaction of this number fails at its commit
    bool commit_anyway = false;              // without anybody being told
    std::set<std::string> forbidden_topics;  // fail their transaction, without a word about which message
    /// What a consumer of committed messages sees.
    bool visible(const Written& written) const {
        return written.transaction == 0 || committed.contains(written.transaction);
    }

    FakePublisher* current = nullptr;  // the producer that lives
    std::vector<Written> log;
    int producers = 0;
    int handed_over = 0;
    std::multiset<relay::EventId> in_doubt;  // written, but whoever sent it was never told
};

class FakePublisher final : public relay::Publisher, public relay::Transactions {
  public:
    explicit FakePublisher(FakeBroker& broker) : broker_(broker) {
        ++broker_.producers;
        broker_.current = this;
    }
    ~FakePublisher() override;

    void publish(relay::Token token, const relay::Event& event) override;
    void publish(relay::Token token, const relay::Message& message) override;
    relay::Message message_of(const relay::Event& event) override;
    std::vector<relay::Delivery> deliveries() override;
    relay::Transactions* transactions() override { return broker_.transactional ? this : nullptr; }
    bool take_over(runtime::Clock::duration) override;
    const std::optional<relay::StoredCursor>& stored() const override { return stored_; }
    void store(relay::Token token, const relay::StoredCursor& cursor) override;
    bool commit(runtime::Clock::duration) override;
    void abort(runtime::Clock::duration) override { broken_ = true; }
    std::string refusal() const override { return refusal_; }
    bool broken() const override { return broken_; }
    void drop_queued() override;
    int wake_fd() const override { return -1; }

    /// True when deliveries() would return something.
    bool has_news() const {
        return !answers_.empty() || (broker_.up && !broken_ && !(queue_.empty() && on_wire_.empty()));
    }

  private:
    struct Sent {
        relay::Token token;
        Written written;
        bool refused;
        std::string payload;
    };
    void hand_over(Sent sent);
    void answer(const Sent& sent, relay::Delivery::Outcome outcome);

    FakeBroker& broker_;
    std::deque<Sent> queue_;
    std::deque<Sent> on_wire_;
    std::vector<relay::Delivery> answers_;
    std::vector<relay::EventId> untold_;  // written; the answer was not fetched yet
    bool broken_ = false;
    int transaction_ = 0;
    std::optional<relay::StoredCursor> stored_;
    std::optional<relay::StoredCursor> to_store_;
    std::string refusal_;
};

class FakePublishers final : public relay::Publishers {
  public:
    explicit FakePublishers(FakeBroker& broker) : broker_(broker) {}
    bool transactional() const override { return broker_.transactional; }
    std::unique_ptr<relay::Publisher> open(const std::string&) override {
        return std::make_unique<FakePublisher>(broker_);
    }

  private:
    FakeBroker& broker_;
};

}  // namespace oms::test
