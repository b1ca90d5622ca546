// Until the broker has acknowledged a first message of this producer in a partition, no second one is on its way there.
//
// An idempotent producer has several requests on the way, and trusts the broker to refuse those behind one that failed:
// their sequence numbers do not follow. A broker can tell only where it knows the producer. In a partition that has
// nothing of him it takes whatever comes first: when his first request fails and may be repeated (no leader yet, too few
// replicas), and the second one meets the partition a moment later and is taken, the first is lost, and librdkafka
// reports it as acknowledged, because what came after it was. Brokers also forget a producer who has been silent for long
// (producer.id.expiration.ms, a day as a rule): a partition without an acknowledgement for an hour is entered anew.
//
// One gate for each topic of a producer. The partitioner asks in the thread that produces, and for messages that came
// before the topic was known in one of librdkafka's; all else is of the thread that produces.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "relay/ports.hpp"
#include "runtime/clock.hpp"

namespace oms::kafka {

class PartitionGate {
  public:
    struct Held {
        relay::Token token = 0;
        relay::Message message;
    };
    enum class Entry { admitted, must_wait, topic_unknown };

    /// For the partitioner: true when the message may go into the partition now.
    bool ask(relay::Token token, std::int32_t partition);

    /// Whether anything may be offered to the client at all: while nobody knows the partitions, one message at a time.
    bool admits() const noexcept { return !scout_; }
    /// Around the call that hands a message to the client: what did the partitioner say?
    void offer(relay::Token token, runtime::Clock::time_point now);
    Entry offered();
    /// The message was handed over although there was no partitioner to ask: the topic is not known yet.
    void send_ahead(relay::Token token) { scout_ = token; }
    /// The offered message was not taken, whatever the gate had said.
    void withdraw();

    /// Keeps a message that must wait: behind the partition of the last offer, or for the partitions to be known.
    void hold(Held held);
    /// A message was answered, `sent` or not. Returns those that may be offered again, in their order.
    std::vector<Held> answered(relay::Token token, std::int32_t partition, bool sent, runtime::Clock::time_point now);
    /// Returns all that wait, and forgets them.
    std::vector<Held> give_up();

  private:
    struct Partition {
        bool open(runtime::Clock::time_point now) const noexcept;
        std::optional<runtime::Clock::time_point> acknowledged;
        std::optional<relay::Token> opener;  // the first message, on its way
    };
    struct Offer {
        relay::Token token = 0;
        Entry entry = Entry::topic_unknown;
        std::int32_t partition = nowhere;
        runtime::Clock::time_point now{};
    };
    static constexpr std::int32_t nowhere = -1;

    std::mutex mutex_;  // for what the partitioner works on
    std::vector<Partition> partitions_;
    std::size_t opening_ = 0;
    std::thread::id producing_;
    Offer offer_;

    std::optional<relay::Token> scout_;
    std::map<std::int32_t, std::vector<Held>> held_;
};

}  // namespace oms::kafka
