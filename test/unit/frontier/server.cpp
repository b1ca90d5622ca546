#include "server.hpp"

#include <algorithm>

namespace model {

Server* server = nullptr;

Server::Server(const Setting& setting, std::uint64_t seed)
    : setting_(setting), random_(seed), next_(setting.first_xid), latest_completed_(setting.first_xid - 1) {}

// Transactions are counted without end; three of each circle's ids are never given out.
TransactionId Server::xid_of(std::uint64_t transaction) {
    constexpr std::uint64_t circle = (std::uint64_t{1} << 32) - FirstNormalTransactionId;
    return static_cast<TransactionId>(FirstNormalTransactionId + (transaction - FirstNormalTransactionId) % circle);
}

std::uint64_t Server::begin() {
    running_[next_];
    return next_++;
}

void Server::end(std::uint64_t transaction, bool commit) {
    running_.erase(transaction);
    if (commit) committed_.insert(transaction);
    latest_completed_ = std::max(latest_completed_, transaction);
    if (transaction == own_) given_back_.clear();
    for (Row& row : rows_) {
        if (row.holder == transaction && !(commit && row.takes)) row.holder = 0;
    }
}

std::int64_t Server::draw() {
    if (setting_.keys == Keys::queue) return ++last_key_;
    return clock_ + up_to(6);
}

std::int64_t Server::highest_key() { return setting_.keys == Keys::queue ? last_key_ : clock_ - 1; }

void Server::act() {
    ++acts_;
    if (setting_.keys == Keys::clock && toss(0.4)) clock_ += up_to(2);
    const bool room = running_.size() < static_cast<std::size_t>(setting_.writers) + (own_ != 0 ? 1 : 0);
    std::vector<std::uint64_t> others;
    for (const auto& [transaction, state] : running_) {
        if (transaction != own_) others.push_back(transaction);
    }
    if (others.empty() || (room && toss(0.3))) {
        begin();
        return;
    }
    const std::uint64_t transaction = others[static_cast<std::size_t>(up_to(static_cast<int>(others.size()) - 1))];
    Running& state = running_[transaction];
    const int what = up_to(9);
    if (what < 3) {
        state.drawn.push_back(draw());
    } else if (what < 6 && !state.drawn.empty()) {
        const auto which = static_cast<std::size_t>(up_to(static_cast<int>(state.drawn.size()) - 1));
        rows_.push_back({state.drawn[which], transaction});
        state.drawn.erase(state.drawn.begin() + static_cast<std::ptrdiff_t>(which));
    } else if (what < 8 && !rows_.empty()) {
        Row& row = rows_[static_cast<std::size_t>(up_to(static_cast<int>(rows_.size()) - 1))];
        if (row.holder != 0 || !committed(row.inserted_by)) return;
        row.holder = transaction;
        row.takes = toss(0.7);
    } else {
        end(transaction, !toss(setting_.rolls_back));
    }
}

void Server::others_act(double bursts) {
    if (quiet) return;
    for (int i = toss(bursts) ? up_to(30) : up_to(2); i > 0; --i) act();
}

void Server::end_others() {
    while (running_.size() > (own_ != 0 ? 1U : 0U)) {
        const auto first = std::ranges::find_if(running_, [&](const auto& each) { return each.first != own_; });
        const std::uint64_t transaction = first->first;
        for (const std::int64_t key : first->second.drawn) rows_.push_back({key, transaction});
        end(transaction, !toss(setting_.rolls_back));
    }
}

std::uint64_t Server::own() {
    if (own_ == 0) own_ = begin();
    return own_;
}

void Server::insert_own() {
    const std::uint64_t transaction = own();
    rows_.push_back({draw(), transaction});
}

void Server::end_own(bool commit) {
    if (own_ != 0) end(own_, commit);
    own_ = 0;
    taken_.clear();
}

void Server::back_to_savepoint(std::size_t count) {
    while (taken_.size() > count) {
        rows_[taken_.back()].holder = 0;
        given_back_.insert(taken_.back());
        taken_.pop_back();
    }
}

Snapshot Server::snapshot() {
    listed_.clear();
    snapshot_running_.clear();
    snapshot_end_ = latest_completed_ + 1;
    for (const auto& [transaction, state] : running_) {
        if (transaction >= snapshot_end_ || transaction == own_) continue;
        listed_.push_back(xid_of(transaction));
        snapshot_running_.insert(transaction);
    }
    const std::uint64_t oldest = snapshot_running_.empty() ? snapshot_end_ : *snapshot_running_.begin();
    snapshot_ = {.xmin = xid_of(oldest),
                 .xmax = xid_of(snapshot_end_),
                 .xip = listed_.data(),
                 .xcnt = static_cast<std::uint32_t>(listed_.size())};
    return &snapshot_;
}

bool Server::sees(std::uint64_t transaction) const {
    if (transaction == own_) return true;
    return transaction < snapshot_end_ && !snapshot_running_.contains(transaction) && committed(transaction);
}

bool Server::is_free(std::size_t row) const { return rows_[row].holder == 0 && !given_back_.contains(row); }

bool Server::is_gone(const Row& row) const {
    if (!committed(row.inserted_by) && !runs(row.inserted_by)) return true;
    return row.holder != 0 && row.takes && committed(row.holder);
}

std::vector<std::int64_t> Server::keys_under_way() const {
    std::vector<std::int64_t> keys;
    for (const auto& [transaction, state] : running_) keys.insert(keys.end(), state.drawn.begin(), state.drawn.end());
    return keys;
}

}  // namespace model

// What src/pg/frontier.cpp calls. Others act between any two of these.
FullTransactionId ReadNextFullTransactionId() {
    model::server->others_act();
    const FullTransactionId next{model::server->next_xid()};
    model::server->others_act(0.5);
    return next;
}
Snapshot GetLatestSnapshot() { return model::server->snapshot(); }
Snapshot RegisterSnapshot(Snapshot snapshot) { return snapshot; }
void UnregisterSnapshot(Snapshot) {}
bool TransactionIdIsCurrentTransactionId(TransactionId xid) { return model::server->is_own(xid); }
TransactionId GetTopTransactionId() { return model::Server::xid_of(model::server->own()); }
