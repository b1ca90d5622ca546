// oms.list_queued_commands and oms.purge_queued_commands.
#include "api/filter.hpp"
#include "pg/memory.hpp"
#include "pg/raise.hpp"
#include "pg/settings.hpp"

#include "pg/poison.hpp"

namespace oms::api {
namespace {

constexpr std::int32_t purged_max = 10'000;
constexpr std::int64_t age_max_us = 36'500 * USECS_PER_DAY;

constexpr std::array known{
    FilterMember{"order_id", FilterKind::uuid, " AND order_id = %d"},
    FilterMember{"command", FilterKind::text_or_list, " AND command = ANY (%d)"},
    FilterMember{"status", FilterKind::text_or_list, " AND status = ANY (%d)"},
    FilterMember{"asked_from", FilterKind::time, " AND asked_at >= %d"},
    FilterMember{"asked_to", FilterKind::time, " AND asked_at < %d"},
};

// SKIP LOCKED: two calls at the same time do not wait for each other.
constinit pg::Plan delete_closed{
    "DELETE FROM oms.queued_command WHERE command_id IN (SELECT command_id FROM oms.queued_command WHERE status <> "
    "'waiting' AND closed_at <= $1 ORDER BY command_id LIMIT $2 FOR UPDATE SKIP LOCKED)",
    {TIMESTAMPTZOID, INT4OID}};

}  // namespace

OMS_FUNCTION(oms_list_queued_commands) {
    enum : int { filter, cursor, limit };
    pg::Call call{fcinfo};
    Query query{
        "SELECT command_id, order_id, command, arguments, idempotency_key, status, asked_by::text, headers ->> "
        "'actor', "
        "asked_at, give_up_at, attempts, closed_at, error_code, error, answer, command_id::text AS next_cursor "
        "FROM oms.queued_command WHERE true"};
    append_conditions(query, call.jsonb(filter), known);
    if (std::optional<std::string_view> position = call.text(cursor)) {
        query.append(" AND command_id < %d", INT8OID, Int64GetDatum(number_of_cursor(*position)));
    }
    query.append(" ORDER BY command_id DESC");
    return answer_page(call, query, limit);
}

OMS_FUNCTION(oms_purge_queued_commands) {
    enum : int { older_than, limit };
    pg::Call call{fcinfo};
    std::optional<std::int64_t> age = call.interval_us(older_than);
    if (!age || *age < 0 || *age > age_max_us) {
        pg::raise(pg::Error::invalid_argument,
                  {.message = "older_than must be 0 to 100 years",
                   .detail = age ? pg::format("It is " INT64_FORMAT " microseconds.", *age) : "It is NULL.",
                   .hint = "Pass how long a command is kept after its end, as '30 days'."});
    }
    std::int32_t size = checked_count(call, limit, "limit", 1000, purged_max);
    pg::Result gone =
        delete_closed.run(pg::Access::writes, {{TimestampTzGetDatum(pg::now_us() - *age)}, {Int32GetDatum(size)}});
    return Int32GetDatum(static_cast<std::int32_t>(gone.count));
}

}  // namespace oms::api
