// Where purges go on.
#include "api/purge.hpp"

#include "pg/plan.hpp"
#include "pg/transaction.hpp"

#include "pg/poison.hpp"

namespace oms::api {

namespace {

constinit pg::Plan insert_position{
    "INSERT INTO oms.purge_position (what, next_id) VALUES ($1, 0) ON CONFLICT DO NOTHING", {TEXTOID}};
constinit pg::Plan take_position{"SELECT next_id FROM oms.purge_position WHERE what = $1 FOR UPDATE SKIP LOCKED",
                                 {TEXTOID}};
constinit pg::Plan has_position{"SELECT FROM oms.purge_position WHERE what = $1", {TEXTOID}};
constinit pg::Plan store_position{"UPDATE oms.purge_position SET next_id = $2 WHERE what = $1 AND next_id <> $2",
                                  {TEXTOID, INT8OID}};

}  // namespace

bool PurgeWalk::begin(const char* what) {
    Datum name = pg::text_datum(what);
    if (has_position.run(pg::Access::writes, {{name}}).empty()) insert_position.run(pg::Access::writes, {{name}});
    pg::Result row = take_position.run(pg::Access::writes, {{name}});
    if (row.empty()) return false;
    what_ = what;
    start_ = next_ = DatumGetInt64(row.value(0, 0));
    return true;
}

bool PurgeWalk::goes_on(const Purged& window) {
    bool at_the_end = window.last_id == 0;
    next_ = at_the_end ? 0 : window.last_id + 1;
    if (window.deleted > 0 || ++windows_ >= windows_max) return false;
    // Once round, up to where it began.
    if (wrapped_) return !at_the_end && next_ < start_;
    wrapped_ = at_the_end;
    return !at_the_end || start_ > 0;
}

void PurgeWalk::end() {
    store_position.run(pg::Access::writes, {{pg::text_datum(what_)}, {Int64GetDatum(next_)}});
    pg::end_of_command();
}

}  // namespace oms::api
