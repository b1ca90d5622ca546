// Looking a function up and calling it, as another role.
#include "pg/function.hpp"

#include "pg/memory.hpp"
#include "pg/raise.hpp"

namespace oms::pg {

namespace {

bool may_use_schema(Oid schema, Oid role) {
#if PG_VERSION_NUM >= 160000
    return object_aclcheck(NamespaceRelationId, schema, role, ACL_USAGE) == ACLCHECK_OK;
#else
    return pg_namespace_aclcheck(schema, role, ACL_USAGE) == ACLCHECK_OK;
#endif
}

bool may_execute(Oid function, Oid role) {
#if PG_VERSION_NUM >= 160000
    return object_aclcheck(ProcedureRelationId, function, role, ACL_EXECUTE) == ACLCHECK_OK;
#else
    return pg_proc_aclcheck(function, role, ACL_EXECUTE) == ACLCHECK_OK;
#endif
}

[[noreturn]] void raise_uncallable(int sqlstate, const char* message) {
    ereport(ERROR, errcode(sqlstate), errmsg_internal("%s", message));
    pg_unreachable();
}

const char* signature(const FunctionName& function) {
    return format("%s.%s(jsonb)", c_string(function.schema), c_string(function.name));
}

struct Callable {
    Oid oid;
    Oid result;
};

bool role_exists(Oid role) { return SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(role)); }

Callable find(Oid role, const FunctionName& function) {
    if (!role_exists(role)) {
        raise_uncallable(ERRCODE_UNDEFINED_OBJECT,
                         format("the role that registered function %s no longer exists", signature(function)));
    }
    Oid schema = get_namespace_oid(c_string(function.schema), true);
    if (!OidIsValid(schema)) {
        raise_uncallable(ERRCODE_UNDEFINED_SCHEMA, format("schema \"%s\" does not exist", c_string(function.schema)));
    }
    if (!may_use_schema(schema, role)) {
        raise_uncallable(ERRCODE_INSUFFICIENT_PRIVILEGE,
                         format("role \"%s\" may not use schema \"%s\"", role_name(role), c_string(function.schema)));
    }
    Oid argument = JSONBOID;
    HeapTuple tuple = SearchSysCache3(PROCNAMEARGSNSP, CStringGetDatum(c_string(function.name)),
                                      PointerGetDatum(buildoidvector(&argument, 1)), ObjectIdGetDatum(schema));
    if (!HeapTupleIsValid(tuple)) {
        raise_uncallable(ERRCODE_UNDEFINED_FUNCTION, format("function %s does not exist", signature(function)));
    }
    auto* form = reinterpret_cast<Form_pg_proc>(GETSTRUCT(tuple));
    Callable found{form->oid, form->prorettype};
    bool fits =
        form->prokind == PROKIND_FUNCTION && !form->proretset && (found.result == JSONBOID || found.result == VOIDOID);
    ReleaseSysCache(tuple);
    if (!fits) {
        raise_uncallable(ERRCODE_WRONG_OBJECT_TYPE,
                         format("%s must be a function that returns jsonb or void", signature(function)));
    }
    if (!may_execute(found.oid, role)) {
        raise_uncallable(ERRCODE_INSUFFICIENT_PRIVILEGE,
                         format("role \"%s\" may not execute function %s", role_name(role), signature(function)));
    }
    return found;
}

}  // namespace

void require_callable(Oid role, const FunctionName& function) { (void)find(role, function); }

Jsonb* call_as(Oid role, const FunctionName& function, Jsonb* argument, Whose whose) {
    Callable callable = find(role, function);
    Oid caller;
    int security_context;
    GetUserIdAndSecContext(&caller, &security_context);
    int setting_level = 0;
    if (whose == Whose::users) {
        setting_level = NewGUCNestLevel();
        (void)set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true,
                                0, false);
    }
    SetUserIdAndSecContext(role, security_context | SECURITY_LOCAL_USERID_CHANGE);

    // The function sees what the engine wrote before; a function in SQL or PL/pgSQL takes its own snapshot on top of this one.
    CommandCounterIncrement();
    PushActiveSnapshot(GetTransactionSnapshot());
    FmgrInfo info;
    fmgr_info(callable.oid, &info);
    LOCAL_FCINFO(call, 1);
    InitFunctionCallInfoData(*call, &info, 1, InvalidOid, nullptr, nullptr);
    call->args[0].value = PointerGetDatum(argument);
    call->args[0].isnull = false;
    Datum result = FunctionCallInvoke(call);
    Jsonb* answer = nullptr;
    if (!call->isnull && callable.result == JSONBOID) answer = DatumGetJsonbPCopy(result);
    PopActiveSnapshot();
    CommandCounterIncrement();

    SetUserIdAndSecContext(caller, security_context);
    if (whose == Whose::users) AtEOXact_GUC(false, setting_level);
    return answer;
}

void require_role(Oid role) {
    if (role_exists(role)) return;
    raise_uncallable(ERRCODE_UNDEFINED_OBJECT, format("role %u, which asked for it, no longer exists", role));
}

Oid current_role() { return GetUserId(); }

const char* role_name(Oid role) {
    const char* name = GetUserNameFromId(role, true);
    return name == nullptr ? format("%u", role) : name;
}

bool acts_as(std::string_view role) {
    if (role == "public") return true;
    Oid oid = get_role_oid(c_string(role), true);
    return OidIsValid(oid) && has_privs_of_role(GetUserId(), oid);
}

void require_acting_as(Oid role, const char* what) {
    if (has_privs_of_role(GetUserId(), role)) return;
    raise_uncallable(ERRCODE_INSUFFICIENT_PRIVILEGE, format("%s belongs to role \"%s\"", what, role_name(role)));
}

}  // namespace oms::pg
