// The one ereport: an entry of the error table becomes PostgreSQL's error with our SQLSTATE.
#include "pg/raise.hpp"

#include <cstdarg>

#include "pg/postgres.hpp"

namespace oms::pg {

namespace {

// Long enough to recognise a value, short enough that a megabyte of input does not come back in the log.
constexpr int quoted_bytes_max = 80;

}  // namespace

void raise(Error error, const Report& report) {
    const char* s = entry_of(error).sqlstate;
    ereport(ERROR, errcode(MAKE_SQLSTATE(s[0], s[1], s[2], s[3], s[4])), errmsg_internal("%s", report.message),
            report.detail != nullptr ? errdetail_internal("%s", report.detail) : 0,
            report.hint != nullptr ? errhint("%s", report.hint) : 0);
    pg_unreachable();
}

void raise_serialization_failure(const char* message) {
    ereport(ERROR, errcode(ERRCODE_T_R_SERIALIZATION_FAILURE), errmsg_internal("%s", message),
            errhint("Roll the transaction back and repeat it."));
    pg_unreachable();
}

void report_notice(const Report& report) {
    for (int level : {NOTICE, LOG_SERVER_ONLY}) {
        ereport(level, errmsg_internal("%s", report.message),
                report.detail != nullptr ? errdetail_internal("%s", report.detail) : 0);
    }
}

char* format(const char* pattern, ...) {
    StringInfoData text;
    initStringInfo(&text);
    for (;;) {
        va_list arguments;
        va_start(arguments, pattern);
        int missing = appendStringInfoVA(&text, pattern, arguments);
        va_end(arguments);
        if (missing == 0) return text.data;
        enlargeStringInfo(&text, missing);
    }
}

char* quoted(std::string_view text) {
    int length = static_cast<int>(text.size());
    if (length <= quoted_bytes_max) return format("\"%.*s\"", length, text.data());
    int kept = pg_mbcliplen(text.data(), length, quoted_bytes_max);
    return format("\"%.*s...\" (%d bytes)", kept, text.data(), length);
}

}  // namespace oms::pg
