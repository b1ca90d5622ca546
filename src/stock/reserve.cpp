// Reserving: all lines or none, one conditional write for each sku, in sku order.
#include <algorithm>

#include "core/money.hpp"
#include "core/other_machines.hpp"
#include "pg/json_object.hpp"
#include "pg/memory.hpp"
#include "pg/random.hpp"
#include "pg/sequence.hpp"
#include "pg/settings.hpp"
#include "pg/transaction.hpp"
#include "stock/rows.hpp"
#include "timers/timers.hpp"

#include "pg/poison.hpp"

namespace oms::stock {

namespace {

constexpr std::array reservation_columns{
    pg::Column{"reservation_id", INT8OID},
    pg::Column{"order_id", UUIDOID},
    pg::Column{"created_at", TIMESTAMPTZOID},
    pg::Column{"sku", TEXTOID},
    pg::Column{"bucket", INT4OID},
    pg::Column{"qty", INT8OID},
    pg::Column{"status", TEXTOID},
    pg::Column{"reserved_at", TIMESTAMPTZOID},
    pg::Column{"expires_at", TIMESTAMPTZOID, true},
    pg::Column{"closed_at", TIMESTAMPTZOID, true},
    pg::Column{"returned_at", TIMESTAMPTZOID, true},
};
constexpr std::array reservation_key{static_cast<int>(reservation_field::reservation_id),
                                     static_cast<int>(reservation_field::created_at)};
constexpr pg::TableDefinition reservation_definition{.name = "reservation",
                                                     .columns = reservation_columns,
                                                     .key = reservation_key,
                                                     .routing_column = reservation_field::created_at,
                                                     .checks = 1};
constinit pg::Table reservations{reservation_definition};
constinit pg::Sequence reservation_ids{"reservation_reservation_id_seq"};

constexpr std::string_view reserved = "reserved";
static_assert(core::legal(core::machines::reservation, "pending", reserved));

// Lines of one sku added up, in sku order. A sum beyond all numbers is more than there can be of anything.
std::span<const Line> merged(std::span<const Line> lines) {
    std::span<Line> sorted = pg::allocate<Line>(lines.size());
    std::ranges::copy(lines, sorted.begin());
    std::ranges::sort(sorted, {}, &Line::sku);
    std::size_t count = 0;
    for (const Line& line : sorted) {
        if (count > 0 && sorted[count - 1].sku == line.sku) {
            std::int64_t& sum = sorted[count - 1].qty;
            if (core::add_overflows(sum, line.qty, sum)) sum = PG_INT64_MAX;
        } else {
            sorted[count++] = line;
        }
    }
    return sorted.first(count);
}

void put_back(std::span<const Piece> pieces) {
    pg::end_of_command();  // a row is written once in a command
    for (const Piece& piece : pieces) {
        with_home(piece, [&](Bucket& bucket) { bucket.reserved -= piece.qty; });
        pg::end_of_command();
    }
}

// The taking of one sku's pieces.
class Taking {
  public:
    Taking(const Line& line, pg::Array<Piece>& pieces) : line_(line), pieces_(pieces) {}

    // Takes the line's pieces, or nothing; answers what there is when that is too little.
    std::optional<std::int64_t> run() {
        for (;;) {
            CHECK_FOR_INTERRUPTS();
            std::int32_t count = bucket_count(line_.sku);
            if (count == 0) return 0;
            Survey survey = take_free_one(count);
            if (done_) return std::nullopt;
            // Said without waiting for whoever is buying: what is committed is too little, whatever becomes of them. Hence buyers of an item
            // that is sold out do not queue.
            if (survey.available < line_.qty) return survey.available;
            if (survey.busy < 0) {
                if (collect(count)) return done_ ? std::nullopt : std::optional{short_of_};
            } else if (take_when_free(survey.busy, count)) {
                return std::nullopt;
            }
        }
    }

  private:
    struct Survey {
        std::int64_t available;
        std::int32_t busy;  // a bucket that has enough and is locked; -1: none
    };

    void take(pg::Row& row, Bucket bucket, std::int32_t number, std::int64_t qty, pg::Array<Piece>& taken) {
        bucket.reserved += qty;
        write(row, bucket);
        taken.push({line_.sku, number, qty});
    }

