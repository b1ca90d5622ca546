// oms.topic_route, read once in a session and again after a change.
#include "log/routes.hpp"

#include "log/log.hpp"
#include "pg/catalog.hpp"
#include "pg/entry.hpp"
#include "pg/memory.hpp"
#include "pg/plan.hpp"

#include "pg/poison.hpp"

namespace oms::log {

namespace {

struct Route {
    std::string_view aggregate_type, type, topic;
};

constinit pg::Plan load_routes{"SELECT aggregate_type, type, coalesce(topic, '') FROM oms.topic_route ORDER BY builtin",
                               {}};

constinit MemoryContext routes_memory = nullptr;
constinit std::span<const Route> routes{};
constinit std::uint64_t changes_announced = 1;
constinit std::uint64_t changes_loaded = 0;
constinit Oid routes_relation = InvalidOid;

void load() {
    // Noted before reading: a change that is announced meanwhile makes the next call read again.
    std::uint64_t changes = changes_announced;
    routes_relation = pg::relation_oid("topic_route");
    pg::Result rows = load_routes.run(pg::Access::writes, {});
    MemoryContext memory = pg::new_session_context("oms topic routes");
    std::span<const Route> loaded = pg::in_context(memory, [&] {
        std::span<Route> list = pg::allocate<Route>(rows.count);
        auto copied = [&](std::size_t row, int column) { return pg::copied(pg::text_view(rows.value(row, column))); };
        for (std::size_t i = 0; i < rows.count; ++i) list[i] = {copied(i, 0), copied(i, 1), copied(i, 2)};
        return std::span<const Route>{list};
    });
    if (routes_memory != nullptr) pg::drop_context(routes_memory);
    routes_memory = memory;
    routes = loaded;
    changes_loaded = changes;  // published last: everything above can raise
}

}  // namespace

std::string_view route(std::string_view aggregate_type, std::string_view event_type) {
    if (changes_loaded != changes_announced) load();
    // The owner's routes stand before the built-in ones: the first that fits is the one that counts.
    const Route* fallback = nullptr;
    for (const Route& candidate : routes) {
        if (candidate.aggregate_type != aggregate_type) continue;
        if (candidate.type == event_type) return candidate.topic;
        if (candidate.type == "*" && fallback == nullptr) fallback = &candidate;
    }
    return fallback == nullptr ? std::string_view{} : fallback->topic;
}

void routes_changed(Oid relation) {
    if (relation == InvalidOid || relation == routes_relation) ++changes_announced;
}

}  // namespace oms::log
