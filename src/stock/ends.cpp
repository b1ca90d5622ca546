// How reservations end: given back, used up, or run out. The order's lock, which the caller holds, keeps its reservations still.
#include <algorithm>

#include "core/other_machines.hpp"
#include "pg/arrays.hpp"
#include "pg/memory.hpp"
#include "pg/plan.hpp"
#include "pg/settings.hpp"
#include "pg/transaction.hpp"
#include "stock/rows.hpp"
#include "timers/timers.hpp"

#include "pg/poison.hpp"

namespace oms::stock {

namespace {

constexpr std::string_view released = "released", consumed = "consumed", expired = "expired";
static_assert(core::legal(core::machines::reservation, "reserved", released));
static_assert(core::legal(core::machines::reservation, "reserved", consumed));
static_assert(core::legal(core::machines::reservation, "reserved", expired));

constinit pg::Plan close_reserved{
    "UPDATE oms.reservation SET status = $3, closed_at = $4 WHERE order_id = $1 AND created_at = $2 AND status = "
    "'reserved' "
    "RETURNING sku, bucket, qty, expires_at IS NOT NULL",
    {UUIDOID, TIMESTAMPTZOID, TEXTOID, TIMESTAMPTZOID},
    pg::Planned::by_index};

// "consumed" is final: what comes back after it is noted beside it.
constinit pg::Plan return_consumed{
    "UPDATE oms.reservation SET returned_at = $3 WHERE order_id = $1 AND created_at = $2 AND status = 'consumed' "
    "AND returned_at IS NULL RETURNING sku, bucket, qty, false",
    {UUIDOID, TIMESTAMPTZOID, TIMESTAMPTZOID},
    pg::Planned::by_index};

// The same of a part: what has gone stays consumed, the oldest pieces of a sku first; a row of which a part has gone becomes two.
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

constinit pg::Plan select_pieces{
    "SELECT sku, bucket, qty FROM oms.reservation WHERE order_id = $1 AND created_at = $2 AND status = 'reserved'",
    {UUIDOID, TIMESTAMPTZOID},
    pg::Planned::by_index};

constinit pg::Plan select_held{
    "SELECT sku, 0, sum(qty)::bigint, min(expires_at) FROM oms.reservation WHERE order_id = $1 AND created_at = $2 AND "
    "status = "
    "'reserved' "
    "GROUP BY sku ORDER BY sku",
    {UUIDOID, TIMESTAMPTZOID},
    pg::Planned::by_index};

Datum birth_of(const core::OrderId& order) { return TimestampTzGetDatum(pg::postgres_us(core::order_time_us(order))); }

std::span<Piece> pieces_in(const pg::Result& rows) {
    std::span<Piece> pieces = pg::allocate<Piece>(rows.rows.size());
    for (std::size_t i = 0; i < pieces.size(); ++i) {
        pieces[i] = {pg::text_view(rows.value(i, 0)), DatumGetInt32(rows.value(i, 1)), DatumGetInt64(rows.value(i, 2))};
    }
    return pieces;
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
    pg::Result rows = close_reserved.run(
        pg::Access::writes,
        {{pg::uuid_datum(order)}, {birth_of(order)}, {pg::text_datum(status)}, {TimestampTzGetDatum(pg::now_us())}});
    if (rows.empty()) return {};
    if (DatumGetBool(rows.value(0, 3))) timers::cancel(timers::Kind::reservation_expiry, core::random_half(order));
    std::span<Piece> pieces = pieces_in(rows);
    move_stock(pieces, move);
    return pieces;
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

std::span<const Line> take_back(const core::OrderId& order, std::span<const Line> gone) {
    const pg::Parameter id{pg::uuid_datum(order)}, born{birth_of(order)}, now{TimestampTzGetDatum(pg::now_us())};
    pg::Result rows;
    if (gone.empty()) {
        rows = return_consumed.run(pg::Access::writes, {id, born, now});
    } else {
        std::span<Datum> skus = pg::allocate<Datum>(gone.size());
        std::span<Datum> quantities = pg::allocate<Datum>(gone.size());
        for (std::size_t i = 0; i < gone.size(); ++i) {
            skus[i] = pg::text_datum(gone[i].sku);
            quantities[i] = Int64GetDatum(gone[i].qty);
        }
        rows = return_rest.run(pg::Access::writes,
                               {id, born, now, {pg::text_array_datum(skus)}, {pg::array_datum(quantities, INT8OID)}});
    }
    std::span<Piece> pieces = pieces_in(rows);
    move_stock(pieces, [](Bucket& bucket, std::int64_t qty) { bucket.on_hand += qty; });
    return lines_of(pieces);
}

void lock_held(std::span<const core::OrderId> orders) {
    pg::Array<Piece> pieces;
    for (const core::OrderId& order : orders) {
        pg::Result rows = select_pieces.run(pg::Access::writes, {{pg::uuid_datum(order)}, {birth_of(order)}});
        // Should there be fewer buckets by now, whoever moves them looks again.
        for (const Piece& piece : pieces_in(rows)) pieces.push(piece);
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
    pg::Result rows = select_held.run(pg::Access::writes, {{pg::uuid_datum(order)}, {birth_of(order)}});
    bool expires = !rows.empty() && !rows.is_null(0, 3);
    return {lines_of(pieces_in(rows)), expires ? DatumGetTimestampTz(rows.value(0, 3)) : never};
}

}  // namespace oms::stock
