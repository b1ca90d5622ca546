// The window: every event that was read and is not yet behind the stored cursor.
//
// Invariant: position() is the last event of the longest prefix, in the order read, of which every
// event is settled (acknowledged, or committed as a dead letter). Nothing unsettled is ever at or
// before it. The window also remembers which events are settled but not behind the *stored* cursor,
// so that after a lost session or a rebuilt producer they are recognised and not published again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_map>
#include <vector>

#include "relay/ports.hpp"

namespace oms::relay {

/// Numbers the events of one window in the order read.
using Ticket = std::uint64_t;

class Window {
  public:
    /// At most `capacity` events are kept; the caller reads no more while full().
    explicit Window(std::size_t capacity) : capacity_(capacity) {}

    /// Adds the next event read. False: it was settled before the last restart() and counts as settled
    /// at once; it must not be published.
    bool add(const Event& event, Ticket& ticket);

    /// Marks an event settled. Each ticket is settled once.
    void settle(Ticket ticket);

    /// The event up to which everything is settled, if that is news to the stored cursor.
    std::optional<EventId> position() const { return position_; }

    /// The stored cursor stands at position(): what is behind it need not be remembered.
    void committed();

    /// Reading starts again at the stored cursor: forgets the order, remembers what is settled. Tickets
    /// given out before mean nothing afterwards.
    void restart();

    /// True when there is something to remember after a restart: settled, and not behind the stored cursor.
    bool remembers() const noexcept { return !known_.empty(); }

    /// A read found nothing: every event behind the stored cursor has been seen, and what was
    /// remembered beyond that stands before the cursor (another worker has moved it).
    void caught_up() { known_.clear(); }

    std::size_t unsettled() const noexcept { return unsettled_; }
    std::size_t unsettled_bytes() const noexcept { return unsettled_bytes_; }
    /// All events kept, settled or not: what bounds the memory of the window.
    std::size_t events() const noexcept { return entries_.size() + behind_.size(); }
    bool full() const noexcept { return events() >= capacity_; }

    EventId event_id(Ticket ticket) const { return entry(ticket).id; }

  private:
    // Tells an event from another one that got the same id: after a promotion to a standby that had
    // lost transactions, ids are drawn again, and skipping such an event would lose it.
    using Fingerprint = std::uint64_t;
    static Fingerprint fingerprint(const Event& event) noexcept;

    struct Known {
        EventId id;
        Fingerprint fingerprint;
    };
    struct Entry {
        EventId id;
        Fingerprint fingerprint;
        std::uint32_t bytes;
        bool settled;
    };
    const Entry& entry(Ticket ticket) const { return entries_.at(ticket - first_); }
    void advance();

    std::size_t capacity_;
    Ticket first_ = 0;                                // the ticket of entries_.front()
    std::deque<Entry> entries_;                       // begins with an unsettled one, or is empty
    std::vector<Known> behind_;                       // settled prefix that the stored cursor has not passed
    std::unordered_map<EventId, Fingerprint> known_;  // settled before the last restart, not seen since
    std::optional<EventId> position_;
    std::size_t unsettled_ = 0;
    std::size_t unsettled_bytes_ = 0;
};

}  // namespace oms::relay
