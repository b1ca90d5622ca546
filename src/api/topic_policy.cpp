// oms.topic_policies, set_topic_policy, record_receipts: what the owner decided for a topic, and where its events arrived.
#include "api/names.hpp"
#include "log/log.hpp"
#include "pg/arrays.hpp"
#include "pg/plan.hpp"
#include "pg/raise.hpp"

#include "pg/poison.hpp"

namespace oms::api {
namespace {

constinit pg::Plan select_policies{"SELECT topic, on_reject, receipts FROM oms.topic_policy ORDER BY topic", {}};
constinit pg::Plan store_policy{
    "INSERT INTO oms.topic_policy (topic, on_reject, receipts) VALUES ($1, $2, $3) "
    "ON CONFLICT (topic) DO UPDATE SET on_reject = excluded.on_reject, receipts = excluded.receipts",
    {TEXTOID, TEXTOID, BOOLOID}};
constinit pg::Plan insert_receipts{
    "INSERT INTO oms.receipt (event_id, reader, topic, partition, \"offset\", broker_time) "
    "SELECT r.event_id, $1, r.topic, r.partition, r.place, r.broker_time FROM unnest($2, $3, $4, $5, $6) r (event_id, "
    "topic, partition, place, broker_time) "
    "ON CONFLICT DO NOTHING",
    {TEXTOID, INT8ARRAYOID, TEXTARRAYOID, INT4ARRAYOID, INT8ARRAYOID, TIMESTAMPTZARRAYOID}};

// How many elements the array has.
std::size_t checked_length(const pg::Call& call, int position, const char* name, Oid type) {
    std::optional<std::span<const Datum>> elements;
    if (!call.is_null(position)) elements = pg::array_elements(call.datum(position), type);
    if (elements) return elements->size();
    pg::raise(pg::Error::invalid_argument, {.message = pg::format("%s is not a plain array", name),
                                            .detail = "It is NULL, contains a NULL or has several dimensions.",
                                            .hint = "Pass one element for each event."});
}

}  // namespace

OMS_FUNCTION(oms_topic_policies) {
    pg::Call call{fcinfo};
    pg::RowSet answer{call};
    answer.add(select_policies.run(pg::Access::reads, {}));
    return Datum{0};
}

OMS_FUNCTION(oms_set_topic_policy) {
    enum : int { topic, on_reject, receipts };
    pg::Call call{fcinfo};
    std::string_view name = call.required_text(topic, "topic");
    require_topic_name(name);
    std::string_view choice = call.required_text(on_reject, "on_reject");
    if (choice != "skip" && choice != "block_key") {
        pg::raise(pg::Error::invalid_argument,
                  {.message = pg::format("on_reject %s is not known", pg::quoted(choice)),
                   .detail = "Later events of a key go on, or are parked behind the rejected one.",
                   .hint = "Pass \"skip\" or \"block_key\"."});
    }
    store_policy.run(
        pg::Access::writes,
        {{pg::text_datum(name)}, {pg::text_datum(choice)}, {BoolGetDatum(call.boolean(receipts).value_or(false))}});
    return Datum{0};
}

OMS_FUNCTION(oms_record_receipts) {
    enum : int { reader, event_ids, topics, partitions, offsets, broker_times };
    pg::Call call{fcinfo};
    std::string_view name = checked_reader_name(call, reader);
    std::size_t count = checked_length(call, event_ids, "event_ids", INT8OID);
    bool equal = count == checked_length(call, topics, "topics", TEXTOID) &&
                 count == checked_length(call, partitions, "partitions", INT4OID) &&
                 count == checked_length(call, offsets, "offsets", INT8OID) &&
                 count == checked_length(call, broker_times, "broker_times", TIMESTAMPTZOID);
    if (!equal) {
        pg::raise(pg::Error::invalid_argument, {.message = "the arrays of receipts differ in length",
                                                .detail = pg::format("There are %zu event ids.", count),
                                                .hint = "Pass one element for each event in every array."});
    }
    log::own_reader(name);
    insert_receipts.run(pg::Access::writes, {{pg::text_datum(name)},
                                             {call.datum(event_ids)},
                                             {call.datum(topics)},
                                             {call.datum(partitions)},
                                             {call.datum(offsets)},
                                             {call.datum(broker_times)}});
    return Datum{0};
}

}  // namespace oms::api
