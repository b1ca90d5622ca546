// A database in memory that plays the schema oms for the relay, keeps score, and fails on demand.
//
// One FakeDatabase outlives many sessions. Every call of a session passes through call(), which can
// throw before the effect (refused) or after it (in doubt); either way the session is dead then.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "relay/ports.hpp"

namespace oms::test {

using relay::EventId;

struct Row {
    EventId id = 0;
    std::int64_t seq = 0;
    std::string key;
    std::string topic;
    std::string payload;
};

class SessionLost : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

class FakeDatabase {
  public:
    enum class When { before, after };
    struct Fault {
        int at_call = -1;
        When when = When::before;
    };

    /// A producer's transaction with one event, committed at once. Rings like a real one: silently when it gets the
    /// bell, with a notification when the relay holds it.
    EventId append(const std::string& key, const std::string& topic = "orders", const std::string& payload = "{}");
    /// The same in two steps, for what happens between a producer's pre-commit and its commit.
    void begin_commit();
    void finish_commit(const std::string& key, const std::string& topic = "orders");

    /// Runs `effect` as call number calls()+1 of session `session`, with the faults asked for.
    template <typename F>
    auto call(int session, const char* name, F effect) {
        enter(session, name);
        if constexpr (std::is_void_v<decltype(effect())>) {
            effect();
            leave(session);
        } else {
            auto value = effect();
            leave(session);
            return value;
        }
    }

    void lose_session();
    int calls() const { return static_cast<int>(trace.size()); }

    // State, open to tests.
    std::vector<Row> rows;
    EventId cursor = 0;
    std::optional<int> owner;
    int sessions = 0;
    int shared_bell = 0;             // producers between pre-commit and commit
    std::optional<int> bell_holder;  // session that holds the bell
    bool rung = false;
    int notifications = 0;
    std::map<EventId, std::string> dead;  // error
    std::vector<EventId> parked;
    std::vector<relay::Receipt> receipts;
    std::map<std::int64_t, EventId> replays;  // attempt -> event, not settled
    std::map<std::int64_t, bool> settled_replays;
    std::vector<relay::TopicPolicy> policies;
    std::vector<relay::BlockedKey> blocked;
    int history = 1;                 // a bookmark of another one is not trusted
    std::vector<std::string> trace;  // names of the calls
    std::vector<Fault> faults;
    std::function<void(const std::string&)> on_call;  // after the entry is noted, before the effect

  private:
    void enter(int session, const char* name);
    void leave(int session);
    std::set<int> lost_;
};

class FakeSession final : public relay::EventSource {
  public:
    explicit FakeSession(FakeDatabase& db);
    ~FakeSession() override;

    bool attach(runtime::Clock::duration wait) override;
    void detach() override;
    relay::Batch read(std::size_t max_events, std::size_t max_bytes) override;
    void prefetch(std::size_t max_events, std::size_t max_bytes) override;
    void commit(EventId position, std::span<const relay::Receipt> receipts) override;
    std::string identity() override;
    relay::Bookmark bookmark(std::optional<EventId> last) override;
    relay::Resumption resume(std::string_view bookmark) override;
    std::vector<relay::Decided> decided_ahead() override;
    bool arm_doorbell() override;
    void disarm_doorbell() override;
    bool take_ring() override;
    bool reject(EventId event, std::string_view error, bool parked) override;
    relay::ReplayBatch take_replays(std::size_t max_events) override;
    void settle_replay(std::int64_t attempt_id, bool sent, std::string_view error) override;
    void keep_alive() override;
    std::vector<relay::TopicPolicy> topic_policies() override;
    std::vector<relay::BlockedKey> blocked_keys() override;
    int wake_fd() const override { return -1; }

  private:
    relay::Batch rows_behind(std::size_t max_events);

    FakeDatabase& db_;
    int id_;
    EventId read_to_ = 0;
    std::optional<relay::Batch> ahead_;
};

class FakeSessions final : public relay::EventSources {
  public:
    explicit FakeSessions(FakeDatabase& db) : db_(db) {}
    std::unique_ptr<relay::EventSource> open() override { return std::make_unique<FakeSession>(db_); }

  private:
    FakeDatabase& db_;
};

}  // namespace oms::test
