#include "kafka/cursor_record.hpp"

#include <nlohmann/json.hpp>

namespace oms::kafka {

std::string text_of(const relay::StoredCursor& cursor) {
    nlohmann::ordered_json record;
    record["cluster"] = cursor.place.cluster;
    record["database"] = cursor.place.database;
    record["timeline"] = cursor.place.timeline;
    record["wal"] = cursor.place.wal;
    record["position"] = cursor.place.text;
    record["replays"] = cursor.replays;
    return record.dump();
}

std::optional<relay::StoredCursor> cursor_of(std::string_view text) {
    try {
        const auto record = nlohmann::json::parse(text);
        relay::StoredCursor cursor;
        record.at("cluster").get_to(cursor.place.cluster);
        record.at("database").get_to(cursor.place.database);
        record.at("timeline").get_to(cursor.place.timeline);
        record.at("wal").get_to(cursor.place.wal);
        record.at("position").get_to(cursor.place.text);
        record.at("replays").get_to(cursor.replays);
        return cursor;
    } catch (const nlohmann::json::exception&) {
        return std::nullopt;
    }
}

}  // namespace oms::kafka
