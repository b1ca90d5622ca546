// oms.queue, read once in a session and again after a change.
#include "tasks/queues.hpp"

#include <algorithm>

#include "pg/catalog.hpp"
#include "pg/entry.hpp"
#include "pg/memory.hpp"
#include "pg/plan.hpp"
#include "tasks/tasks.hpp"

#include "pg/poison.hpp"

namespace oms::tasks {

namespace {

constinit pg::Plan load_queues{
    "SELECT queue, paused, (extract(epoch FROM lease) * 1000000)::bigint, coalesce(leased_max, 0), attempts_max, "
    "base_ms, factor, cap_ms, jitter, publish FROM oms.queue",
    {}};

constinit MemoryContext queues_memory = nullptr;
constinit std::span<const Queue> queues{};
constinit Queue defaults{};
constinit std::uint64_t changes_announced = 1;
constinit std::uint64_t changes_loaded = 0;
constinit Oid queues_relation = InvalidOid;

Queue read(const pg::Result& rows, std::size_t i) {
    return {.name = pg::copied(pg::text_view(rows.value(i, 0))),
            .paused = DatumGetBool(rows.value(i, 1)),
            .lease_us = DatumGetInt64(rows.value(i, 2)),
            .publish = DatumGetBool(rows.value(i, 9)),
            .leased_max = DatumGetInt32(rows.value(i, 3)),
            .policy = {.attempts_max = DatumGetInt32(rows.value(i, 4)),
                       .base_ms = DatumGetInt64(rows.value(i, 5)),
                       .factor = DatumGetFloat8(rows.value(i, 6)),
                       .cap_ms = DatumGetInt64(rows.value(i, 7)),
                       .jitter = DatumGetFloat8(rows.value(i, 8))}};
}

void load() {
    // Noted before reading: a change that is announced meanwhile makes the next call read again.
    std::uint64_t changes = changes_announced;
    queues_relation = pg::relation_oid("queue");
    pg::Result rows = load_queues.run(pg::Access::writes, {});
    MemoryContext memory = pg::new_session_context("oms queues");
    std::span<const Queue> loaded = pg::in_context(memory, [&] {
        std::span<Queue> list = pg::allocate<Queue>(rows.count);
        for (std::size_t i = 0; i < rows.count; ++i) list[i] = read(rows, i);
        return std::span<const Queue>{list};
    });
    if (queues_memory != nullptr) pg::drop_context(queues_memory);
    queues_memory = memory;
    queues = loaded;
    changes_loaded = changes;  // published last: everything above can raise
}

}  // namespace

const Queue& queue_named(std::string_view name) {
    if (changes_loaded != changes_announced) load();
    const auto found = std::ranges::find(queues, name, &Queue::name);
    return found == queues.end() ? defaults : *found;
}

void queues_changed(Oid relation) {
    if (relation == InvalidOid || relation == queues_relation) ++changes_announced;
}

}  // namespace oms::tasks
