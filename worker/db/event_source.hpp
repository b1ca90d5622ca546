// The relay's EventSource on PostgreSQL: each call is one function of the schema oms.
#pragma once

#include <memory>
#include <optional>

#include "db/connection.hpp"
#include "db/contract.hpp"
#include "db/listener.hpp"
#include "relay/ports.hpp"

namespace oms::db {

struct ReaderSettings {
    Target target;
    std::string reader;
    std::vector<std::string> topics;  // of a reader that has to be created
    std::string start_at;
    runtime::Clock::duration session_lease{};
};

class EventSource final : public relay::EventSource {
  public:
    /// Connects, refuses a pooler, creates the reader when it does not exist.
    EventSource(const ReaderSettings& settings, const runtime::Stop& stop);

    bool attach(runtime::Clock::duration wait) override;
    void detach() override;
    relay::Batch read(std::size_t max_events, std::size_t max_bytes) override;
    void prefetch(std::size_t max_events, std::size_t max_bytes) override;
    void commit(relay::EventId position, std::span<const relay::Receipt> receipts) override;
    std::string identity() override;
    relay::Bookmark bookmark(std::optional<relay::EventId> last) override;
    relay::Resumption resume(std::string_view bookmark) override;
    std::vector<relay::Decided> decided_ahead() override;
    bool arm_doorbell() override;
    void disarm_doorbell() override;
    bool take_ring() override { return listener_.take_ring(); }
    bool reject(relay::EventId event, std::string_view error, bool parked) override;
    relay::ReplayBatch take_replays(std::size_t max_events) override;
    void settle_replay(std::int64_t attempt_id, bool sent, std::string_view error) override;
    void keep_alive() override;
    std::vector<relay::TopicPolicy> topic_policies() override;
    std::vector<relay::BlockedKey> blocked_keys() override;
    int wake_fd() const override { return connection_.socket(); }

  private:
    void create_reader_if_missing();
    void start_read(std::size_t max_events, std::size_t max_bytes);
    void record(std::span<const relay::Receipt> receipts);
    Result run(const Statement& statement, Arguments arguments = {});

    const ReaderSettings& settings_;
    const runtime::Stop& stop_;
    Connection connection_;
    Contract contract_;
    Listener listener_;
    bool read_started_ = false;         // a read runs in the server
    std::optional<Result> read_ahead_;  // its result, fetched because another statement had to run
};

class EventSources final : public relay::EventSources {
  public:
    EventSources(ReaderSettings settings, const runtime::Stop& stop) : settings_(std::move(settings)), stop_(stop) {}
    std::unique_ptr<relay::EventSource> open() override { return std::make_unique<EventSource>(settings_, stop_); }

  private:
    ReaderSettings settings_;
    const runtime::Stop& stop_;
};

}  // namespace oms::db
