// oms.read_events and commit_reader: the log as a queue; doorbell_arm and doorbell_disarm: sleeping until there is something to read.
#include <limits>

#include "api/filter.hpp"
#include "api/names.hpp"
#include "log/log.hpp"
#include "pg/raise.hpp"

#include "pg/poison.hpp"

namespace oms::api {

OMS_FUNCTION(oms_read_events) {
    enum : int { name, max_events, max_bytes };
    pg::Call call{fcinfo};
    std::string_view reader = checked_reader_name(call, name);
    log::ReadLimits limits{.events = checked_count(call, max_events, "max_events", 1000, log::unconfirmed_max),
                           .bytes = call.bigint(max_bytes).value_or(std::numeric_limits<std::int64_t>::max())};
    if (limits.bytes <= 0) {
        pg::raise(pg::Error::invalid_argument, {.message = "max_bytes must be positive",
                                                .detail = pg::format("It is " INT64_FORMAT ".", limits.bytes),
                                                .hint = "Leave it out for no limit."});
    }
    pg::RowSet answer{call};
    log::read_events(reader, limits, answer);
    return Datum{0};
}

OMS_FUNCTION(oms_commit_reader) {
    enum : int { name, position };
    pg::Call call{fcinfo};
    log::commit_reader(checked_reader_name(call, name), call.bigint(position));
    return Datum{0};
}

OMS_FUNCTION(oms_doorbell_arm) {
    (void)fcinfo;
    return BoolGetDatum(log::arm_doorbell());
}

OMS_FUNCTION(oms_doorbell_disarm) {
    pg::Call call{fcinfo};
    log::disarm_doorbell();
    return Datum{0};
}

}  // namespace oms::api
