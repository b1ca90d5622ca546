// Definitions: registering one, finding one, and what a session keeps of them.
#include "pg/catalog.hpp"
#include "pg/plan.hpp"
#include "pg/raise.hpp"
#include "pg/settings.hpp"
#include "saga/instance.hpp"

#include "pg/poison.hpp"

namespace oms::saga {

namespace {

constinit pg::Plan select_definition{
    "SELECT version, definition, owner FROM oms.saga_definition WHERE name = $1 AND ($2 = 0 OR version = $2) "
    "ORDER BY version DESC LIMIT 1",
    {TEXTOID, INT4OID}};
constinit pg::Plan lock_definitions{"LOCK TABLE oms.saga_definition IN SHARE ROW EXCLUSIVE MODE", {}};
constinit pg::Plan insert_definition{
    "INSERT INTO oms.saga_definition (name, version, definition, owner, created_at) VALUES ($1, $2, $3, $4, $5)",
    {TEXTOID, INT4OID, JSONBOID, OIDOID, TIMESTAMPTZOID}};

// Parsed definitions, the versions of a name linked; version 0 is kept beside its own number as "the newest".
struct Kept {
    Definition definition;
    std::int32_t asked_version;
    Kept* next;
};

constinit MemoryContext kept_memory = nullptr;
constinit Kept* kept = nullptr;
constinit std::uint64_t changes_announced = 1;
constinit std::uint64_t changes_loaded = 0;
constinit Oid definition_relation = InvalidOid;

// Whoever is in the middle of advancing a saga keeps its definition until the transaction ends.
void forget_when_changed() {
    if (changes_loaded == changes_announced) return;
    definition_relation = pg::relation_oid("saga_definition");
    if (kept_memory != nullptr) pg::drop_at_end_of_transaction(kept_memory);
    kept_memory = nullptr;
    kept = nullptr;
    changes_loaded = changes_announced;
}

const Definition* load(std::string_view name, std::int32_t version) {
    pg::Result rows = select_definition.run(pg::Access::writes, {{pg::text_datum(name)}, {Int32GetDatum(version)}});
    if (rows.empty()) return nullptr;
    if (kept_memory == nullptr) kept_memory = pg::new_session_context("oms saga definitions");
    Kept* loaded = pg::in_context(kept_memory, [&] {
        Kept* made = pg::allocate<Kept>(1).data();
        // Without checks: what has vanished since is the failure of the step that needs it.
        made->definition =
            parse(pg::copied(name), DatumGetJsonbPCopy(rows.value(0, 1)), DatumGetObjectId(rows.value(0, 2)), false);
        made->definition.version = DatumGetInt32(rows.value(0, 0));
        made->asked_version = version;
        return made;
    });
    loaded->next = kept;
    kept = loaded;  // published last: everything above can raise
    return &loaded->definition;
}

bool same(const Jsonb* one, const Jsonb* other) {
    // The stored form is canonical.
    return VARSIZE(one) == VARSIZE(other) && std::memcmp(one, other, VARSIZE(one)) == 0;
}

}  // namespace

const Definition* find_definition(std::string_view name, std::int32_t version) {
    forget_when_changed();
    for (Kept* each = kept; each != nullptr; each = each->next) {
        if (each->asked_version == version && each->definition.name == name) return &each->definition;
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
    lock_definitions.run(pg::Access::writes, {});
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
