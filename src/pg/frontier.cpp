// What a session knows of a queue's front, and who may still change it.
#include "pg/frontier.hpp"

#include <algorithm>
#include <limits>

namespace oms::pg {

namespace {

bool in_progress(TransactionId xid, Snapshot snapshot) {
    if (TransactionIdIsCurrentTransactionId(xid)) return true;
    if (TransactionIdFollowsOrEquals(xid, snapshot->xmax)) return true;
    if (TransactionIdPrecedes(xid, snapshot->xmin)) return false;
    return std::find(snapshot->xip, snapshot->xip + snapshot->xcnt, xid) != snapshot->xip + snapshot->xcnt;
}

}  // namespace

void Frontier::reset(std::int64_t from) {
    *this = Frontier{};
    from_ = from;
    set_ = true;
}

std::int64_t Frontier::low_of(TransactionId xid) const {
    for (std::size_t i = 0; i < count_; ++i) {
        if (running_[i].xid == xid) return running_[i].low;
    }
    if (!TransactionIdIsValid(noted_xid_)) return from_;
    if (TransactionIdFollowsOrEquals(xid, noted_xid_)) return noted_key_ + 1;
    if (TransactionIdFollowsOrEquals(xid, tail_xid_)) return tail_low_;
    return from_;  // there was no room for it: the frontier has not passed what it may leave behind
}

void Frontier::remember(TransactionId xid, std::int64_t low) {
    for (std::size_t i = 0; i < count_; ++i) {
        if (running_[i].xid != xid) continue;
        running_[i].low = std::min(running_[i].low, low);
        return;
    }
    if (count_ < running_max) {
        running_[count_++] = {xid, low};
    } else {
        cap_ = std::min(cap_, low);
    }
}

Snapshot Frontier::begin_look(std::int64_t highest_key) {
    auto next_xid = XidFromFullTransactionId(ReadNextFullTransactionId());
    Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());

    // Who has ended since the last look gives back what he may have left behind.
    for (std::size_t i = 0; i < count_; ++i) {
        if (!in_progress(running_[i].xid, snapshot)) from_ = std::min(from_, running_[i].low);
    }
    bool had_tail = TransactionIdIsValid(noted_xid_) && TransactionIdPrecedes(tail_xid_, noted_xid_);
    if (had_tail && TransactionIdPrecedes(tail_xid_, snapshot->xmax)) from_ = std::min(from_, tail_low_);

    // Who is running now keeps his bound, or gets the note's.
    Frontier now;
    now.set_ = true;
    now.from_ = from_;
    now.cap_ = std::numeric_limits<std::int64_t>::max();
    for (std::uint32_t i = 0; i < snapshot->xcnt; ++i) now.remember(snapshot->xip[i], low_of(snapshot->xip[i]));
    for (std::size_t i = 0; i < count_; ++i) {
        bool unlisted = TransactionIdFollowsOrEquals(running_[i].xid, snapshot->xmax) ||
                        TransactionIdIsCurrentTransactionId(running_[i].xid);
        if (unlisted) now.remember(running_[i].xid, running_[i].low);
    }
    now.tail_xid_ = snapshot->xmax;
    now.tail_low_ = low_of(snapshot->xmax);
    now.noted_xid_ = next_xid;
    now.noted_key_ = highest_key;
    *this = now;
    return snapshot;
}

// Beside the row at hand it may have drawn keys of its own that are lower.
void Frontier::may_give_back(TransactionId xid, std::int64_t key) { remember(xid, std::min(key, low_of(xid))); }

void Frontier::met_holder(std::int64_t key, TransactionId holder) {
    if (TransactionIdIsValid(holder)) {
        may_give_back(holder, key);
    } else {
        cap_ = std::min(cap_, key);
    }
}

void Frontier::took(std::int64_t key) { may_give_back(GetTopTransactionId(), key); }

void Frontier::end_look(Snapshot snapshot, std::int64_t passed_until) {
    UnregisterSnapshot(snapshot);
    // Above the note nothing is known, and what there is no room to remember is not passed.
    std::int64_t behind = std::min(passed_until, noted_key_) + 1;
    from_ = std::max(from_, std::min(behind, cap_));
}

std::int64_t Frontier::settled() const {
    std::int64_t settled = std::min(from_, tail_low_);
    for (std::size_t i = 0; i < count_; ++i) settled = std::min(settled, running_[i].low);
    return settled;
}

}  // namespace oms::pg
