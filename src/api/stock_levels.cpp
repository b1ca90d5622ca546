// oms.set_stock and oms.adjust_stock, and what they answer: what is on hand of a sku. Each change stays in the log, in the sku's stream.
#include "api/filter.hpp"
#include "api/request.hpp"
#include "log/log.hpp"
#include "pg/memory.hpp"
#include "pg/plan.hpp"
#include "pg/raise.hpp"
#include "stock/stock.hpp"

#include "pg/poison.hpp"

namespace oms::api {
namespace {

constexpr std::size_t sku_bytes_max = 255;
[[noreturn]] void refuse(const char* message, std::int64_t found, const char* hint) {
    pg::raise(pg::Error::invalid_argument,
              {.message = message, .detail = pg::format("It is " INT64_FORMAT ".", found), .hint = hint});
}

std::int64_t required_number(const pg::Call& call, int position, const char* name) {
    if (std::optional<std::int64_t> number = call.bigint(position)) return *number;
    pg::raise(pg::Error::invalid_argument, {.message = pg::format("%s is missing", name),
                                            .detail = pg::format("The argument %s is NULL.", name),
                                            .hint = pg::format("Pass a value for %s.", name)});
}

void say(const stock::Level& level, std::string_view type, std::string_view reason) {
    pg::JsonObject json;
    json.text("sku", level.sku);
    json.number("on_hand", level.on_hand);
    json.number("reserved", level.reserved);
    json.text_or_null("reason", reason);
    json.time("occurred_at", level.updated_at);
    const log::StreamEvent event{.type = type,
                                 .payload = json.finish(),
                                 .headers = nullptr,
                                 .delivery = log::Delivery::routed,
                                 .topic = {},
                                 .key = {}};
    log::append_to_stream("stock", level.sku, log::any_version, {&event, 1});
}

constinit pg::Plan select_level{
    "SELECT jsonb_build_object('sku', sku, 'on_hand', sum(on_hand), 'reserved', sum(reserved), "
    "'available', sum(on_hand) - sum(reserved), 'buckets', max(buckets), 'updated_at', max(updated_at)) "
    "FROM oms.stock WHERE sku = $1 GROUP BY sku",
    {TEXTOID}};

constexpr std::array known{
    FilterMember{"sku", FilterKind::text_or_list, " AND sku = ANY (%d)"},
    FilterMember{"updated_from", FilterKind::time, " AND updated_at >= %d"},
    FilterMember{"updated_to", FilterKind::time, " AND updated_at < %d"},
};

}  // namespace

OMS_FUNCTION(oms_set_stock) {
    enum : int { sku, on_hand, idempotency_key, buckets, reason };
    pg::Call call{fcinfo};
    std::string_view name = required_bounded_text(call, sku, "sku", sku_bytes_max);
    std::int64_t count = required_number(call, on_hand, "on_hand");
    std::optional<std::int32_t> parts = call.integer(buckets);
    std::string_view why = bounded_text(call, reason, "reason", reason_bytes_max);
    if (count < 0) refuse("on_hand must not be negative", count, "What is not there counts as 0.");
    if (parts && (*parts < 1 || *parts > stock::buckets_max)) {
        refuse(pg::format("buckets must be 1 to %d", stock::buckets_max), *parts,
               "One bucket is the rule; as many as there are buyers at once for an item that all want.");
    }
    RequestFingerprint request{"set_stock"};
    request.add(name).add(std::optional{count}).add(parts).add(call.text(reason));
    return run_command(call, idempotency_key, "set_stock", request, stock::decode, [&] {
        stock::Level level = stock::set(name, count, parts);
        say(level, "stock.set", why);
        return level;
    });
}

OMS_FUNCTION(oms_adjust_stock) {
    enum : int { sku, delta, reason, idempotency_key };
    pg::Call call{fcinfo};
    std::string_view name = required_bounded_text(call, sku, "sku", sku_bytes_max);
    std::int64_t change = required_number(call, delta, "delta");
    std::string_view why = bounded_text(call, reason, "reason", reason_bytes_max);
    if (change == 0) refuse("delta must not be 0", change, "Pass how many pieces came, or with a minus how many went.");
    RequestFingerprint request{"adjust_stock"};
    request.add(name).add(std::optional{change}).add(call.text(reason));
    return run_command(call, idempotency_key, "adjust_stock", request, stock::decode, [&] {
        stock::Level level = stock::adjust(name, change);
        say(level, "stock.adjusted", why);
        return level;
    });
}

OMS_FUNCTION(oms_get_stock) {
    pg::Call call{fcinfo};
    std::string_view name = call.required_text(0, "sku");
    pg::Result rows = select_level.run(pg::Access::reads, {{pg::text_datum(name)}});
    if (!rows.empty()) return rows.value(0, 0);
    pg::raise(pg::Error::not_found, {.message = pg::format("sku %s has no stock", pg::quoted(name)),
                                     .detail = "Its stock was never set.",
                                     .hint = "oms.list_stock shows what there is."});
}

OMS_FUNCTION(oms_list_stock) {
    enum : int { filter, cursor, limit };
    pg::Call call{fcinfo};
    Query query{
        "SELECT sku, sum(on_hand)::bigint, sum(reserved)::bigint, (sum(on_hand) - sum(reserved))::bigint, "
        "max(buckets), "
        "max(updated_at), sku AS next_cursor FROM oms.stock WHERE true"};
    append_conditions(query, call.jsonb(filter), known);
    if (std::optional<std::string_view> position = call.text(cursor)) {
        query.append(" AND sku > %d", TEXTOID, pg::text_datum(*position));
    }
    query.append(" GROUP BY sku ORDER BY sku");
    return answer_page(call, query, limit);
}

}  // namespace oms::api
