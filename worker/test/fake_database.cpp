#include "test/fake_database.hpp"

#include <algorithm>

namespace oms::test {
namespace {

relay::Event event_of(const Row& row) {
    relay::Event event;
    event.id = row.id;
    event.aggregate_type = "order";
    event.aggregate_id = row.key;
    event.seq = row.seq;
    event.type = "order.created";
    event.topic = row.topic;
    event.key = row.key;
    event.payload = row.payload;
    event.headers = "{}";
    event.occurred_at = "2024-01-31 10:00:00.25+00";
    return event;
}

}  // namespace

void FakeDatabase::begin_commit() {
    if (bell_holder) {
        ++notifications;  // queued now, heard when committed
    } else {
        ++shared_bell;
    }
}

void FakeDatabase::finish_commit(const std::string& key, const std::string& topic) {
    const auto seq = std::count_if(rows.begin(), rows.end(), [&](const Row& row) { return row.key == key; });
    rows.push_back({static_cast<EventId>(rows.size()) + 1, seq + 1, key, topic, "{}"});
    if (notifications > 0) {
        --notifications;
        rung = true;
    } else {
        --shared_bell;
    }
}

EventId FakeDatabase::append(const std::string& key, const std::string& topic, const std::string& payload) {
    begin_commit();
    finish_commit(key, topic);
    rows.back().payload = payload;
    return rows.back().id;
}

void FakeDatabase::enter(int session, const char* name) {
    trace.emplace_back(name);
    if (lost_.contains(session)) throw SessionLost("the session is gone");
    if (on_call) on_call(name);
    if (lost_.contains(session)) throw SessionLost("the session was cut");
    for (const auto& fault : faults)
        if (fault.at_call == calls() && fault.when == When::before) {
            lose_session();
            throw SessionLost("cut before the call");
        }
}

void FakeDatabase::leave(int) {
    for (const auto& fault : faults)
        if (fault.at_call == calls() && fault.when == When::after) {
            lose_session();
            throw SessionLost("cut after the call");
        }
}

void FakeDatabase::lose_session() {
    for (int session = 1; session <= sessions; ++session) lost_.insert(session);
    owner.reset();
    bell_holder.reset();
    rung = false;  // notifications belong to the session that listened
}

FakeSession::FakeSession(FakeDatabase& db) : db_(db), id_(++db.sessions) {
    db_.call(id_, "open", [] {});
}

FakeSession::~FakeSession() {
    if (db_.owner == id_) db_.owner.reset();
    if (db_.bell_holder == id_) db_.bell_holder.reset();
}

bool FakeSession::attach(runtime::Clock::duration) {
    return db_.call(id_, "attach", [&] {
        if (db_.owner && db_.owner != id_) return false;
        db_.owner = id_;
        read_to_ = db_.cursor;
        return true;
    });
}

void FakeSession::detach() {
    db_.call(id_, "detach", [&] {
        db_.owner.reset();
        ahead_.reset();
    });
}

relay::Batch FakeSession::rows_behind(std::size_t max_events) {
    auto storage = std::make_shared<std::vector<Row>>();
    for (const auto& row : db_.rows)
        if (row.id > read_to_ && storage->size() < max_events) storage->push_back(row);
    relay::Batch batch;
    for (const auto& row : *storage) batch.events.push_back(event_of(row));
    if (!storage->empty()) read_to_ = storage->back().id;
    batch.storage = std::move(storage);
    return batch;
}

relay::Batch FakeSession::read(std::size_t max_events, std::size_t) {
    return db_.call(id_, "read", [&] {
        if (db_.owner != id_) throw std::logic_error("read without owning the reader");
        if (!ahead_) return rows_behind(max_events);
        auto batch = std::move(*ahead_);
        ahead_.reset();
        return batch;
    });
}

void FakeSession::prefetch(std::size_t max_events, std::size_t) {
    db_.call(id_, "prefetch", [&] { ahead_ = rows_behind(max_events); });
}

void FakeSession::commit(EventId position, std::span<const relay::Receipt> receipts) {
    db_.call(id_, "commit", [&] {
        if (db_.owner != id_) throw std::logic_error("commit without owning the reader");
        if (position > read_to_) throw std::logic_error("commit of what was not read");
        db_.cursor = position;
        db_.receipts.insert(db_.receipts.end(), receipts.begin(), receipts.end());
    });
}

std::string FakeSession::identity() { return "fake"; }

relay::Bookmark FakeSession::bookmark(std::optional<EventId> last) {
    return db_.call(id_, "bookmark", [&] {
        if (last.value_or(0) > read_to_) throw std::logic_error("bookmark behind what was not read");
        relay::Bookmark place;
        place.text = std::to_string(db_.history) + " " + std::to_string(last.value_or(read_to_));
        return place;
    });
}

relay::Resumption FakeSession::resume(std::string_view bookmark) {
    return db_.call(id_, "resume", [&]() -> relay::Resumption {
        if (db_.owner != id_) throw std::logic_error("resume without owning the reader");
        const auto space = bookmark.find(' ');
        if (bookmark.substr(0, space) != std::to_string(db_.history)) return {true, "another history"};
        db_.cursor = std::max<EventId>(db_.cursor, std::stoll(std::string(bookmark.substr(space + 1))));
        read_to_ = db_.cursor;
        return {false, ""};
    });
}

std::vector<relay::Decided> FakeSession::decided_ahead() {
    return db_.call(id_, "decided_ahead", [&] {
        std::vector<relay::Decided> decided;
        const auto add = [&](EventId event, const std::string& error, bool parked) {
            const auto& row = db_.rows[static_cast<std::size_t>(event) - 1];
            if (event > db_.cursor) decided.push_back({event, row.topic, row.key, error, parked});
        };
        for (const auto& [event, error] : db_.dead) add(event, error, false);
        for (const auto event : db_.parked) add(event, "parked", true);
        return decided;
    });
}

bool FakeSession::arm_doorbell() {
    return db_.call(id_, "arm", [&] {
        if (db_.shared_bell > 0) return false;
        db_.bell_holder = id_;
        return true;
    });
}

void FakeSession::disarm_doorbell() {
    db_.call(id_, "disarm", [&] { db_.bell_holder.reset(); });
}

bool FakeSession::take_ring() {
    return db_.call(id_, "ring", [&] { return std::exchange(db_.rung, false); });
}

bool FakeSession::reject(EventId event, std::string_view error, bool parked) {
    return db_.call(id_, parked ? "park" : "reject", [&] {
        const auto& row = db_.rows[static_cast<std::size_t>(event) - 1];
        const auto holds = [&](const relay::BlockedKey& b) { return b.topic == row.topic && b.key == row.key; };
        const bool blocked = std::any_of(db_.blocked.begin(), db_.blocked.end(), holds);
        if (parked && !blocked) return false;
        if (parked) {
            db_.parked.push_back(event);
            return true;
        }
        db_.dead[event] = error;
        const auto blocks = [&](const relay::TopicPolicy& p) { return p.topic == row.topic && p.block_key; };
        if (!blocked && std::any_of(db_.policies.begin(), db_.policies.end(), blocks))
            db_.blocked.push_back({row.topic, row.key});
        return true;
    });
}

relay::ReplayBatch FakeSession::take_replays(std::size_t max_events) {
    return db_.call(id_, "take_replays", [&] {
        auto storage = std::make_shared<std::vector<Row>>();
        relay::ReplayBatch batch;
        storage->reserve(db_.replays.size());
        for (const auto& [attempt, event] : db_.replays) {
            if (batch.replays.size() == max_events) break;
            storage->push_back(db_.rows[static_cast<std::size_t>(event) - 1]);
            batch.replays.push_back({attempt, event_of(storage->back())});
        }
        batch.storage = std::move(storage);
        return batch;
    });
}

void FakeSession::settle_replay(std::int64_t attempt_id, bool sent, std::string_view) {
    db_.call(id_, "settle_replay", [&] {
        db_.replays.erase(attempt_id);
        db_.settled_replays[attempt_id] = sent;
    });
}

void FakeSession::keep_alive() {
    db_.call(id_, "keep_alive", [] {});
}

std::vector<relay::TopicPolicy> FakeSession::topic_policies() {
    return db_.call(id_, "topic_policies", [&] { return db_.policies; });
}

std::vector<relay::BlockedKey> FakeSession::blocked_keys() {
    return db_.call(id_, "blocked_keys", [&] { return db_.blocked; });
}

}  // namespace oms::test
