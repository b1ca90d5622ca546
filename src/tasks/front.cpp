// The fronts of the queues: in the session's memory while it claims, and in oms.task_front for those who come later.
//
// A stored position is advice that is always safe: nothing claimable is below it. It is written about once a second for a busy queue, by whoever
// claims, so that its row does not pile up versions; who comes later walks over what was done since.
#include "tasks/front.hpp"

#include <array>

#include "core/fingerprint.hpp"
#include "pg/catalog.hpp"
#include "pg/entry.hpp"
#include "pg/memory.hpp"
#include "pg/plan.hpp"
#include "pg/transaction.hpp"

#include "pg/poison.hpp"

namespace oms::tasks {

namespace {

constinit pg::Plan load_front{"SELECT position FROM oms.task_front WHERE queue = $1 AND priority = $2",
                              {TEXTOID, INT4OID}};
constinit pg::Plan insert_front{
    "INSERT INTO oms.task_front (queue, priority, position, stored_at) VALUES ($1, $2, $3, clock_timestamp()) "
    "ON CONFLICT DO NOTHING",
    {TEXTOID, INT4OID, INT8OID}};
constinit pg::Plan update_front{
    "UPDATE oms.task_front f SET position = $3, stored_at = clock_timestamp() FROM (SELECT queue, priority FROM "
    "oms.task_front WHERE queue = $1 AND priority = $2 AND position < $3 AND stored_at < clock_timestamp() - "
    "interval '1 second' FOR UPDATE SKIP LOCKED) mine WHERE f.queue = mine.queue AND f.priority = mine.priority",
    {TEXTOID, INT4OID, INT8OID}};

// What a session remembers is fresh while it keeps claiming; after a pause others have stored more than it knows.
constexpr std::int64_t fresh_us = 1'000'000;
constexpr std::int64_t store_every_us = 1'000'000;
constexpr std::int64_t store_from = 500;  // positions: less than that is walked over faster than stored

constexpr std::size_t fronts_max = 64;
constinit std::array<Front*, fronts_max> fronts{};
constinit std::size_t next_victim = 0;
constinit Oid task_relation = InvalidOid;

Front* find(std::string_view queue, int priority) {
    for (Front* front : fronts) {
        if (front != nullptr && front->priority == priority && front->queue == queue) return front;
    }
    return nullptr;
}

Front* add(std::string_view queue, int priority) {
    Front* front = pg::in_context(pg::session_context(), [&] {
        Front* made = pg::allocate<Front>(1).data();
        *made = Front{};
        made->queue = pg::copied(queue);
        made->priority = priority;
        return made;
    });
    // The oldest goes; its memory is a kilobyte or two that a session with so many queues can spare, were it not for ever.
    Front*& place = fronts[next_victim];
    next_victim = (next_victim + 1) % fronts_max;
    if (place != nullptr) {
        pg::release(place->queue.data());
        pg::release(place);
    }
    place = front;
    return front;
}

}  // namespace

Front& front_of(std::string_view queue, int priority) {
    std::int64_t now = GetCurrentTimestamp();
    Front* front = find(queue, priority);
    if (front == nullptr) front = add(queue, priority);
    if (!front->frontier.is_set() || now - front->used_at > fresh_us || now < front->used_at) {
        task_relation = pg::relation_oid("task");
        pg::Result stored = load_front.run(pg::Access::writes, {{pg::text_datum(queue)}, {Int32GetDatum(priority)}});
        front->stored = stored.empty() ? 0 : DatumGetInt64(stored.value(0, 0));
        front->stored_at = stored.empty() ? 0 : now;
        front->frontier.reset(front->stored);
    }
    front->used_at = now;
    return *front;
}

void fronts_changed(Oid relation) {
    if (relation != InvalidOid && relation != task_relation) return;
    for (Front* front : fronts) {
        if (front != nullptr) front->frontier.forget();
    }
}

void store(Front& front) {
    std::int64_t settled = front.frontier.settled();
    if (settled - front.stored < store_from || front.used_at - front.stored_at < store_every_us) return;
    std::initializer_list<pg::Parameter> row{
        {pg::text_datum(front.queue)}, {Int32GetDatum(front.priority)}, {Int64GetDatum(settled)}};
    front.stored_at = front.used_at;
    if (front.stored == 0) {
        // An INSERT would wait for another of the same row, until its transaction ends.
        std::uint64_t name =
            XXH3_64bits(front.queue.data(), front.queue.size()) + static_cast<std::uint64_t>(front.priority);
        if (!pg::lock_name(pg::LockSpace::task_front, name, pg::LockStrength::exclusive, pg::LockDuration::transaction,
                           false))
            return;
        insert_front.run(pg::Access::writes, row);
    }
    update_front.run(pg::Access::writes, row);
    front.stored = settled;
}

}  // namespace oms::tasks
