// oms.dlq_list, dlq_replay, dlq_discard: what operators do about events that could not be delivered. Each change is audited.
#include <algorithm>
#include <utility>

#include "api/filter.hpp"
#include "api/request.hpp"
#include "audit/audit.hpp"
#include "dead_letters/dead_letters.hpp"
#include "pg/arrays.hpp"
#include "pg/json_object.hpp"
#include "pg/memory.hpp"
#include "pg/raise.hpp"
#include "pg/settings.hpp"

#include "pg/poison.hpp"

namespace oms::api {
namespace {

constexpr std::int32_t limit_max = 10'000;

constexpr std::array known{
    FilterMember{"reader", FilterKind::text, " AND reader = %d"},
    FilterMember{"topic", FilterKind::text, " AND topic = %d"},
    FilterMember{"key", FilterKind::text, " AND key = %d"},
    FilterMember{"aggregate_type", FilterKind::text, " AND aggregate_type = %d"},
    FilterMember{"aggregate_id", FilterKind::text, " AND aggregate_id = %d"},
    FilterMember{"status", FilterKind::text_or_list, " AND status = ANY (%d)"},
    FilterMember{"created_from", FilterKind::time, " AND created_at >= %d"},
    FilterMember{"created_to", FilterKind::time, " AND created_at < %d"},
};

// The columns of the answers of dlq_replay and dlq_discard; the letter's status stands in the place of the outcome.
constexpr const char* select_letters =
    "SELECT dead_letter_id, reader, event_id, topic, key, error, attempts, status FROM oms.dead_letter WHERE true";
enum Column : int { dead_letter_id, reader, event_id, topic, key, error, attempts, status, columns };

struct Chosen {
    pg::Result rows;
    std::span<const std::int64_t> ids;
};

std::span<const std::int64_t> checked_ids(const pg::Call& call, int position) {
    std::optional<std::span<const Datum>> given;
    if (!call.is_null(position)) given = pg::array_elements(call.datum(position), INT8OID);
    if (!given || given->empty() || std::cmp_greater(given->size(), limit_max)) {
        pg::raise(pg::Error::invalid_argument,
                  {.message = pg::format("ids is not a list of 1 to %d dead letters", limit_max),
                   .detail = given ? pg::format("It has %zu elements.", given->size())
                                   : "It is NULL, contains a NULL or has several dimensions.",
                   .hint = "Take the ids from oms.dlq_list."});
    }
    std::span<std::int64_t> ids = pg::allocate<std::int64_t>(given->size());
    for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = DatumGetInt64((*given)[i]);
    return ids;
}

Chosen run(Query& query) {
    pg::Result rows = query.run();
    std::span<std::int64_t> ids = pg::allocate<std::int64_t>(rows.count);
    for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = DatumGetInt64(rows.value(i, Column::dead_letter_id));
    return {rows, ids};
}

// Exactly these; each must exist, so that a mistyped id is not passed over.
Chosen choose_by_id(std::span<const std::int64_t> ids) {
    Query query{select_letters};
    query.append(" AND dead_letter_id = ANY (%d)", INT8ARRAYOID, pg::bigint_array_datum(ids));
    query.append(" ORDER BY event_id, dead_letter_id");
    Chosen chosen = run(query);
    for (std::int64_t id : ids) {
        if (std::ranges::find(chosen.ids, id) != chosen.ids.end()) continue;
        pg::raise(pg::Error::not_found, {.message = pg::format("dead letter " INT64_FORMAT " does not exist", id),
                                         .detail = "oms.dead_letter has no such row.",
                                         .hint = "Take the ids from oms.dlq_list."});
    }
    return chosen;
}

Chosen choose_by_filter(Jsonb* filter, std::int32_t limit) {
    Query query{select_letters};
    query.append(" AND status = 'failed'");
    append_conditions(query, filter, known);
    query.append(" ORDER BY event_id, dead_letter_id LIMIT %d", INT4OID, Int32GetDatum(limit));
    return run(query);
}

bool allows(const pg::Result& rows, std::size_t row, std::span<const std::string_view> statuses) {
    return std::ranges::find(statuses, pg::text_view(rows.value(row, Column::status))) != statuses.end();
}

// Answers with the chosen letters; `done` names those that were changed, or would be.
template <class Outcome>
void report(const pg::Call& call, const Chosen& chosen, Outcome&& outcome_of) {
    pg::RowSet answer{call};
    for (std::size_t i = 0; i < chosen.rows.count; ++i) {
        std::array<Datum, Column::columns> values;
        std::array<bool, Column::columns> nulls;
        for (int column = 0; column < Column::columns; ++column) {
            auto k = static_cast<std::size_t>(column);
            nulls[k] = chosen.rows.is_null(i, column);
            if (!nulls[k]) values[k] = chosen.rows.value(i, column);
        }
        values[Column::status] = pg::text_datum(outcome_of(i));
        answer.add(values.data(), nulls.data());
    }
}

std::string_view unchanged(const Chosen& chosen, std::size_t row) {
    return pg::format("is %s", pg::c_string(pg::text_view(chosen.rows.value(row, Column::status))));
}

void audit(std::string_view operation, const dead_letters::Wish& wish, dead_letters::Changed changed,
           std::string_view after) {
    if (changed.empty()) return;
    StringInfoData ids;
    initStringInfo(&ids);
    for (std::int64_t id : changed) appendStringInfo(&ids, "%s" INT64_FORMAT, ids.len == 0 ? "" : ", ", id);
    pg::JsonObject was;
    was.text("dead_letters", {ids.data, static_cast<std::size_t>(ids.len)});
    pg::JsonObject is;
    is.text("status", after);
    audit::record({.actor = wish.actor,
                   .operation = operation,
                   .object = pg::format("%zu dead letter%s", changed.size(), changed.size() == 1 ? "" : "s"),
                   .reason = wish.reason,
                   .before = was.finish(),
                   .after = is.finish()});
}

bool contains(dead_letters::Changed changed, std::int64_t id) { return std::ranges::binary_search(changed, id); }

}  // namespace

OMS_FUNCTION(oms_dlq_list) {
    enum : int { filter, limit };
    pg::Call call{fcinfo};
    Query query{
        "SELECT dead_letter_id, reader, event_id, aggregate_type, aggregate_id, topic, key, error, attempts, status, "
        "created_at, updated_at "
        "FROM oms.dead_letter WHERE true"};
    append_conditions(query, call.jsonb(filter), known);
    query.append(" ORDER BY event_id, dead_letter_id");
    return answer_page(call, query, limit, limit_max);
}

OMS_FUNCTION(oms_dlq_replay) {
    enum : int { ids, filter, limit, rate, dry_run, reason };
    constexpr std::array replayable{std::string_view{"failed"}};
    pg::Call call{fcinfo};
    std::int32_t most = checked_count(call, limit, "limit", 100, limit_max);
    if (call.is_null(ids) == (call.jsonb(filter) == nullptr)) {
        pg::raise(pg::Error::invalid_argument,
                  {.message = "either ids or filter is needed",
                   .detail = call.is_null(ids) ? "Both are NULL." : "Both are given.",
                   .hint = "Pass exact ids from oms.dlq_list, or a filter such as {\"topic\": \"orders\"}."});
    }
    Chosen chosen =
        call.is_null(ids) ? choose_by_filter(call.jsonb(filter), most) : choose_by_id(checked_ids(call, ids));
    if (call.boolean(dry_run).value_or(true)) {
        report(call, chosen, [&](std::size_t i) -> std::string_view {
            return allows(chosen.rows, i, replayable) ? "would be replayed" : unchanged(chosen, i);
        });
        return Datum{0};
    }
    dead_letters::Wish wish{.actor = pg::settings::actor(),
                            .reason = required_bounded_text(call, reason, "reason", reason_bytes_max),
                            .rate = std::nullopt};
    if (!call.is_null(rate)) wish.rate = checked_count(call, rate, "rate", 1, limit_max);
    dead_letters::Changed changed = dead_letters::replay(chosen.ids, wish);
    audit("dlq_replay", wish, changed, "replaying");
    report(call, chosen, [&](std::size_t i) -> std::string_view {
        return contains(changed, chosen.ids[i]) ? "replaying" : unchanged(chosen, i);
    });
    return Datum{0};
}

OMS_FUNCTION(oms_dlq_discard) {
    enum : int { ids, reason };
    pg::Call call{fcinfo};
    Chosen chosen = choose_by_id(checked_ids(call, ids));
    dead_letters::Wish wish{.actor = pg::settings::actor(),
                            .reason = required_bounded_text(call, reason, "reason", reason_bytes_max),
                            .rate = std::nullopt};
    dead_letters::Changed changed = dead_letters::discard(chosen.ids);
    audit("dlq_discard", wish, changed, "discarded");
    report(call, chosen, [&](std::size_t i) -> std::string_view {
        return contains(changed, chosen.ids[i]) ? "discarded" : unchanged(chosen, i);
    });
    return Datum{0};
}

}  // namespace oms::api
