// The rivals: queues in tables, each with a relay that reads a batch, publishes it, waits for the acknowledgements, and settles it.
#include <array>
#include <csignal>
#include <memory>
#include <stdexcept>

#include "db/connection.hpp"
#include "db/event_rows.hpp"
#include "db/transaction.hpp"
#include "options.hpp"
#include "runtime/waiter.hpp"
#include "sender.hpp"

namespace oms::bench {
namespace {

volatile std::sig_atomic_t stopped = 0;

void stop_at_sigterm() {
    struct sigaction action {};
    action.sa_handler = [](int) { stopped = 1; };
    sigaction(SIGTERM, &action, nullptr);
}

/// A batch that was taken stays the taker's until it is settled.
class Queue {
  public:
    virtual ~Queue() = default;
    /// The next events, in the columns of the log.
    virtual db::Result take(std::size_t most) = 0;
    virtual void settle(std::string ids) = 0;
};

/// pgmq as its documentation says: read hides the messages for a while, delete ends them. The message is the payload, what else
/// belongs to the event travels in pgmq's own headers.
class Pgmq final : public Queue {
  public:
    explicit Pgmq(db::Connection& session) : session_(session) {}

    db::Result take(std::size_t most) override {
        static constexpr db::Statement read = {
            "pgmq_read",
            "SELECT msg_id, headers->>'aggregate_type', headers->>'aggregate_id', headers->>'seq', headers->>'type', "
            "headers->>'topic', headers->>'key', message, headers->'headers', headers->>'occurred_at' "
            "FROM pgmq.read('events', 60, $1)"};
        return session_.run(read, {most});
    }
    void settle(std::string ids) override {
        static constexpr db::Statement remove = {"pgmq_delete",
                                                 "SELECT count(*) FROM pgmq.delete('events', $1::bigint[])"};
        session_.run(remove, {std::move(ids)});
    }

  private:
    db::Connection& session_;
};

/// The outbox with a status column: rows are locked while they are published, and marked in the same transaction.
class SkipLocked final : public Queue {
  public:
    explicit SkipLocked(db::Connection& session) : session_(session) {}

    db::Result take(std::size_t most) override {
        static constexpr db::Statement lock = {"outbox_lock", "SELECT " OMS_EVENT_COLUMNS
                                                              " FROM rival.outbox WHERE status = 'pending' "
                                                              "ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED"};
        transaction_ = std::make_unique<db::Transaction>(session_);
        auto rows = session_.run(lock, {most});
        if (rows.rows() == 0) transaction_.reset();
        return rows;
    }
    void settle(std::string ids) override {
        static constexpr db::Statement mark = {
            "outbox_mark", "UPDATE rival.outbox SET status = 'sent', sent_at = clock_timestamp() WHERE id = ANY ($1)"};
        session_.run(mark, {std::move(ids)});
        transaction_->commit();
        transaction_.reset();
    }

  private:
    db::Connection& session_;
    std::unique_ptr<db::Transaction> transaction_;
};

std::unique_ptr<Queue> make_queue(const std::string& name, db::Connection& session) {
    if (name == "pgmq") return std::make_unique<Pgmq>(session);
    if (name == "skip_locked") return std::make_unique<SkipLocked>(session);
    throw std::invalid_argument("there is no queue " + name);
}

void publish(const db::Result& rows, kafka::CloudEvents& cloud_events, Sender& sender) {
    for (int row = 0; row < rows.rows(); ++row) {
        const auto event = db::event_of(rows, row);
        sender.send({event.topic, event.key, event.payload, cloud_events.headers_of(event)});
    }
    sender.settle();
}

std::string ids_of(const db::Result& rows) {
    db::ArrayText ids;
    for (int row = 0; row < rows.rows(); ++row) ids.add(rows.text(row, 0));
    return std::move(ids).finish();
}

db::Connection connect(const Options& options) {
    db::Connection session({.conninfo = options.database, .password = "", .application_name = "bench-kafka"});
    if (!options.channel.empty()) session.run_text(("LISTEN " + options.channel).c_str());
    return session;
}

/// Sleeps until somebody notifies, until the poller's time has come, or until SIGTERM.
void sleep(db::Connection& session, const Options& options) {
    // What was notified since the last look may lie in the library, where the socket does not show it.
    if (!options.channel.empty() && session.take_notification()) return;
    std::array<pollfd, 1> fds = {pollfd{options.channel.empty() ? -1 : session.socket(), POLLIN, 0}};
    runtime::poll_for(fds, std::chrono::milliseconds(options.every_ms));
    if (!options.channel.empty()) session.take_notification();
}

}  // namespace

void relay(const Options& options) {
    stop_at_sigterm();
    auto session = connect(options);
    const auto queue = make_queue(options.queue, session);
    Sender sender(options.brokers);
    kafka::CloudEvents cloud_events("/oms");
    while (!stopped) {
        const auto rows = queue->take(options.batch);
        if (rows.rows() == 0) {
            sleep(session, options);
            continue;
        }
        publish(rows, cloud_events, sender);
        queue->settle(ids_of(rows));
    }
}

void listen(const Options& options) {
    stop_at_sigterm();
    auto session = connect(options);
    while (!stopped) sleep(session, options);
}

}  // namespace oms::bench
