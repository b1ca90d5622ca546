// Rows of the log as events: one list of columns for every statement that returns them.
#pragma once

#include "db/result.hpp"
#include "relay/ports.hpp"

// A macro, so that the statements stay literals: the list is part of several of them.
#define OMS_EVENT_COLUMNS "id, aggregate_type, aggregate_id, seq, type, topic, key, payload, headers, occurred_at"

namespace oms::db {

constexpr int event_columns = 10;

/// The views live as long as the rows.
inline relay::Event event_of(const Result& rows, int row) {
    relay::Event event;
    event.id = rows.number<relay::EventId>(row, 0);
    event.aggregate_type = rows.text(row, 1);
    event.aggregate_id = rows.text(row, 2);
    event.seq = rows.is_null(row, 3) ? 0 : rows.number<std::int64_t>(row, 3);
    event.type = rows.text(row, 4);
    event.topic = rows.text(row, 5);
    // Without a key of its own an event is ordered with its aggregate.
    event.key = rows.is_null(row, 6) ? event.aggregate_id : rows.text(row, 6);
    event.payload = rows.text(row, 7);
    event.headers = rows.text(row, 8);
    event.occurred_at = rows.text(row, 9);
    return event;
}

}  // namespace oms::db
