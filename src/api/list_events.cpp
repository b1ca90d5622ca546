// oms.list_events: the log by filter, in id order, by keyset. For people and reports; a program that must miss nothing uses a reader.
#include "api/filter.hpp"
#include "pg/memory.hpp"
#include "pg/raise.hpp"

#include "pg/poison.hpp"

namespace oms::api {
namespace {

enum Argument : int { filter, cursor, limit };
constexpr std::array known{
    FilterMember{"aggregate_type", FilterKind::text, " AND aggregate_type = %d"},
    FilterMember{"aggregate_id", FilterKind::text, " AND aggregate_id = %d"},
    FilterMember{"type", FilterKind::text_or_list, " AND type = ANY (%d)"},
    FilterMember{"topic", FilterKind::text, " AND topic = %d"},
    FilterMember{"occurred_from", FilterKind::time, " AND occurred_at >= %d"},
    FilterMember{"occurred_to", FilterKind::time, " AND occurred_at < %d"},
};
constexpr std::array others{std::string_view{"order"}};

bool wants_descending(Jsonb* given) {
    if (given == nullptr || pg::kind_of(given) != pg::JsonKind::object) return false;
    pg::JsonMember order = pg::member_of(&given->root, "order");
    if (order.kind == pg::JsonKind::missing) return false;
    if (order.kind == pg::JsonKind::text && order.text() == "asc") return false;
    if (order.kind == pg::JsonKind::text && order.text() == "desc") return true;
    pg::raise(pg::Error::invalid_argument, {.message = "filter member \"order\" is neither \"asc\" nor \"desc\"",
                                            .detail = pg::format("It is %s.", pg::kind_name(order.kind)),
                                            .hint = "Leave it out for ascending order."});
}

}  // namespace

OMS_FUNCTION(oms_list_events) {
    pg::Call call{fcinfo};
    bool descending = wants_descending(call.jsonb(filter));
    Query query{
        "SELECT id, aggregate_type, aggregate_id, seq, type, topic, key, payload, headers, occurred_at, id::text AS "
        "next_cursor FROM oms.event "
        "WHERE true"};
    append_conditions(query, call.jsonb(filter), known, others);
    if (std::optional<std::string_view> position = call.text(cursor)) {
        query.append(descending ? " AND id < %d" : " AND id > %d", INT8OID, Int64GetDatum(number_of_cursor(*position)));
    }
    query.append(descending ? " ORDER BY id DESC" : " ORDER BY id");
    return answer_page(call, query, limit);
}

}  // namespace oms::api
