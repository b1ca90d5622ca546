// Cached facts of the catalog, dropped when PostgreSQL says that they may have changed.
#include "pg/catalog.hpp"

#include "pg/memory.hpp"
#include "pg/raise.hpp"

namespace oms::pg {

namespace {

// Any table that CREATE EXTENSION makes: whoever ran it owns them all.
constexpr const char* log_name = "event";

constinit Oid cached_schema = InvalidOid;
constinit bool namespace_callback_registered = false;
constinit MemoryContext kept = nullptr;

void forget_schema(Datum, int, uint32) { cached_schema = InvalidOid; }

void load_schema() {
    if (!namespace_callback_registered) {
        CacheRegisterSyscacheCallback(NAMESPACEOID, forget_schema, Datum{0});
        namespace_callback_registered = true;
    }
    cached_schema = get_namespace_oid(schema_name, false);
}

}  // namespace

MemoryContext session_context() {
    if (kept == nullptr) kept = AllocSetContextCreate(TopMemoryContext, "oms session", ALLOCSET_DEFAULT_SIZES);
    return kept;
}

MemoryContext new_session_context(const char* name) {
    // AllocSetContextCreate wants a constant; the name given here is one, which its macro cannot see.
    MemoryContext context = AllocSetContextCreateInternal(session_context(), "oms", ALLOCSET_SMALL_SIZES);
    MemoryContextSetIdentifier(context, name);
    return context;
}

MemoryContext new_context(const char* name) {
    MemoryContext context = AllocSetContextCreateInternal(CurrentMemoryContext, "oms", ALLOCSET_SMALL_SIZES);
    MemoryContextSetIdentifier(context, name);
    return context;
}

void keep_context(MemoryContext context) { MemoryContextSetParent(context, session_context()); }

Oid extension_schema() {
    if (!OidIsValid(cached_schema)) load_schema();
    return cached_schema;
}

Oid database() { return MyDatabaseId; }

Oid relation_oid(const char* name) {
    Oid relation = get_relname_relid(name, extension_schema());
    if (!OidIsValid(relation)) {
        raise(Error::layout_changed, {.message = format("relation %s.%s is missing", schema_name, name),
                                      .detail = "The extension's schema does not contain it.",
                                      .hint = "Run CREATE EXTENSION oms, or ALTER EXTENSION oms UPDATE."});
    }
    return relation;
}

// Not the owner of the schema: that one may be older than the extension, outlive it, and have no rights on its tables. Not kept either: the catalog
// cache answers in a tenth of a microsecond, and follows CREATE EXTENSION by somebody else.
Oid extension_owner() {
    HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation_oid(log_name)));
    if (!HeapTupleIsValid(tuple)) elog(ERROR, "relation %s.%s disappeared", schema_name, log_name);
    Oid owner = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple))->relowner;
    ReleaseSysCache(tuple);
    return owner;
}

namespace {

void relation_changed(Datum callback, Oid relation) { reinterpret_cast<void (*)(Oid)>(callback)(relation); }

}  // namespace

void on_relation_change(void (*callback)(Oid)) {
    CacheRegisterRelcacheCallback(relation_changed, reinterpret_cast<Datum>(callback));
}

void announce_relation_change(Oid relation) { CacheInvalidateRelcacheByRelid(relation); }

}  // namespace oms::pg
