// The server's own functions for jsonpath.
#include "pg/jsonpath.hpp"

#include "pg/memory.hpp"

namespace oms::pg {

namespace {

constinit Jsonb* empty_object = nullptr;

Jsonb* no_variables() {
    if (empty_object == nullptr) {
        replace_kept(empty_object, DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum("{}"))));
    }
    return empty_object;
}

// Calls one of jsonb_path_*(target, path, vars, silent); nothing for NULL, which DirectFunctionCall4 would take for an error.
std::optional<Datum> query(PGFunction function, Jsonb* json, const JsonPath& path) {
    LOCAL_FCINFO(call, 4);
    InitFunctionCallInfoData(*call, nullptr, 4, InvalidOid, nullptr, nullptr);
    const Datum values[] = {PointerGetDatum(json), PointerGetDatum(path.read), PointerGetDatum(no_variables()),
                            BoolGetDatum(true)};
    for (int i = 0; i < 4; ++i) {
        call->args[i].value = values[i];
        call->args[i].isnull = false;
    }
    Datum result = function(call);
    if (call->isnull) return std::nullopt;
    return result;
}

}  // namespace

JsonPath read_jsonpath(std::string_view text) {
    return {DatumGetPointer(DirectFunctionCall1(jsonpath_in, CStringGetDatum(c_string(text))))};
}

std::optional<bool> path_says(Jsonb* json, const JsonPath& path) {
    std::optional<Datum> answer = query(jsonb_path_match, json, path);
    if (!answer) return std::nullopt;
    return DatumGetBool(*answer);
}

Jsonb* path_finds(Jsonb* json, const JsonPath& path) {
    std::optional<Datum> answer = query(jsonb_path_query_first, json, path);
    return answer ? DatumGetJsonbP(*answer) : nullptr;
}

}  // namespace oms::pg
