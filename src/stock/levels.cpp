// What is on hand: set and adjusted by people and warehouses. Locks all buckets of the sku and spreads what is free evenly over them.
#include <algorithm>

#include "core/money.hpp"
#include "pg/json.hpp"
#include "pg/json_object.hpp"
#include "pg/memory.hpp"
#include "pg/plan.hpp"
#include "pg/raise.hpp"
#include "pg/settings.hpp"
#include "stock/stock.hpp"

#include "pg/poison.hpp"

namespace oms::stock {

namespace {

constinit pg::Plan make_sku{
    "INSERT INTO oms.stock (sku, bucket, buckets, on_hand, reserved, updated_at) VALUES ($1, 0, 1, 0, 0, $2) ON "
    "CONFLICT DO NOTHING",
    {TEXTOID, TIMESTAMPTZOID}};

// The first bucket is locked on its own: who holds it alone changes how many there are, and the next statement sees them.
constinit pg::Plan lock_first{"SELECT FROM oms.stock WHERE sku = $1 AND bucket = 0 FOR NO KEY UPDATE", {TEXTOID}};
constinit pg::Plan lock_all{"SELECT on_hand, reserved FROM oms.stock WHERE sku = $1 ORDER BY bucket FOR NO KEY UPDATE",
                            {TEXTOID}};

// Pieces that are reserved, by the bucket that will be their home. Those who reserve or release hold a bucket's lock, so that with all buckets
// locked the sums stand still.
constinit pg::Plan reserved_by_home{
    "SELECT bucket % $2, sum(qty)::bigint FROM oms.reservation WHERE sku = $1 AND status = 'reserved' GROUP BY 1",
    {TEXTOID, INT4OID}};

constinit pg::Plan write_bucket{
    "INSERT INTO oms.stock (sku, bucket, buckets, on_hand, reserved, updated_at) VALUES ($1, $2, $3, $4, $5, $6) "
    "ON CONFLICT (sku, bucket) DO UPDATE SET buckets = $3, on_hand = $4, reserved = $5, updated_at = $6",
    {TEXTOID, INT4OID, INT4OID, INT8OID, INT8OID, TIMESTAMPTZOID}};
constinit pg::Plan drop_buckets{"DELETE FROM oms.stock WHERE sku = $1 AND bucket >= $2", {TEXTOID, INT4OID}};

struct Locked {
    std::int32_t buckets;  // 0: the sku is not known
    std::int64_t on_hand, reserved;
    std::array<std::int64_t, buckets_max> reserved_in;
};

Locked lock(std::string_view sku) {
    Locked locked{};
    Datum name = pg::text_datum(sku);
    if (lock_first.run(pg::Access::writes, {{name}}).empty()) return locked;
    pg::Result rows = lock_all.run(pg::Access::writes, {{name}});
    locked.buckets = static_cast<std::int32_t>(rows.rows.size());
    for (std::size_t i = 0; i < rows.rows.size(); ++i) {
        locked.on_hand += DatumGetInt64(rows.value(i, 0));
        locked.reserved_in[i] = DatumGetInt64(rows.value(i, 1));
        locked.reserved += locked.reserved_in[i];
    }
    return locked;
}

void find_homes(std::string_view sku, std::int32_t buckets, Locked& locked) {
    locked.reserved_in.fill(0);
    pg::Result rows = reserved_by_home.run(pg::Access::writes, {{pg::text_datum(sku)}, {Int32GetDatum(buckets)}});
    for (std::size_t i = 0; i < rows.rows.size(); ++i) {
        locked.reserved_in[static_cast<std::size_t>(DatumGetInt32(rows.value(i, 0)))] = DatumGetInt64(rows.value(i, 1));
    }
}

Level spread(std::string_view sku, Locked& locked, std::int64_t on_hand, std::int32_t buckets) {
    if (on_hand < locked.reserved) {
        pg::raise(pg::Error::insufficient_stock,
                  {.message = pg::format("stock of %s cannot become " INT64_FORMAT, pg::quoted(sku), on_hand),
                   .detail = pg::format("Of " INT64_FORMAT " on hand " INT64_FORMAT " are reserved.", locked.on_hand,
                                        locked.reserved),
                   .hint = pg::format("At least " INT64_FORMAT " must stay; release or consume reservations first.",
                                      locked.reserved)});
    }
    if (buckets != locked.buckets) find_homes(sku, buckets, locked);
    std::int64_t now = pg::now_us();
    std::int64_t free = on_hand - locked.reserved;
    for (std::int32_t i = 0; i < buckets; ++i) {
        std::int64_t kept = locked.reserved_in[static_cast<std::size_t>(i)];
        std::int64_t share = free / buckets + (i < free % buckets ? 1 : 0);
        write_bucket.run(pg::Access::writes, {{pg::text_datum(sku)},
                                              {Int32GetDatum(i)},
                                              {Int32GetDatum(buckets)},
                                              {Int64GetDatum(kept + share)},
                                              {Int64GetDatum(kept)},
                                              {TimestampTzGetDatum(now)}});
    }
    if (buckets < locked.buckets) {
        drop_buckets.run(pg::Access::writes, {{pg::text_datum(sku)}, {Int32GetDatum(buckets)}});
    }
    return {sku, on_hand, locked.reserved, buckets, now};
}

}  // namespace

Level set(std::string_view sku, std::int64_t on_hand, std::optional<std::int32_t> buckets) {
    make_sku.run(pg::Access::writes, {{pg::text_datum(sku)}, {TimestampTzGetDatum(pg::now_us())}});
    Locked locked = lock(sku);
    return spread(sku, locked, on_hand, buckets.value_or(locked.buckets));
}

Level adjust(std::string_view sku, std::int64_t delta) {
    Locked locked = lock(sku);
    if (locked.buckets == 0) {
        pg::raise(pg::Error::not_found, {.message = pg::format("sku %s has no stock", pg::quoted(sku)),
                                         .detail = "Its stock was never set.",
                                         .hint = "Call oms.set_stock first; stock of 0 is stock too."});
    }
    std::int64_t on_hand;
    if (core::add_overflows(locked.on_hand, delta, on_hand)) {
        pg::raise(
            pg::Error::invalid_argument,
            {.message = pg::format("stock of %s would be more than a number can hold", pg::quoted(sku)),
             .detail = pg::format("On hand are " INT64_FORMAT ", to be added " INT64_FORMAT ".", locked.on_hand, delta),
             .hint = "Check the quantity."});
    }
    return spread(sku, locked, on_hand, locked.buckets);
}

// The answer as bytes: an object, so that what an older library stored stays readable.
std::string_view encode(const Level& level) {
    pg::JsonObject json;
    json.text("sku", level.sku);
    json.number("on_hand", level.on_hand);
    json.number("reserved", level.reserved);
    json.number("buckets", level.buckets);
    json.number("updated_at", level.updated_at);
    return pg::stored_bytes(json.finish());
}

Level decode(std::string_view bytes) {
    JsonbContainer* level = pg::from_stored_bytes(bytes);
    return {pg::member_of(level, "sku").text(), pg::number_member(level, "on_hand"),
            pg::number_member(level, "reserved"), static_cast<std::int32_t>(pg::number_member(level, "buckets")),
            pg::number_member(level, "updated_at")};
}

Datum answer(const pg::Call& call, const Level& level, bool replayed) {
    const std::array values{pg::text_datum(level.sku),     Int64GetDatum(level.on_hand),
                            Int64GetDatum(level.reserved), Int64GetDatum(level.on_hand - level.reserved),
                            Int32GetDatum(level.buckets),  TimestampTzGetDatum(level.updated_at),
                            BoolGetDatum(replayed)};
    constexpr std::array<bool, values.size()> nulls{};
    return pg::composite_result(call, values.data(), nulls.data());
}

}  // namespace oms::stock
