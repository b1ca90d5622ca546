// SPI, in one place.
#include "pg/plan.hpp"

#include "pg/raise.hpp"

namespace oms::pg {

namespace {

void set_here(const char* setting, const char* value) {
    (void)set_config_option(setting, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

}  // namespace

void RoleScope::enter(Oid role) {
    GetUserIdAndSecContext(&user_, &security_context_);
    setting_level_ = NewGUCNestLevel();
    set_here("search_path", "pg_catalog, pg_temp");
    SetUserIdAndSecContext(role, security_context_ | SECURITY_LOCAL_USERID_CHANGE);
}

void RoleScope::leave() {
    SetUserIdAndSecContext(user_, security_context_);
    AtEOXact_GUC(false, setting_level_);
}

Datum Result::value(std::size_t row, int column) const {
    bool null;
    return heap_getattr(rows[row], column + 1, descriptor, &null);
}

bool Result::is_null(std::size_t row, int column) const { return heap_attisnull(rows[row], column + 1, descriptor); }

namespace {

// Runs `fn` between SPI_connect and SPI_finish; an abort undoes the level if `fn` raises.
template <class Fn>
void with_spi(Fn&& fn) {
    if (SPI_connect() != SPI_OK_CONNECT) elog(ERROR, "cannot connect to the server programming interface");
    fn();
    SPI_finish();
}

// Copies what SPI returned out of its own memory, into `target`.
Result take_result(int code, MemoryContext target) {
    Result result;
    result.count = SPI_processed;
    if (code == SPI_OK_SELECT || code == SPI_OK_INSERT_RETURNING || code == SPI_OK_UPDATE_RETURNING ||
        code == SPI_OK_DELETE_RETURNING) {
        in_context(target, [&] {
            result.rows = allocate<HeapTuple>(SPI_processed);
            result.descriptor = CreateTupleDescCopy(SPI_tuptable->tupdesc);
            for (std::size_t i = 0; i < SPI_processed; ++i) {
                result.rows[i] = heap_copytuple(SPI_tuptable->vals[i]);
            }
        });
    }
    return result;
}

void require_success(int code, const char* text) {
    if (code < 0) elog(ERROR, "%s failed for \"%s\"", SPI_result_code_string(code), text);
}

}  // namespace

void Plan::prepare() {
    SPIPlanPtr plan = SPI_prepare(text_, count_, types_.data());
    if (plan == nullptr) elog(ERROR, "cannot prepare \"%s\": %s", text_, SPI_result_code_string(SPI_result));
    require_success(SPI_keepplan(plan), text_);
    prepared_ = plan;  // published last: SPI_keepplan above can raise
}

Result Plan::run(Access access, std::initializer_list<Parameter> parameters, long limit) {
    return run_as(extension_owner(), access, parameters, limit);
}

Result Plan::run_as(Oid role, Access access, std::initializer_list<Parameter> parameters, long limit) {
    Assert(static_cast<int>(parameters.size()) == count_);
    Datum values[parameters_max];
    char nulls[parameters_max];
    int i = 0;
    for (const Parameter& parameter : parameters) {
        values[i] = parameter.value;
        nulls[i++] = parameter.null ? 'n' : ' ';
    }
    MemoryContext target = CurrentMemoryContext;
    Result result;
    as_role(role, [&] {
        if (planned_ == Planned::by_index) {
            set_here("enable_seqscan", "off");
            set_here("jit", "off");  // whatever stays without an index would seem to be worth compiling
        }
        with_spi([&] {
            if (prepared_ == nullptr) prepare();
            int code = SPI_execute_plan(prepared_, values, nulls, access == Access::reads, limit);
            require_success(code, text_);
            result = take_result(code, target);
        });
    });
    return result;
}

Result run_once(Access access, const char* statement, std::span<const Oid> types, std::span<const Datum> values,
                std::span<const bool> nulls) {
    MemoryContext target = CurrentMemoryContext;
    Result result;
    std::span<char> marks = allocate<char>(values.size() + 1);
    for (std::size_t i = 0; i < values.size(); ++i) marks[i] = nulls[i] ? 'n' : ' ';
    as_owner([&] {
        with_spi([&] {
            int code =
                SPI_execute_with_args(statement, static_cast<int>(values.size()), const_cast<Oid*>(types.data()),
                                      const_cast<Datum*>(values.data()), marks.data(), access == Access::reads, 0);
            require_success(code, statement);
            result = take_result(code, target);
        });
    });
    return result;
}

}  // namespace oms::pg
