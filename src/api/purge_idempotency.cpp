// oms.purge_idempotency: room for new keys. Expired ones no longer count; this removes what is left of them, a batch at a time.
#include "api/filter.hpp"
#include "pg/memory.hpp"
#include "pg/plan.hpp"
#include "pg/settings.hpp"

#include "pg/poison.hpp"

namespace oms::api {
namespace {

constexpr std::int32_t batch_max = 100'000;

// SKIP LOCKED: two purges do not wait for each other. The time also spares the partitions that hold no expired key.
constinit pg::Plan delete_expired{
    "DELETE FROM oms.idempotency_key k USING (SELECT tableoid, ctid FROM oms.idempotency_key WHERE created_at <= $1 "
    "LIMIT $2 FOR UPDATE SKIP LOCKED) expired WHERE k.tableoid = expired.tableoid AND k.ctid = expired.ctid AND "
    "k.created_at <= $1",
    {TIMESTAMPTZOID, INT4OID}};

}  // namespace

OMS_FUNCTION(oms_purge_idempotency) {
    pg::Call call{fcinfo};
    std::int32_t batch = checked_count(call, 0, "batch", 500, batch_max);
    std::int64_t expired_until = pg::now_us() - std::int64_t{pg::settings::idempotency_ttl_s} * USECS_PER_SEC;
    pg::Result deleted =
        delete_expired.run(pg::Access::writes, {{TimestampTzGetDatum(expired_until)}, {Int32GetDatum(batch)}});
    return Int32GetDatum(static_cast<std::int32_t>(deleted.count));
}

}  // namespace oms::api
