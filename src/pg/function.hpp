// Calling a function of somebody's by name, with one jsonb, as the role that asked for it.
//
// Neither the caller's role nor his search_path have a say: the function runs as `role`, with search_path = pg_catalog, pg_temp, like a
// SECURITY DEFINER function that protects itself. What the role may not call, it may not have called here either. To functions of the extension's own
// the search_path is nothing, as to its commands: theirs is left as it is, for setting it costs as much as some of them.
#pragma once

#include <string_view>

#include "pg/jump.hpp"
#include "pg/postgres.hpp"

namespace oms::pg {

struct FunctionName {
    std::string_view schema, name;

    bool empty() const { return name.empty(); }
};
static_assert(JumpSafe<FunctionName>);

// Raises undefined_function, insufficient_privilege and the like when `role` cannot call schema.name(jsonb), or when it does not return
// jsonb or void.
void require_callable(Oid role, const FunctionName& function);

enum class Whose : bool { users, extensions };

// Calls schema.name(argument) as `role`; nullptr for NULL and for void. Raises what require_callable() or the function raises, so call it within
// attempt().
Jsonb* call_as(Oid role, const FunctionName& function, Jsonb* argument, Whose whose);

// Raises undefined_object when there is no such role any more.
void require_role(Oid role);

Oid current_role();
const char* role_name(Oid role);

// True when the current role is `role` or a member of it; for "public" always, for a role that does not exist never.
bool acts_as(std::string_view role);

// Raises insufficient_privilege unless the current role is `role`, a member of it, or a superuser. `what` belongs to that role.
void require_acting_as(Oid role, const char* what);

}  // namespace oms::pg
