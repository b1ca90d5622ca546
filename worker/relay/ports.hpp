// What the relay needs from a database and from a broker, in terms of neither.
//
// A session (EventSource) and a producer (Publisher) are objects that live as long as the thing they
// stand for: when a session is lost or a producer is broken for good, the object is destroyed and the
// factory makes a new one. Every call may throw; a throw means that the object is of no use any more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/clock.hpp"
#include "runtime/doorbell.hpp"
#include "runtime/refused.hpp"

namespace oms::relay {

using EventId = std::int64_t;

/// One event of the log. The views live as long as the batch that the event came in.
struct Event {
    EventId id = 0;
    std::string_view aggregate_type;
    std::string_view aggregate_id;
    std::int64_t seq = 0;
    std::string_view type;
    std::string_view topic;  // empty: belongs to the timeline only, is not delivered
    std::string_view key;
    std::string_view payload;      // JSON text
    std::string_view headers;      // JSON object
    std::string_view occurred_at;  // RFC 3339 but for the separator, e.g. 2024-01-31 10:00:00.25+00

    std::size_t bytes() const noexcept { return payload.size() + headers.size() + key.size(); }
};

struct Batch {
    std::shared_ptr<const void> storage;  // what the views point into
    std::vector<Event> events;
};

struct Replay {
    std::int64_t attempt_id = 0;
    Event event;
};

struct ReplayBatch {
    std::shared_ptr<const void> storage;
    std::vector<Replay> replays;
};

struct Receipt {
    EventId event_id = 0;
    std::string topic;
    std::int32_t partition = 0;
    std::int64_t offset = 0;
    std::int64_t broker_time_ms = 0;
};

/// What the owner decided for one topic.
struct TopicPolicy {
    std::string topic;
    bool block_key = false;  // a rejected event holds the later ones of its key back
    bool receipts = false;
};

struct BlockedKey {
    std::string topic;
    std::string key;
};

/// Where the reader stands, written down by the database so that it can be kept elsewhere.
struct Bookmark {
    std::string text;  // means something to the database alone
    // What people want to know of it:
    std::string cluster;
    std::string database;
    std::int64_t timeline = 0;
    std::string wal;
};

struct Resumption {
    bool refused = false;  // the history of the database does not have that place: the stored cursor counts
    std::string reason;
};

/// What was decided of an event that the stored cursor has not passed. Read again, it is not to be sent.
struct Decided {
    EventId event = 0;
    std::string topic;
    std::string key;
    std::string error;
    bool parked = false;
};

/// A session with the database that can own the reader, and sleep at the log's doorbell.
class EventSource : public runtime::Bell {
  public:
    /// Becomes the owner of the reader, waiting up to `wait` for another one to leave. A fresh owner
    /// reads from the stored cursor.
    virtual bool attach(runtime::Clock::duration wait) = 0;
    /// Gives the reader back and forgets what was read ahead.
    virtual void detach() = 0;

    /// Returns the next events behind what this session read last, at most `max_events` of about
    /// `max_bytes`; none when there are none.
    virtual Batch read(std::size_t max_events, std::size_t max_bytes) = 0;
    /// Starts the next read in the background, so that the database works while the batch is
    /// published. The next read() returns its result whatever its own arguments are.
    virtual void prefetch(std::size_t max_events, std::size_t max_bytes) = 0;

    /// Records receipts and moves the cursor behind the event `position`, in one transaction.
    virtual void commit(EventId position, std::span<const Receipt> receipts) = 0;

    /// Names the reader among those of all databases.
    virtual std::string identity() = 0;
    /// Writes down the place behind the event `last`, or behind everything this session has read. Everything it depends on survives a crash of the database.
    virtual Bookmark bookmark(std::optional<EventId> last) = 0;
    /// Moves the cursor on to a place that was written down; only before the first read. Also proves that this session
    /// still owns the reader.
    virtual Resumption resume(std::string_view bookmark) = 0;
    virtual std::vector<Decided> decided_ahead() = 0;

    /// Commits the event as a dead letter. With `parked`, as one that waits behind a dead letter of its
    /// key: false then means that nothing holds the key back any more, and the event is to be published.
    virtual bool reject(EventId event, std::string_view error, bool parked) = 0;

