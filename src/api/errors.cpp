// oms.errors and oms.version: the system about itself.
#include "pg/entry.hpp"
#include "pg/errors.hpp"

#include "pg/poison.hpp"

namespace oms::api {

OMS_FUNCTION(oms_errors) {
    pg::Call call{fcinfo};
    pg::RowSet answer{call};
    for (const pg::ErrorEntry& entry : pg::errors) {
        const Datum values[] = {pg::text_datum(entry.sqlstate), pg::text_datum(entry.name),
                                BoolGetDatum(entry.retryable), pg::text_datum(entry.meaning),
                                pg::text_datum(entry.action)};
        const bool nulls[std::size(values)] = {};
        answer.add(values, nulls);
    }
    return Datum{0};
}

OMS_FUNCTION(oms_version) {
    (void)fcinfo;
    return pg::text_datum(OMS_VERSION);
}

}  // namespace oms::api
