// The rows of stock, one for each bucket of a sku.
#pragma once

#include "stock/stock.hpp"

namespace oms::stock {

namespace stock_field {
enum : int { sku, bucket, buckets, on_hand, reserved, updated_at };
}

namespace reservation_field {
enum : int {
    reservation_id,
    order_id,
    created_at,
    sku,
    bucket,
    qty,
    status,
    reserved_at,
    expires_at,
    closed_at,
    returned_at
};
}

struct Bucket {
    std::int32_t buckets;  // of the sku
    std::int64_t on_hand, reserved;

    std::int64_t available() const { return on_hand - reserved; }
};

Bucket read(const pg::Row& row);
void write(pg::Row& row, const Bucket& bucket);

// Calls fn(Row&, const Bucket&) with a bucket's row; false when there is none.
template <class Fn>
bool with_bucket(std::string_view sku, std::int32_t bucket, pg::RowLock lock, Fn&& fn) {
    const Datum key[] = {pg::text_datum(sku), Int32GetDatum(bucket)};
    return table().with_row(key, lock, [&](pg::Row& row) { fn(row, read(row)); });
}

// How many buckets the sku has now; 0 for an unknown one.
std::int32_t bucket_count(std::string_view sku);

// Some pieces of a sku in one bucket.
struct Piece {
    std::string_view sku;
    std::int32_t bucket;
    std::int64_t qty;
};

// Changes the row where a reservation's pieces are kept: the bucket they were put in, or, when there are no longer so many, its number modulo theirs.
template <class Fn>
void with_home(const Piece& piece, Fn&& fn) {
    // A bucket that is there knows how many there are.
    for (std::int32_t number = piece.bucket;;) {
        bool there = with_bucket(piece.sku, number, pg::RowLock::for_update, [&](pg::Row& row, Bucket bucket) {
            fn(bucket);
            write(row, bucket);
        });
        if (there) return;
        std::int32_t count = bucket_count(piece.sku);
        if (count == 0) return;
        number = piece.bucket % count;
        CHECK_FOR_INTERRUPTS();
    }
}

}  // namespace oms::stock
