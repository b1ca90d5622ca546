// A session that wants its leases to end with it holds a session lock under a name of its own. Whoever gets that lock knows that the session is
// gone: the server releases it when the backend ends, however it ends.
#include "tasks/owner.hpp"

#include "pg/entry.hpp"
#include "pg/memory.hpp"
#include "pg/plan.hpp"
#include "pg/random.hpp"
#include "pg/transaction.hpp"
#include "timers/timers.hpp"

#include "pg/poison.hpp"

namespace oms::tasks {

namespace {

constinit pg::Plan insert_owner{"INSERT INTO oms.task_owner (queue, owner) VALUES ($1, $2) ON CONFLICT DO NOTHING",
                                {TEXTOID, INT8OID}};
constinit pg::Plan list_owners{"SELECT owner FROM oms.task_owner WHERE queue = $1", {TEXTOID}};
constinit pg::Plan delete_owner{"DELETE FROM oms.task_owner WHERE queue = $1 AND owner = $2", {TEXTOID, INT8OID}};

constinit std::int64_t own = 0;

bool holds(std::int64_t owner) {
    return pg::holds_name(pg::LockSpace::task_owner, static_cast<std::uint64_t>(owner), pg::LockStrength::exclusive);
}

bool is_gone(std::int64_t owner) {
    return !holds(owner) && pg::lock_name(pg::LockSpace::task_owner, static_cast<std::uint64_t>(owner),
                                          pg::LockStrength::exclusive, pg::LockDuration::transaction, false);
}

}  // namespace

std::int64_t own_name(std::string_view queue) {
    // DISCARD ALL takes the lock away without notice, and with it the leases: a new name then.
    if (own == 0 || !holds(own)) {
        auto name = static_cast<std::int64_t>(pg::random_bits() >> 2) + 1;
        (void)pg::lock_name(pg::LockSpace::task_owner, static_cast<std::uint64_t>(name), pg::LockStrength::exclusive,
                            pg::LockDuration::session, true);
        own = name;
    }
    insert_owner.run(pg::Access::writes, {{pg::text_datum(queue)}, {Int64GetDatum(own)}});
    return own;
}

Jsonb* timer_data_of(const Lease& lease) {
    pg::JsonWriter json;
    json.begin_object();
    json.field("epoch", lease.epoch);
    json.key("tasks");
    json.push(WJB_BEGIN_ARRAY, nullptr);
    for (core::TaskId task : lease.tasks) json.element(task.value);
    json.push(WJB_END_ARRAY, nullptr);
    if (lease.end == LeaseEnd::with_its_session) json.field("session_is_gone", 1);
    json.end_object();
    return json.finish();
}

Lease lease_of_timer(const Jsonb* timer_data) {
    // Written by timer_data_of() alone.
    auto* object = const_cast<JsonbContainer*>(&timer_data->root);
    pg::Array<core::TaskId> tasks;
    pg::for_each_element(pg::member_of(object, "tasks").container(), [&](std::uint32_t, const pg::JsonMember& member) {
        tasks.push({pg::whole_number(member.value).value_or(0)});
    });
    bool gone = pg::member_of(object, "session_is_gone").kind != pg::JsonKind::missing;
    return {.epoch = pg::whole_number(pg::member_of(object, "epoch").value).value_or(0),
            .tasks = tasks.span(),
            .end = gone ? LeaseEnd::with_its_session : LeaseEnd::at_its_time};
}

std::span<const Lease> orphaned_leases(std::string_view queue) {
    pg::Array<Lease> leases;
    Datum name = pg::text_datum(queue);
    pg::Result owners = list_owners.run(pg::Access::writes, {{name}});
    for (std::size_t i = 0; i < owners.count; ++i) {
        std::int64_t owner = DatumGetInt64(owners.value(i, 0));
        if (!is_gone(owner)) continue;
        // All its leases, also those on other queues: the session is gone for them as well.
        for (const timers::Due& timer : timers::take_of_subject(timers::Kind::task_owned_lease, owner)) {
            Lease lease = lease_of_timer(timer.data);
            lease.end = LeaseEnd::with_its_session;
            leases.push(lease);
        }
        delete_owner.run(pg::Access::writes, {{name}, {Int64GetDatum(owner)}});
    }
    return leases.span();
}

}  // namespace oms::tasks
