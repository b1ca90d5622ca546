// The server's own functions for jsonpath.
#include "pg/jsonpath.hpp"

#include "pg/memory.hpp"

namespace oms::pg {

namespace {

Datum path_datum(std::string_view path) { return DirectFunctionCall1(jsonpath_in, CStringGetDatum(c_string(path))); }

// Calls one of jsonb_path_*(target, path, vars, silent); nothing for NULL, which DirectFunctionCall4 would take for an error.
std::optional<Datum> query(PGFunction function, Jsonb* json, std::string_view path) {
    LOCAL_FCINFO(call, 4);
    InitFunctionCallInfoData(*call, nullptr, 4, InvalidOid, nullptr, nullptr);
    Jsonb* no_variables = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum("{}")));
    const Datum values[] = {PointerGetDatum(json), path_datum(path), PointerGetDatum(no_variables), BoolGetDatum(true)};
    for (int i = 0; i < 4; ++i) {
        call->args[i].value = values[i];
        call->args[i].isnull = false;
    }
    Datum result = function(call);
    if (call->isnull) return std::nullopt;
    return result;
}

}  // namespace

void require_jsonpath(std::string_view path) { (void)path_datum(path); }

std::optional<bool> path_says(Jsonb* json, std::string_view path) {
    std::optional<Datum> answer = query(jsonb_path_match, json, path);
    if (!answer) return std::nullopt;
    return DatumGetBool(*answer);
}

Jsonb* path_finds(Jsonb* json, std::string_view path) {
    std::optional<Datum> answer = query(jsonb_path_query_first, json, path);
    return answer ? DatumGetJsonbP(*answer) : nullptr;
}

}  // namespace oms::pg
