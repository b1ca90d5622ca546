// How reservations end: given back, used up, or run out. The order's lock, which the caller holds, keeps its reservations still.
#include <algorithm>

#include "core/other_machines.hpp"
#include "pg/arrays.hpp"
#include "pg/memory.hpp"
#include "pg/plan.hpp"
#include "pg/settings.hpp"
#include "pg/table_walk.hpp"
#include "pg/transaction.hpp"
#include "stock/rows.hpp"
#include "timers/timers.hpp"

#include "pg/poison.hpp"

namespace oms::stock {

namespace {

constexpr std::string_view reserved = "reserved", released = "released", consumed = "consumed", expired = "expired";
static_assert(core::legal(core::machines::reservation, reserved, released));
static_assert(core::legal(core::machines::reservation, reserved, consumed));
static_assert(core::legal(core::machines::reservation, reserved, expired));

// "consumed" is final: what comes back after it is noted beside it. This is for a part of what was consumed: what has gone stays as it is, the oldest pieces of a sku first; a row of which a part has gone becomes two.
constinit pg::Plan return_rest{
    "WITH gone AS (SELECT g.sku, sum(g.qty) AS qty FROM unnest($4, $5) g (sku, qty) GROUP BY g.sku), "
    "piece AS (SELECT r.reservation_id, r.qty, least(r.qty, greatest(0, coalesce(g.qty, 0) - coalesce(sum(r.qty) OVER "
    "(PARTITION BY r.sku ORDER BY r.reservation_id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)))::bigint AS "
    "gone "
    "FROM oms.reservation r LEFT JOIN gone g USING (sku) WHERE r.order_id = $1 AND r.created_at = $2 AND r.status = "
    "'consumed' AND r.returned_at IS NULL), "
    "part AS (INSERT INTO oms.reservation SELECT nextval('oms.reservation_reservation_id_seq'), r.order_id, "
    "r.created_at, "
    "r.sku, r.bucket, p.gone, r.status, r.reserved_at, r.expires_at, r.closed_at, NULL FROM oms.reservation r JOIN "
    "piece p "
    "USING (reservation_id) WHERE r.order_id = $1 AND r.created_at = $2 AND p.gone > 0 AND p.gone < p.qty) "
    "UPDATE oms.reservation r SET returned_at = $3, qty = r.qty - p.gone FROM piece p WHERE r.reservation_id = "
    "p.reservation_id AND r.order_id = $1 AND r.created_at = $2 AND p.gone < p.qty RETURNING r.sku, r.bucket, r.qty, "
    "false",
    {UUIDOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTARRAYOID, INT8ARRAYOID},
    pg::Planned::by_index};

std::int64_t birth_of(const core::OrderId& order) { return pg::postgres_us(core::order_time_us(order)); }

constexpr std::array of_one_order{static_cast<int>(reservation_field::order_id)};

// Calls fn(Row&) for each reservation of an order.
template <class Fn>
void for_each_of(const core::OrderId& order, Fn&& fn) {
    const std::array equal{pg::uuid_datum(order)};
    pg::walk_now(reservation_table(), {.columns = of_one_order, .equal = equal, .routing = birth_of(order)}, fn);
}

bool is(const pg::Row& row, std::string_view status) {
    return pg::text_view(row.value(reservation_field::status)) == status;
}

Piece piece_in(const pg::Row& row) {
    return {pg::copied(pg::text_view(row.value(reservation_field::sku))),
            DatumGetInt32(row.value(reservation_field::bucket)), DatumGetInt64(row.value(reservation_field::qty))};
}

std::span<const Line> lines_of(std::span<const Piece> pieces) {
    std::span<Line> lines = pg::allocate<Line>(pieces.size());
    std::size_t count = 0;
    for (const Piece& piece : pieces) {
        if (count > 0 && lines[count - 1].sku == piece.sku) {
            lines[count - 1].qty += piece.qty;
        } else {
            lines[count++] = {piece.sku, piece.qty};
        }
    }
    return lines.first(count);
}

bool is_locked_before(const Piece& a, const Piece& b) { return a.sku != b.sku ? a.sku < b.sku : a.bucket < b.bucket; }

// Applies `move(Bucket&, qty)` to the stock of every piece, in the order in which rows of stock are locked.
template <class Move>
void move_stock(std::span<Piece> pieces, Move&& move) {
    std::ranges::sort(pieces, is_locked_before);
    pg::end_of_command();
    for (const Piece& piece : pieces) {
        with_home(piece, [&](Bucket& bucket) { move(bucket, piece.qty); });
        pg::end_of_command();  // two pieces may lie in one row by now, and a row is written once in a command
    }
}

template <class Move>
std::span<Piece> close(const core::OrderId& order, std::string_view status, Move&& move) {
    constexpr std::array closed{static_cast<int>(reservation_field::status),
                                static_cast<int>(reservation_field::closed_at)};
    pg::RowValues changes;
    changes.set(reservation_field::status, pg::text_datum(status));
    changes.set(reservation_field::closed_at, TimestampTzGetDatum(pg::now_us()));
    pg::Array<Piece> pieces;
    bool expires = false;
    for_each_of(order, [&](pg::Row& row) {
        if (!is(row, reserved)) return;
        pieces.push(piece_in(row));
        expires = !row.is_null(reservation_field::expires_at);
        row.update(changes, closed);
    });
    if (pieces.size() == 0) return {};
    if (expires) timers::cancel(timers::Kind::reservation_expiry, core::random_half(order));
    move_stock(pieces.span(), move);
    return pieces.span();
}

void give_back(Bucket& bucket, std::int64_t qty) { bucket.reserved -= qty; }

}  // namespace

std::span<const Line> release(const core::OrderId& order) { return lines_of(close(order, released, give_back)); }

std::span<const Line> consume(const core::OrderId& order) {
    return lines_of(close(order, consumed, [](Bucket& bucket, std::int64_t qty) {
        bucket.reserved -= qty;
        bucket.on_hand -= qty;
    }));
}

std::span<const Line> expire(const core::OrderId& order) { return lines_of(close(order, expired, give_back)); }

namespace {

std::span<Piece> all_back(const core::OrderId& order) {
    constexpr std::array returned{static_cast<int>(reservation_field::returned_at)};
    pg::RowValues changes;
    changes.set(reservation_field::returned_at, TimestampTzGetDatum(pg::now_us()));
    pg::Array<Piece> pieces;
    for_each_of(order, [&](pg::Row& row) {
        if (!is(row, consumed) || !row.is_null(reservation_field::returned_at)) return;
        pieces.push(piece_in(row));
        row.update(changes, returned);
    });
    return pieces.span();
}

std::span<Piece> rest_back(const core::OrderId& order, std::span<const Line> gone) {
    std::span<Datum> skus = pg::allocate<Datum>(gone.size());
    std::span<Datum> quantities = pg::allocate<Datum>(gone.size());
    for (std::size_t i = 0; i < gone.size(); ++i) {
        skus[i] = pg::text_datum(gone[i].sku);
        quantities[i] = Int64GetDatum(gone[i].qty);
    }
    pg::Result rows = return_rest.run(pg::Access::writes, {{pg::uuid_datum(order)},
                                                           {TimestampTzGetDatum(birth_of(order))},
                                                           {TimestampTzGetDatum(pg::now_us())},
                                                           {pg::text_array_datum(skus)},
                                                           {pg::array_datum(quantities, INT8OID)}});
    std::span<Piece> pieces = pg::allocate<Piece>(rows.rows.size());
    for (std::size_t i = 0; i < pieces.size(); ++i) {
        pieces[i] = {pg::text_view(rows.value(i, 0)), DatumGetInt32(rows.value(i, 1)), DatumGetInt64(rows.value(i, 2))};
    }
    return pieces;
}

}  // namespace

std::span<const Line> take_back(const core::OrderId& order, std::span<const Line> gone) {
    std::span<Piece> pieces = gone.empty() ? all_back(order) : rest_back(order, gone);
    move_stock(pieces, [](Bucket& bucket, std::int64_t qty) { bucket.on_hand += qty; });
    return lines_of(pieces);
}

void lock_held(std::span<const core::OrderId> orders) {
    pg::Array<Piece> pieces;
    for (const core::OrderId& order : orders) {
        // Should there be fewer buckets by now, whoever moves them looks again.
        for_each_of(order, [&](pg::Row& row) {
            if (is(row, reserved)) pieces.push(piece_in(row));
        });
    }
    std::ranges::sort(pieces.span(), is_locked_before);
    const Piece* previous = nullptr;
    for (const Piece& piece : pieces) {
        if (previous == nullptr || is_locked_before(*previous, piece))
            with_bucket(piece.sku, piece.bucket, pg::RowLock::for_update, [](pg::Row&, const Bucket&) {});
        previous = &piece;
    }
}

Held held(const core::OrderId& order) {
    pg::Array<Piece> pieces;
    std::int64_t expires_at = never;
    for_each_of(order, [&](pg::Row& row) {
        if (!is(row, reserved)) return;
        pieces.push(piece_in(row));
        if (!row.is_null(reservation_field::expires_at)) {
            expires_at = DatumGetTimestampTz(row.value(reservation_field::expires_at));
        }
    });
    std::ranges::sort(pieces.span(), is_locked_before);
    return {lines_of(pieces.span()), expires_at};
}

}  // namespace oms::stock
