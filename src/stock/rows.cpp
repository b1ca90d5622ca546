// The tables of the room.
#include "stock/rows.hpp"

#include "pg/settings.hpp"

#include "pg/poison.hpp"

namespace oms::stock {

namespace {

constexpr std::array stock_columns{
    pg::Column{"sku", TEXTOID},     pg::Column{"bucket", INT4OID},   pg::Column{"buckets", INT4OID},
    pg::Column{"on_hand", INT8OID}, pg::Column{"reserved", INT8OID}, pg::Column{"updated_at", TIMESTAMPTZOID},
};
constexpr std::array stock_key{static_cast<int>(stock_field::sku), static_cast<int>(stock_field::bucket)};
constexpr pg::TableDefinition stock_definition{
    .name = "stock", .columns = stock_columns, .key = stock_key, .checks = 2};
constinit pg::Table stock_table{stock_definition};

}  // namespace

Bucket read(const pg::Row& row) {
    return {DatumGetInt32(row.value(stock_field::buckets)), DatumGetInt64(row.value(stock_field::on_hand)),
            DatumGetInt64(row.value(stock_field::reserved))};
}

void write(pg::Row& row, const Bucket& bucket) {
    // What the table's CHECK says: the direct way in does not ask it.
    Assert(bucket.reserved >= 0 && bucket.reserved <= bucket.on_hand);
    constexpr std::array changed{static_cast<int>(stock_field::on_hand), static_cast<int>(stock_field::reserved),
                                 static_cast<int>(stock_field::updated_at)};
    pg::RowValues values;
    values.set(stock_field::on_hand, Int64GetDatum(bucket.on_hand));
    values.set(stock_field::reserved, Int64GetDatum(bucket.reserved));
    values.set(stock_field::updated_at, TimestampTzGetDatum(pg::now_us()));
    row.update(values, changed);
}

std::int32_t bucket_count(std::string_view sku) {
    std::int32_t count = 0;
    with_bucket(sku, 0, pg::RowLock::none, [&](pg::Row&, const Bucket& bucket) { count = bucket.buckets; });
    return count;
}

pg::Table& table() { return stock_table; }

}  // namespace oms::stock
