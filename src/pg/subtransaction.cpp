// The one PG_TRY of the extension.
#include "pg/subtransaction.hpp"

#include "pg/memory.hpp"

namespace oms::pg {

namespace {

std::string_view text_or_empty(const char* text) { return text == nullptr ? std::string_view{} : copied(text); }

bool must_be_seen_by_the_transaction(int sqlstate, Conflicts conflicts) {
    int category = ERRCODE_TO_CATEGORY(sqlstate);
    if (category == ERRCODE_TO_CATEGORY(ERRCODE_QUERY_CANCELED)) return true;
    if (category != ERRCODE_TO_CATEGORY(ERRCODE_T_R_SERIALIZATION_FAILURE)) return false;
    return conflicts == Conflicts::end_the_transaction || IsolationUsesXactSnapshot();
}

}  // namespace

std::optional<Failure> attempt_call(void (*call)(void*), void* argument, Conflicts conflicts) {
    MemoryContext context = CurrentMemoryContext;
    ResourceOwner owner = CurrentResourceOwner;
    ErrorData* volatile error = nullptr;

    BeginInternalSubTransaction(nullptr);
    // The caller's memory, not the subtransaction's: what the callable returns has to outlive it.
    MemoryContextSwitchTo(context);
    PG_TRY();
    {
        call(argument);
        ReleaseCurrentSubTransaction();
    }
    PG_CATCH();
    {
        MemoryContextSwitchTo(context);
        error = CopyErrorData();
        FlushErrorState();
        RollbackAndReleaseCurrentSubTransaction();
    }
    PG_END_TRY();
    MemoryContextSwitchTo(context);
    CurrentResourceOwner = owner;

    if (error == nullptr) return std::nullopt;
    if (must_be_seen_by_the_transaction(error->sqlerrcode, conflicts)) ReThrowError(error);
    // unpack_sql_state() answers from a static buffer.
    return Failure{copied(unpack_sql_state(error->sqlerrcode)), text_or_empty(error->message),
                   text_or_empty(error->detail), text_or_empty(error->hint)};
}

void raise_again(const Failure& failure) {
    const std::string_view s = failure.sqlstate;
    auto text = [](std::string_view view) { return view.empty() ? nullptr : c_string(view); };
    const char* detail = text(failure.detail);
    const char* hint = text(failure.hint);
    ereport(ERROR, errcode(MAKE_SQLSTATE(s[0], s[1], s[2], s[3], s[4])),
            errmsg_internal("%s", c_string(failure.message)), detail != nullptr ? errdetail_internal("%s", detail) : 0,
            hint != nullptr ? errhint("%s", hint) : 0);
    pg_unreachable();
}

}  // namespace oms::pg
