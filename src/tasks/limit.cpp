// Leases of limited queues are counted in a table of their own, oms.task_running, which never has more rows than the limit allows. Whoever claims
// first removes the rows of leases that are over; so nobody who closes a task has to know about limits.
#include "tasks/limit.hpp"

#include <algorithm>

#include "core/fingerprint.hpp"
#include "pg/arrays.hpp"
#include "pg/entry.hpp"
#include "pg/memory.hpp"
#include "pg/plan.hpp"
#include "pg/transaction.hpp"

#include "pg/poison.hpp"

namespace oms::tasks {

namespace {

constinit pg::Plan forget_ended{
    "DELETE FROM oms.task_running r WHERE r.queue = $1 AND NOT EXISTS (SELECT FROM oms.task t WHERE t.task_id = "
    "r.task_id "
    "AND t.status = 'leased' AND t.lease_epoch = r.lease_epoch)",
    {TEXTOID}};
constinit pg::Plan count_running{"SELECT count(*)::int FROM oms.task_running WHERE queue = $1", {TEXTOID}};
constinit pg::Plan insert_running{
    "INSERT INTO oms.task_running (queue, task_id, lease_epoch) SELECT $1, u, $3 FROM unnest($2) u ON CONFLICT "
    "(task_id) "
    "DO UPDATE SET queue = excluded.queue, lease_epoch = excluded.lease_epoch",
    {TEXTOID, INT8ARRAYOID, INT8OID}};

}  // namespace

int room_in(std::string_view queue, int leased_max, int wanted) {
    (void)pg::lock_name(pg::LockSpace::queue_limit, XXH3_64bits(queue.data(), queue.size()),
                        pg::LockStrength::exclusive, pg::LockDuration::transaction, true);
    Datum name = pg::text_datum(queue);
    forget_ended.run(pg::Access::writes, {{name}});
    pg::Result counted = count_running.run(pg::Access::writes, {{name}});
    return std::min(wanted, leased_max - DatumGetInt32(counted.value(0, 0)));
}

void count_leases(std::string_view queue, std::span<const Leased> taken) {
    std::span<std::int64_t> ids = pg::allocate<std::int64_t>(taken.size());
    for (std::size_t i = 0; i < taken.size(); ++i) ids[i] = taken[i].id.value;
    insert_running.run(pg::Access::writes,
                       {{pg::text_datum(queue)}, {pg::bigint_array_datum(ids)}, {Int64GetDatum(taken[0].lease_epoch)}});
}

}  // namespace oms::tasks
