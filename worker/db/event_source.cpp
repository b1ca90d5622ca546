#include "db/event_source.hpp"

#include <array>
#include <chrono>
#include <ctime>

#include "db/event_rows.hpp"
#include "db/session.hpp"
#include "db/transaction.hpp"
#include "runtime/log.hpp"
#include "runtime/refused.hpp"

namespace oms::db {
namespace {

using relay::EventId;

constexpr Statement reader_exists = {"reader_exists", "SELECT 1 FROM oms.reader_status($1)"};
constexpr Statement create_reader = {"create_reader", "SELECT oms.create_reader($1, $2, $3)"};
constexpr Statement attach_reader = {"attach_reader", "SELECT oms.attach_reader($1, $2)"};
constexpr Statement detach_reader = {"detach_reader", "SELECT oms.detach_reader($1)"};
constexpr Statement read_events = {"read_events", "SELECT " OMS_EVENT_COLUMNS " FROM oms.read_events($1, $2)"};
constexpr Statement read_events_by_bytes = {"read_events_by_bytes",
                                            "SELECT " OMS_EVENT_COLUMNS " FROM oms.read_events($1, $2, $3)"};
// The cursor need not be durable at once: lost in a crash, it is older, and events are read again.
// So this commit does not wait for the disk. set_config with `true` ends with the transaction.
constexpr Statement commit_reader = {
    "commit_reader", "SELECT pg_catalog.set_config('synchronous_commit', 'off', true), oms.commit_reader($1, $2)"};
constexpr Statement reader_bookmark = {
    "reader_bookmark", "SELECT bookmark, system_identifier, database, timeline, wal FROM oms.reader_bookmark($1, $2)"};
constexpr Statement resume_reader = {"resume_reader", "SELECT outcome, reason FROM oms.resume_reader($1, $2)"};
constexpr Statement letters_ahead = {"dead_letters_ahead",
                                     "SELECT event_id, topic, key, error, parked FROM oms.dead_letters_ahead($1)"};
constexpr Statement doorbell_arm = {"doorbell_arm", "SELECT oms.doorbell_arm()"};
constexpr Statement doorbell_disarm = {"doorbell_disarm", "SELECT oms.doorbell_disarm()"};
constexpr Statement reject_event = {"reject_event", "SELECT oms.reject_event($1, $2, $3, 1)"};
constexpr Statement park_event = {"park_event", "SELECT oms.reject_event($1, $2, $3, 0, true) IS NOT NULL"};
constexpr Statement take_replay_rows = {"take_replays",
                                        "SELECT " OMS_EVENT_COLUMNS ", attempt_id FROM oms.take_replays($1, $2)"};
constexpr Statement settle_replay_row = {"settle_replay", "SELECT oms.settle_replay($1, $2, $3)"};
constexpr Statement record_receipts = {"record_receipts", "SELECT oms.record_receipts($1, $2, $3, $4, $5, $6)"};
constexpr Statement topic_policies_of = {"topic_policies",
                                         "SELECT topic, on_reject = 'block_key', receipts FROM oms.topic_policies()"};
constexpr Statement blocked_keys_of = {"blocked_keys", "SELECT topic, key FROM oms.blocked_keys($1)"};
constexpr Statement nothing = {"keep_alive", "SELECT 1"};

constexpr std::string_view invalid_argument = "OM001";
// The lease ends a session that is silent, but not one that blocks while it sends: a leader that hangs asleep is sent one
// notification for each commit, until nothing more goes down its socket. From there on only somebody else can end it.
constexpr Statement end_hung_owner = {
    "end_hung_owner",
    "SELECT pg_catalog.pg_terminate_backend(a.pid) FROM oms.reader_status($1) r "
    "JOIN pg_catalog.pg_stat_activity a ON a.pid = r.owner_pid "
    "WHERE a.usename = current_user AND (a.state <> 'active' OR a.wait_event = 'ClientWrite') "
    "AND a.state_change < pg_catalog.clock_timestamp() - pg_catalog.make_interval(secs => $2 / 1000.0)"};

constexpr int attempt_column = event_columns;

/// Milliseconds since 1970 as a literal of type timestamptz.
std::string timestamp_of(std::int64_t ms) {
    const std::time_t seconds = ms / 1000;
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    std::array<char, 32> text{};
    const auto size = std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S", &parts);
    const auto fraction = std::to_string(1000 + ms % 1000).substr(1);
    return std::string(text.data(), size) + "." + fraction + "+00";
}

}  // namespace

EventSource::EventSource(const ReaderSettings& settings, const runtime::Stop& stop)
    : settings_(settings),
      stop_(stop),
      connection_(open_session(settings.target, settings.session_lease)),
      contract_(Contract::of(connection_)),
      listener_(connection_, "LISTEN oms_doorbell") {
    if (!contract_.reading)
        throw Error(
            "the extension oms is not installed in this database, or offers no readers; "
            "hint: CREATE EXTENSION oms",
            "", Error::Session::alive, false);
    create_reader_if_missing();
    log::info("connected to the database", {{"server", connection_.peer()}});
}

void EventSource::create_reader_if_missing() {
    if (connection_.run(reader_exists, {settings_.reader}).rows() > 0) return;
    std::optional<std::string> topics;
    if (!settings_.topics.empty()) {
        ArrayText array;
        for (const auto& topic : settings_.topics) array.add(topic);
        topics = std::move(array).finish();
    }
    connection_.run(create_reader, {settings_.reader, topics, settings_.start_at});
    log::info("created the reader", {{"reader", settings_.reader}, {"start_at", settings_.start_at}});
}

/// Runs a statement; a read that was started ahead is brought home first, for a session does one
/// thing at a time.
Result EventSource::run(const Statement& statement, Arguments arguments) {
    if (read_started_) {
        read_ahead_ = connection_.finish();
        read_started_ = false;
    }
    return connection_.run(statement, arguments);
}

bool EventSource::attach(runtime::Clock::duration wait) {
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(wait).count();
    try {
        // What does not wait need not be interrupted: a worker that is to stop takes the reader once more to write down what it knows.
        const auto answer = ms == 0 ? connection_.run(attach_reader, {settings_.reader, ms})
                                    : connection_.run_unless(stop_, attach_reader, {settings_.reader, ms});
        if (answer.boolean(0, 0)) return true;
        const auto lease = std::chrono::duration_cast<std::chrono::milliseconds>(settings_.session_lease);
        if (connection_.run(end_hung_owner, {settings_.reader, lease.count()}).rows() > 0)
            log::warning("the leader was silent for longer than its lease; its session was ended", {});
        return false;
    } catch (const Interrupted&) {
        return false;
    }
}

void EventSource::detach() {
    run(detach_reader, {settings_.reader});
    read_ahead_.reset();
}

void EventSource::start_read(std::size_t max_events, std::size_t max_bytes) {
    if (contract_.reads_by_bytes)
        connection_.start(read_events_by_bytes, {settings_.reader, max_events, max_bytes});
    else
        connection_.start(read_events, {settings_.reader, max_events});
    read_started_ = true;
}

relay::Batch EventSource::read(std::size_t max_events, std::size_t max_bytes) {
    if (!read_ahead_) {
        if (!read_started_) start_read(max_events, max_bytes);
        read_ahead_ = connection_.finish();
        read_started_ = false;
    }
    auto rows = std::make_shared<const Result>(std::move(*read_ahead_));
    read_ahead_.reset();
    relay::Batch batch;
    batch.events.reserve(static_cast<std::size_t>(rows->rows()));
    for (int row = 0; row < rows->rows(); ++row) batch.events.push_back(event_of(*rows, row));
    batch.storage = std::move(rows);
    return batch;
}

void EventSource::prefetch(std::size_t max_events, std::size_t max_bytes) { start_read(max_events, max_bytes); }

void EventSource::commit(EventId position, std::span<const relay::Receipt> receipts) {
    if (receipts.empty() || !contract_.receipts) {
        run(commit_reader, {settings_.reader, position});
        return;
    }
    run(nothing);  // brings a started read home, outside the transaction
    Transaction transaction(connection_);
    record(receipts);
    connection_.run(commit_reader, {settings_.reader, position});
    transaction.commit();
}

void EventSource::record(std::span<const relay::Receipt> receipts) {
    ArrayText events, topics, partitions, offsets, times;
    for (const auto& receipt : receipts) {
        events.add(receipt.event_id);
        topics.add(receipt.topic);
        partitions.add(std::int64_t{receipt.partition});
        offsets.add(receipt.offset);
        times.add(timestamp_of(receipt.broker_time_ms));
    }
    connection_.run(record_receipts,
                    {settings_.reader, std::move(events).finish(), std::move(topics).finish(),
                     std::move(partitions).finish(), std::move(offsets).finish(), std::move(times).finish()});
}

std::string EventSource::identity() {
    if (!contract_.bookmarks)
        throw runtime::Refused("the extension oms of this database is too old for --delivery exactly_once");
    const auto here = run(reader_bookmark, {settings_.reader, std::nullopt});
    return std::string(here.text(0, 1)) + "-" + std::string(here.text(0, 2)) + "-" + settings_.reader;
}

relay::Bookmark EventSource::bookmark(std::optional<EventId> last) {
    const auto here = run(reader_bookmark, {settings_.reader, last ? Argument(*last) : Argument(std::nullopt)});
    return {std::string(here.text(0, 0)), std::string(here.text(0, 1)), std::string(here.text(0, 2)),
            here.number<std::int64_t>(0, 3), std::string(here.text(0, 4))};
}

relay::Resumption EventSource::resume(std::string_view bookmark) {
    try {
        const auto there = run(resume_reader, {settings_.reader, bookmark});
        return {there.text(0, 0) == "refused", std::string(there.text(0, 1))};
    } catch (const Error& error) {
        // A cursor that somebody else wrote is one more that is not to be trusted.
        if (error.sqlstate() != invalid_argument) throw;
        return {true, error.what()};
    }
}

std::vector<relay::Decided> EventSource::decided_ahead() {
    std::vector<relay::Decided> decided;
    if (!contract_.letters_ahead) return decided;
    const auto rows = run(letters_ahead, {settings_.reader});
    for (int row = 0; row < rows.rows(); ++row)
        decided.push_back({rows.number<EventId>(row, 0), std::string(rows.text(row, 1)), std::string(rows.text(row, 2)),
                           std::string(rows.text(row, 3)), rows.boolean(row, 4)});
    return decided;
}

bool EventSource::arm_doorbell() { return run(doorbell_arm).boolean(0, 0); }

void EventSource::disarm_doorbell() { run(doorbell_disarm); }

bool EventSource::reject(EventId event, std::string_view error, bool parked) {
    if (parked) {
        if (!contract_.parks) return false;
        return run(park_event, {settings_.reader, event, error}).boolean(0, 0);
    }
    run(reject_event, {settings_.reader, event, error});
    return true;
}

relay::ReplayBatch EventSource::take_replays(std::size_t max_events) {
    relay::ReplayBatch batch;
    if (!contract_.replays) {
        keep_alive();
        return batch;
    }
    auto rows = std::make_shared<const Result>(run(take_replay_rows, {settings_.reader, max_events}));
    for (int row = 0; row < rows->rows(); ++row)
        batch.replays.push_back({rows->number<std::int64_t>(row, attempt_column), event_of(*rows, row)});
    batch.storage = std::move(rows);
    return batch;
}

void EventSource::settle_replay(std::int64_t attempt_id, bool sent, std::string_view error) {
    const auto reason = sent ? Argument(std::nullopt) : Argument(error);
    run(settle_replay_row, {attempt_id, sent, reason});
}

void EventSource::keep_alive() { run(nothing); }

std::vector<relay::TopicPolicy> EventSource::topic_policies() {
    std::vector<relay::TopicPolicy> policies;
    if (!contract_.topic_policies) return policies;
    const auto rows = run(topic_policies_of);
    for (int row = 0; row < rows.rows(); ++row)
        policies.push_back({std::string(rows.text(row, 0)), rows.boolean(row, 1), rows.boolean(row, 2)});
    return policies;
}

std::vector<relay::BlockedKey> EventSource::blocked_keys() {
    std::vector<relay::BlockedKey> keys;
    if (!contract_.blocked_keys) return keys;
    const auto rows = run(blocked_keys_of, {settings_.reader});
    for (int row = 0; row < rows.rows(); ++row)
        keys.push_back({std::string(rows.text(row, 0)), std::string(rows.text(row, 1))});
    return keys;
}

}  // namespace oms::db
