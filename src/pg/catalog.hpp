// What the session remembers of the catalog: the extension's owner and schema, and who wants to know when a relation changes.
#pragma once

#include "pg/postgres.hpp"

namespace oms::pg {

inline constexpr const char* schema_name = "oms";

Oid extension_schema();
Oid extension_owner();

// Oid of the database that the session is connected to.
Oid database();

// Oid of a relation of ours; raises layout_changed when it is gone.
Oid relation_oid(const char* name);

// Calls `callback` with a relation's oid whenever its definition changes, and with InvalidOid when anything may have changed. Register
// once, from _PG_init. The callback must not raise and must not look at the catalog.
void on_relation_change(void (*callback)(Oid relation));

// Makes every session's on_relation_change callbacks hear of `relation` when this transaction commits.
void announce_relation_change(Oid relation);

}  // namespace oms::pg