    /// Returns replays that are asked for and not settled, in key order. It returns unsettled ones
    /// again, so it is only called while none is in flight.
    virtual ReplayBatch take_replays(std::size_t max_events) = 0;
    virtual void settle_replay(std::int64_t attempt_id, bool sent, std::string_view error) = 0;

    /// Shows the database that the owner lives; a silent one loses its session after the lease.
    virtual void keep_alive() = 0;

    virtual std::vector<TopicPolicy> topic_policies() = 0;
    virtual std::vector<BlockedKey> blocked_keys() = 0;

    /// Readable when something arrived from the database.
    virtual int wake_fd() const = 0;
};

class EventSources {
  public:
    virtual ~EventSources() = default;
    /// Opens a session, or throws; runtime::Refused when no attempt can succeed.
    virtual std::unique_ptr<EventSource> open() = 0;
};

/// Which message a delivery speaks of: chosen by the relay, handed back by the publisher.
using Token = std::uint64_t;

/// A message as it goes to the broker, owning its text.
struct Message {
    std::string topic;
    std::string key;
    std::string payload;
    std::vector<std::pair<std::string, std::string>> headers;
};

struct Delivery {
    enum class Outcome {
        sent,
        rejected,     // can never be sent: the message's own fault
        unconfirmed,  // given up by the producer, whose fault it is: read again
    };
    Token token = 0;
    Outcome outcome = Outcome::sent;
    std::string error;
    std::int32_t partition = -1;
    std::int64_t offset = -1;
    std::int64_t broker_time_ms = 0;
    double seconds = 0;                // from publish() to the answer
    std::string_view topic;            // lives as long as the publisher
    std::unique_ptr<Message> message;  // when rejected: what it was, for the dead letter topic
};

/// The cursor as it stands beside the messages in the broker.
struct StoredCursor {
    Bookmark place;
    std::vector<std::int64_t> replays;  // attempts whose messages came with it
};

/// What a producer can do that writes in transactions: consumers of committed messages see all of one or nothing. A
/// transaction begins with the first message after the last commit. One that failed makes the producer broken.
class Transactions {
  public:
    virtual ~Transactions() = default;

    /// Shuts out every earlier producer of the same identity, ends its transaction, and reads the cursor of the last one
    /// that was committed. False: not done within `patience`, call again.
    virtual bool take_over(runtime::Clock::duration patience) = 0;
    virtual const std::optional<StoredCursor>& stored() const = 0;

    /// Hands the cursor over, as part of the transaction; answered by a delivery like any message.
    virtual void store(Token token, const StoredCursor& cursor) = 0;
    /// Makes the transaction visible, when all its messages were answered. False: not yet, call again.
    virtual bool commit(runtime::Clock::duration patience) = 0;
    /// Gives the transaction up, and the producer with it; what was not answered is not answered any more.
    virtual void abort(runtime::Clock::duration patience) = 0;

    /// Why the transaction failed, when one of its messages is to blame and no delivery says which.
    virtual std::string refusal() const = 0;
};

/// A producer. Messages of one key arrive in the order of the calls.
class Publisher {
  public:
    virtual ~Publisher() = default;

    /// Hands a message over; does not wait. Each is answered by exactly one delivery, also when it is
    /// refused on the spot. The relay bounds what is in flight, so a full queue is an error (a throw).
    virtual void publish(Token token, const Event& event) = 0;
    virtual void publish(Token token, const Message& message) = 0;

    /// The message that publish() would send for this event.
    virtual Message message_of(const Event& event) = 0;

    /// Returns the deliveries that arrived, without waiting.
    virtual std::vector<Delivery> deliveries() = 0;

    /// True when the producer is broken for good. It never recovers.
    virtual bool broken() const = 0;

    /// Forgets what has not been written to the network yet: those messages are answered as
    /// unconfirmed. What is on its way stays in doubt and is answered when the broker does.
    virtual void drop_queued() = 0;

    /// Readable when deliveries may have arrived.
    virtual int wake_fd() const = 0;

    /// Nothing for a producer that delivers at least once.
    virtual Transactions* transactions() { return nullptr; }
};

class Publishers {
  public:
    virtual ~Publishers() = default;
    /// True when the producers write in transactions. They have to be told who they are.
    virtual bool transactional() const { return false; }
    virtual std::unique_ptr<Publisher> open(const std::string& identity) = 0;
};

}  // namespace oms::relay
