// oms.create_reader, drop_reader, attach_reader, detach_reader, reader_status: who reads the log; reader_bookmark, resume_reader: where it stands,
// for others to keep.
#include <algorithm>
#include <array>

#include "api/filter.hpp"
#include "api/names.hpp"
#include "api/request.hpp"
#include "log/log.hpp"
#include "pg/arrays.hpp"
#include "pg/memory.hpp"
#include "pg/raise.hpp"

#include "pg/poison.hpp"

namespace oms::api {
namespace {

// A wait inside a statement keeps its snapshot, and with it dead rows: a standby worker waits in several short statements.
constexpr std::int32_t takeover_wait_ms_max = 60'000;

log::Topics checked_topics(const pg::Call& call, int position) {
    if (call.is_null(position)) return {};
    std::optional<std::span<const Datum>> given = pg::array_elements(call.datum(position), TEXTOID);
    if (!given || given->empty()) {
        pg::raise(pg::Error::invalid_argument,
                  {.message = "topics is not a list of topics",
                   .detail = "It is empty, has several dimensions or contains a NULL.",
                   .hint = "Leave it out for every event that has a topic, or pass {*} for all events."});
    }
    pg::Array<std::string_view> list{given->size()};
    for (Datum each : *given) list.push(pg::text_view(each));
    if (list.size() == 1 && list[0] == log::all_topics) return {.wanted = log::Wanted::everything, .list = list.span()};
    for (std::string_view topic : list) require_topic_name(topic);
    std::ranges::sort(list);
    auto [end, rest] = std::ranges::unique(list);
    return {.wanted = log::Wanted::listed, .list = {list.begin(), end}};
}

log::StartAt checked_start(const pg::Call& call, int position) {
    std::string_view start = call.required_text(position, "start_at");
    if (start == "beginning") return log::StartAt::beginning;
    if (start == "now") return log::StartAt::now;
    pg::raise(pg::Error::invalid_argument, {.message = pg::format("start_at %s is not known", pg::quoted(start)),
                                            .detail = "A reader starts at the beginning of the log or now.",
                                            .hint = "Pass \"beginning\" or \"now\"."});
}

}  // namespace

OMS_FUNCTION(oms_create_reader) {
    enum : int { name, topics, start_at };
    pg::Call call{fcinfo};
    std::string_view reader = checked_reader_name(call, name);
    log::Topics wanted = checked_topics(call, topics);
    log::create_reader(reader, wanted, checked_start(call, start_at));
    return Datum{0};
}

OMS_FUNCTION(oms_drop_reader) {
    pg::Call call{fcinfo};
    log::drop_reader(checked_reader_name(call, 0));
    return Datum{0};
}

OMS_FUNCTION(oms_attach_reader) {
    enum : int { name, takeover_wait_ms };
    pg::Call call{fcinfo};
    std::string_view reader = checked_reader_name(call, name);
    std::int32_t wait = call.integer(takeover_wait_ms).value_or(0);
    if (wait < 0 || wait > takeover_wait_ms_max) {
        pg::raise(pg::Error::invalid_argument,
                  {.message = pg::format("takeover_wait_ms must be 0 to %d", takeover_wait_ms_max),
                   .detail = pg::format("It is %d.", wait),
                   .hint = "Wait for longer by calling again."});
    }
    return BoolGetDatum(log::attach_reader(reader, wait));
}

OMS_FUNCTION(oms_detach_reader) {
    pg::Call call{fcinfo};
    log::detach_reader(checked_reader_name(call, 0));
    return Datum{0};
}

OMS_FUNCTION(oms_reader_bookmark) {
    enum : int { name, position };
    pg::Call call{fcinfo};
    log::Bookmark place = log::write_bookmark(checked_reader_name(call, name), call.bigint(position));
    std::array values{Int64GetDatum(place.cluster), ObjectIdGetDatum(place.database),
                      Int32GetDatum(static_cast<std::int32_t>(place.timeline)),
                      Int64GetDatum(static_cast<std::int64_t>(place.wal)), pg::text_datum(place.text)};
    constexpr std::array<bool, values.size()> nulls{};
    return pg::composite_result(call, values.data(), nulls.data());
}

OMS_FUNCTION(oms_resume_reader) {
    enum : int { name, bookmark };
    constexpr std::array names{"resumed", "passed", "refused"};
    pg::Call call{fcinfo};
    std::string_view reader = checked_reader_name(call, name);
    log::Resumption resumption = log::resume_reader(reader, call.required_text(bookmark, "bookmark"));
    std::array values{pg::text_datum(names[static_cast<std::size_t>(resumption.outcome)]),
                      pg::text_datum(resumption.reason)};
    constexpr std::array<bool, values.size()> nulls{};
    return pg::composite_result(call, values.data(), nulls.data());
}

OMS_FUNCTION(oms_reader_status) {
    pg::Call call{fcinfo};
    pg::RowSet answer{call};
    log::report_readers(call.text(0), answer);
    return Datum{0};
}

}  // namespace oms::api
