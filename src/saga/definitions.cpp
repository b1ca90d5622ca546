// Definitions: registering one, finding one, and what a session keeps of them.
#include <array>

#include "core/fingerprint.hpp"
#include "pg/catalog.hpp"
#include "pg/memory.hpp"
#include "pg/plan.hpp"
#include "pg/raise.hpp"
#include "pg/settings.hpp"
#include "saga/instance.hpp"

#include "pg/poison.hpp"

namespace oms::saga {

namespace {

constinit pg::Plan select_definition{
    "SELECT version, definition, owner, builtin FROM oms.saga_definition WHERE name = $1 AND ($2 = 0 OR version = $2) "
    "ORDER BY version DESC LIMIT 1",
    {TEXTOID, INT4OID}};
constinit pg::Plan insert_definition{
    "INSERT INTO oms.saga_definition (name, version, definition, owner, created_at) VALUES ($1, $2, $3, $4, $5)",
    {TEXTOID, INT4OID, JSONBOID, OIDOID, TIMESTAMPTZOID}};

// A parsed definition in a context of its own; version 0 is kept beside its own number as "the newest".
struct Kept {
    MemoryContext memory = nullptr;  // nullptr: the place is free
    Definition* definition = nullptr;
    std::int32_t asked_version = 0;
    std::int64_t used = 0;  // the number of the use
    std::size_t bytes = 0;
};

// A session that works for many sagas meets many versions. Beyond this much the ones that were not used for longest are parsed again.
constexpr std::size_t kept_max = 64;
constexpr std::size_t kept_bytes_max = 16 << 20;
constinit std::array<Kept, kept_max> kept{};
constinit std::int64_t uses = 0;
constinit std::uint64_t changes_announced = 1;
constinit std::uint64_t changes_loaded = 0;
constinit Oid definition_relation = InvalidOid;

// Whoever is in the middle of advancing a saga keeps its definition until the transaction ends.
void drop(Kept& place) {
    if (place.memory == nullptr) return;
    MemoryContext memory = place.memory;
    place = Kept{};
    is_advancing() ? pg::drop_at_end_of_transaction(memory) : pg::drop_context(memory);
}

void forget_when_changed() {
    if (changes_loaded == changes_announced) return;
    definition_relation = pg::relation_oid("saga_definition");
    for (Kept& place : kept) drop(place);
    changes_loaded = changes_announced;
}

// A place for something of this size: a free one, or those of what was not used for longest.
Kept& make_room(std::size_t bytes) {
    for (;;) {
        Kept* free = nullptr;
        Kept* oldest = nullptr;
        std::size_t sum = bytes;
        for (Kept& place : kept) {
            if (place.memory == nullptr) {
                free = &place;
                continue;
            }
            sum += place.bytes;
            if (oldest == nullptr || place.used < oldest->used) oldest = &place;
        }
        if (free != nullptr && (oldest == nullptr || sum <= kept_bytes_max)) return *free;
        drop(*oldest);
    }
}

const Definition* load(std::string_view name, std::int32_t version) {
    pg::Result rows = select_definition.run(pg::Access::writes, {{pg::text_datum(name)}, {Int32GetDatum(version)}});
    if (rows.empty()) return nullptr;
    MemoryContext memory = pg::new_context("oms saga definitions");
    Definition* loaded = pg::in_context(memory, [&] {
        Definition* made = pg::allocate<Definition>(1).data();
        // Without checks: what has vanished since is the failure of the step that needs it.
        *made =
            parse(pg::copied(name), DatumGetJsonbPCopy(rows.value(0, 1)), DatumGetObjectId(rows.value(0, 2)), false);
        made->version = DatumGetInt32(rows.value(0, 0));
        made->builtin = DatumGetBool(rows.value(0, 3));
        return made;
    });
    // Published last: everything above can raise.
    std::size_t bytes = pg::bytes_of(memory);
    Kept& place = make_room(bytes);
    pg::keep_context(memory);
    place = {.memory = memory, .definition = loaded, .asked_version = version, .used = ++uses, .bytes = bytes};
    return loaded;
}

bool same(const Jsonb* one, const Jsonb* other) {
    // The stored form is canonical.
    return VARSIZE(one) == VARSIZE(other) && std::memcmp(one, other, VARSIZE(one)) == 0;
}

}  // namespace

const Definition* find_definition(std::string_view name, std::int32_t version) {
    forget_when_changed();
    for (Kept& place : kept) {
        if (place.memory == nullptr || place.asked_version != version || place.definition->name != name) continue;
        place.used = ++uses;
        return place.definition;
    }
    return load(name, version);
}

const Definition& definition_to_start(std::string_view name, std::int32_t version) {
    const Definition* found = find_definition(name, version);
    if (found != nullptr) return *found;
    pg::raise(pg::Error::not_found,
              {.message = version == 0 ? pg::format("no saga is defined as %s", pg::quoted(name))
                                       : pg::format("saga %s has no version %d", pg::quoted(name), version),
               .detail = "oms.saga_definition has no such row.",
               .hint = "Define it with oms.define_saga."});
}

std::int32_t define(std::string_view name, Jsonb* json) {
    Oid owner = pg::current_role();
    (void)parse(name, json, owner, true);
    // One at a time for each name. A lock on the table would be one that maintenance takes, too.
    (void)pg::lock_name(pg::LockSpace::definition, XXH3_64bits(name.data(), name.size()), pg::LockStrength::exclusive,
                        pg::LockDuration::transaction, true);
    std::int32_t version = 1;
    pg::Result newest = select_definition.run(pg::Access::writes, {{pg::text_datum(name)}, {Int32GetDatum(0)}});
    if (!newest.empty()) {
        Oid first_owner = DatumGetObjectId(newest.value(0, 2));
        pg::require_acting_as(first_owner, pg::format("saga %s", pg::quoted(name)));
        std::int32_t last = DatumGetInt32(newest.value(0, 0));
        if (first_owner == owner && same(DatumGetJsonbPCopy(newest.value(0, 1)), json)) return last;
        version = last + 1;
    }
    insert_definition.run(pg::Access::writes, {{pg::text_datum(name)},
                                               {Int32GetDatum(version)},
                                               {pg::jsonb_datum(json)},
                                               {ObjectIdGetDatum(owner)},
                                               {TimestampTzGetDatum(pg::now_us())}});
    return version;
}

namespace {

void require_allowed(const Definition& definition) {
    for (std::string_view role : definition.allowed) {
        if (pg::acts_as(role)) return;
    }
    pg::require_acting_as(definition.owner, pg::format("saga %s", pg::quoted(definition.name)));
}

}  // namespace

void require_allowed(std::string_view name, std::int32_t version) {
    require_allowed(definition_to_start(name, version));
}

void require_allowed(core::SagaId id) {
    if (const Definition* definition = definition_of(id)) require_allowed(*definition);
}

void definitions_changed(Oid relation) {
    if (relation == InvalidOid || relation == definition_relation) ++changes_announced;
}

}  // namespace oms::saga
