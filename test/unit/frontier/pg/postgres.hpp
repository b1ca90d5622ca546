// The words of the server that src/pg/frontier.cpp uses, for a server that is a model (server.hpp): it comes before the real header on the include
// path.
#pragma once

#include <cstdint>

using TransactionId = std::uint32_t;
inline constexpr TransactionId InvalidTransactionId = 0;
inline constexpr TransactionId FirstNormalTransactionId = 3;

struct FullTransactionId {
    std::uint64_t value;
};

struct SnapshotData {
    TransactionId xmin, xmax;
    const TransactionId* xip;
    std::uint32_t xcnt;
};
using Snapshot = SnapshotData*;

constexpr bool TransactionIdIsValid(TransactionId xid) { return xid != InvalidTransactionId; }
// Ids wrap around: what is less than half the circle behind is older.
constexpr bool TransactionIdPrecedes(TransactionId a, TransactionId b) { return static_cast<std::int32_t>(a - b) < 0; }
constexpr bool TransactionIdFollowsOrEquals(TransactionId a, TransactionId b) { return !TransactionIdPrecedes(a, b); }
constexpr TransactionId XidFromFullTransactionId(FullTransactionId full) {
    return static_cast<TransactionId>(full.value);
}

FullTransactionId ReadNextFullTransactionId();
Snapshot GetLatestSnapshot();
Snapshot RegisterSnapshot(Snapshot snapshot);
void UnregisterSnapshot(Snapshot snapshot);
bool TransactionIdIsCurrentTransactionId(TransactionId xid);
TransactionId GetTopTransactionId();
