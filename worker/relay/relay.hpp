// The relay: reads events, hands them to the broker, moves the cursor behind what is acknowledged.
//
// One object lives as long as one producer in one session. Everything happens in the calling thread;
// reading never waits for acknowledgements, and every wait ends at a delivery, at news from the
// database, at the stop request, or at the next thing that is due.
//
// Invariants: the cursor never passes an event that is neither acknowledged nor committed as a dead
// letter; messages of one key are handed over in the order read; what is in flight is bounded.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "relay/key_gate.hpp"
#include "relay/ports.hpp"
#include "relay/transaction.hpp"
#include "relay/window.hpp"
#include "runtime/doorbell.hpp"
#include "runtime/metrics.hpp"
#include "runtime/status.hpp"
#include "runtime/stop.hpp"
#include "runtime/waiter.hpp"

namespace oms::relay {

using namespace std::chrono_literals;

struct RelaySettings {
    std::size_t batch = 1000;
    std::size_t in_flight_messages = 10000;
    std::size_t in_flight_bytes = 16u << 20;
    runtime::Clock::duration commit_interval = 100ms;
    runtime::Clock::duration floor = 5s;
    runtime::Clock::duration replay_interval = 2s;
    runtime::Clock::duration drain_timeout = 20s;
    std::string dlq_topic;
};

/// What outlives sessions and producers: the events that are settled but not behind the stored
/// cursor, and the receipts that are not written yet.
struct Carried {
    explicit Carried(std::size_t window_capacity) : window(window_capacity) {}
    Window window;
    std::vector<Receipt> receipts;
    Suspicion suspicion;
    std::unordered_set<EventId> uncopied;  // dead letters that the topic for them refuses as well
};

/// The surroundings of a relay; all of them outlive it.
struct World {
    runtime::Waiter& waiter;
    const runtime::Clock& clock;
    const runtime::Stop& stop;
    runtime::Metrics& metrics;
    runtime::Status& status;
};

class Relay {
  public:
    Relay(EventSource& source, Publisher& publisher, Carried& carried, World world, const RelaySettings& settings);

    enum class Outcome { stopped, producer_broken };

    /// Works until the stop is requested (flushes, moves the cursor, lets go of the reader) or the
    /// producer is broken (moves the cursor as far as it goes). Throws when the session is lost; what
    /// was acknowledged until then is in `carried`.
    Outcome run();

    /// True once a message was acknowledged: the relay is of use, back-off may start anew.
    bool delivered() const noexcept { return delivered_; }

  private:
    bool prepare();
    void turn();
    bool has_room() const;
    void read_and_publish();
    void pace(runtime::Clock::duration read_took);
    std::size_t most_to_read() const;
    void take_in(const Event& event);
    void pass_settled(const Event& event);
    void deliver(Ticket ticket, const Event& event);
    void pass_decided(Ticket ticket, const Event& event);
    void look_at_blocked_keys();
    void send(Ticket ticket, const Event& event);
    void handed_over(Token token);
    void park(Ticket ticket, const Event& event);
    bool parked(Ticket ticket, const Event& event);

    void take_deliveries();
    void settle(Ticket ticket);
    void after_event(Delivery& delivery, Ticket ticket);
    void after_replay(Delivery& delivery, std::int64_t attempt);
    void reject(Delivery& delivery);
    void publish_copy(Ticket ticket, Message copy, const std::string& error);
    void pass_gate(Ticket ticket);

    void look_after_replays();
    void look_for_replays_at_once() { replays_looked_for_ = world_.clock.now() - settings_.replay_interval; }
    void keep_session_alive();
    void write_cursor_if_due(bool now);
    void wait(runtime::Clock::duration longest);
    void show_gauges();

    void drain();
    bool is_drained() const;
    void salvage();

    // In transactions: exactly_once.cpp.
    bool take_over();
    void go_on_behind(const StoredCursor& stored);
    bool transaction_is_due() const;
    void end_transaction();
    bool store_cursor();
    void require_all_acknowledged() const;
    void committed();
    void abandon();
    void look_for_the_culprit();
    void convict();

    EventSource& source_;
    Publisher& publisher_;
    Transactions* const transactions_;  // none: at least once
    Carried& carried_;
    Window& window_;
    std::vector<Receipt>& receipts_;
    World world_;
    const RelaySettings& settings_;
    runtime::Doorbell bell_;
    KeyGate gate_;
    std::unordered_set<std::string> receipt_topics_;

    // Collected while deliveries are taken in, worked off afterwards: the acknowledgements of a whole
    // round are in the window before the first statement that can throw.
    std::vector<Delivery> rejected_;
    std::vector<std::pair<std::int64_t, Delivery>> settled_replays_;
    std::vector<Ticket> passed_;

    std::optional<Transaction> transaction_;
    std::optional<EventId> last_committed_;         // of what this session has read
    std::unordered_map<EventId, Decided> decided_;  // before this session, of what is to be read again

    std::size_t on_the_way_ = 0;  // handed to the publisher and not answered, whatever for
    std::size_t replays_in_flight_ = 0;
    std::size_t event_bytes_ = 512;  // of a typical recent event, to translate room into a count
    runtime::Clock::time_point next_read_{};
    runtime::Clock::time_point cursor_written_{};
    runtime::Clock::time_point replays_looked_for_{};
    bool delivered_ = false;
    bool gave_up_ = false;  // the producer gave a message back unconfirmed: only a restart keeps order
};

}  // namespace oms::relay
