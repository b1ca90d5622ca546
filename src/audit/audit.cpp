// One row for each forced act.
#include "audit/audit.hpp"

#include "pg/entry.hpp"
#include "pg/plan.hpp"
#include "pg/settings.hpp"

#include "pg/poison.hpp"

namespace oms::audit {

namespace {

constinit pg::Plan insert_entry{
    "INSERT INTO oms.audit (at, session_role, actor, operation, object, reason, before, after) "
    "VALUES ($1, session_user, $2, $3, $4, $5, $6, $7)",
    {TIMESTAMPTZOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, JSONBOID, JSONBOID}};

}  // namespace

void record(const Entry& entry) {
    insert_entry.run(pg::Access::writes, {{TimestampTzGetDatum(pg::now_us())},
                                          {pg::text_datum(entry.actor)},
                                          {pg::text_datum(entry.operation)},
                                          {pg::text_datum(entry.object)},
                                          {pg::text_datum(entry.reason)},
                                          {pg::jsonb_datum(entry.before)},
                                          {pg::jsonb_datum(entry.after)}});
}

}  // namespace oms::audit