    // Walks the buckets from a random one on, without waiting, until one that has enough and is free. No bucket stays locked that is not
    // taken from: two buyers who hold what neither can use would wait for each other.
    Survey take_free_one(std::int32_t count) {
        Survey survey{0, -1};
        auto start = count == 1 ? 0 : static_cast<std::int32_t>(pg::random_bits() % static_cast<std::uint64_t>(count));
        for (std::int32_t i = 0; i < count && !done_; ++i) {
            std::int32_t number = (start + i) % count;
            with_bucket(line_.sku, number, pg::RowLock::none, [&](pg::Row& row, const Bucket& bucket) {
                survey.available += bucket.available();
                if (bucket.available() < line_.qty) return;
                if (row.lock_if_free()) {
                    take(row, bucket, number, line_.qty, pieces_);
                    done_ = true;
                } else if (survey.busy < 0) {
                    survey.busy = number;
                }
            });
        }
        return survey;
    }

    // Waits for a bucket that had enough. When it has no longer, the walk begins again; it then waits only for buckets that were seen with
    // enough *after* this one was locked, and so never for somebody who waits for this one.
    bool take_when_free(std::int32_t number, std::int32_t count) {
        with_bucket(line_.sku, number, pg::RowLock::for_update, [&](pg::Row& row, const Bucket& bucket) {
            if (bucket.buckets != count || bucket.available() < line_.qty) return;
            take(row, bucket, number, line_.qty, pieces_);
            done_ = true;
        });
        return done_;
    }

    // Puts the pieces together from several buckets, none of which has enough: locks all of them, in order. False when their number changed.
    bool collect(std::int32_t count) {
        pg::Array<Piece> parts;
        std::int64_t left = line_.qty;
        bool same = true;
        for (std::int32_t number = 0; number < count && left > 0 && same; ++number) {
            bool there =
                with_bucket(line_.sku, number, pg::RowLock::for_update, [&](pg::Row& row, const Bucket& bucket) {
                    same = bucket.buckets == count;
                    std::int64_t part = std::min(left, bucket.available());
                    if (!same || part == 0) return;
                    take(row, bucket, number, part, parts);
                    left -= part;
                });
            same = same && there;
        }
        done_ = same && left == 0;
        if (done_) {
            for (const Piece& part : parts) pieces_.push(part);
            return true;
        }
        short_of_ = line_.qty - left;
        put_back(parts.span());
        return same;
    }

    const Line& line_;
    pg::Array<Piece>& pieces_;
    bool done_ = false;
    std::int64_t short_of_ = 0;
};
static_assert(pg::JumpSafe<Taking>);

void record(const core::OrderId& order, std::span<const Piece> pieces, std::int64_t expires_at) {
    std::int64_t now = pg::now_us();
    Datum id = pg::uuid_datum(order);
    Datum birth = TimestampTzGetDatum(pg::postgres_us(core::order_time_us(order)));
    std::span<pg::RowValues> rows = pg::allocate<pg::RowValues>(pieces.size());
    for (std::size_t i = 0; i < pieces.size(); ++i) {
        pg::RowValues& row = rows[i];
        row.set(reservation_field::reservation_id, Int64GetDatum(reservation_ids.next()));
        row.set(reservation_field::order_id, id);
        row.set(reservation_field::created_at, birth);
        row.set(reservation_field::sku, pg::text_datum(pieces[i].sku));
        row.set(reservation_field::bucket, Int32GetDatum(pieces[i].bucket));
        row.set(reservation_field::qty, Int64GetDatum(pieces[i].qty));
        row.set(reservation_field::status, pg::text_datum(reserved));
        row.set(reservation_field::reserved_at, TimestampTzGetDatum(now));
        if (expires_at == never) {
            row.set_null(reservation_field::expires_at);
        } else {
            row.set(reservation_field::expires_at, TimestampTzGetDatum(expires_at));
        }
        row.set_null(reservation_field::closed_at);
        row.set_null(reservation_field::returned_at);
    }
    reservations.insert_many(rows);
}

void set_expiry(const core::OrderId& order, std::int64_t expires_at) {
    char id[core::uuid_length];
    core::format_uuid(order, id);
    pg::JsonObject data;
    data.text("order_id", {id, sizeof(id)});
    timers::set(timers::Kind::reservation_expiry, core::random_half(order), expires_at, data.finish());
}

}  // namespace

std::span<const Shortage> reserve(const core::OrderId& order, std::span<const Line> lines, std::int64_t expires_at) {
    std::span<const Line> wanted = merged(lines);
    pg::Array<Piece> pieces{wanted.size() + 1};
    pg::Array<Shortage> shortages;
    for (const Line& line : wanted) {
        std::optional<std::int64_t> available = Taking{line, pieces}.run();
        if (available) shortages.push({line.sku, line.qty, *available});
    }
    if (shortages.size() > 0) {
        put_back(pieces.span());
    } else {
        record(order, pieces.span(), expires_at);
        if (expires_at != never) set_expiry(order, expires_at);
        pg::end_of_command();
    }
    return shortages.span();
}

pg::Table& reservation_table() { return reservations; }

}  // namespace oms::stock
