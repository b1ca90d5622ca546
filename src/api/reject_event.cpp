// oms.reject_event, blocked_keys, take_replays, settle_replay: the relay's side of the dead letters.
#include "api/filter.hpp"
#include "api/names.hpp"
#include "api/request.hpp"
#include "dead_letters/dead_letters.hpp"
#include "log/log.hpp"
#include "pg/raise.hpp"

#include "pg/poison.hpp"

namespace oms::api {
namespace {

constexpr std::size_t error_bytes_max = 10'000;
constexpr std::int32_t replays_max = 10'000;

std::int64_t required_id(const pg::Call& call, int position, const char* name) {
    if (std::optional<std::int64_t> id = call.bigint(position)) return *id;
    pg::raise(pg::Error::invalid_argument, {.message = pg::format("%s is missing", name),
                                            .detail = pg::format("The argument %s is NULL.", name),
                                            .hint = pg::format("Pass a value for %s.", name)});
}

}  // namespace

OMS_FUNCTION(oms_reject_event) {
    enum : int { reader, event_id, error, attempts, parked };
    pg::Call call{fcinfo};
    dead_letters::Rejection rejection{.reader = checked_reader_name(call, reader),
                                      .event_id = required_id(call, event_id, "event_id"),
                                      .error = required_bounded_text(call, error, "error", error_bytes_max),
                                      .attempts = call.integer(attempts).value_or(0)};
    log::own_reader(rejection.reader);
    if (!call.boolean(parked).value_or(false)) return Int64GetDatum(dead_letters::reject(rejection));
    std::optional<dead_letters::Id> letter = dead_letters::park(rejection);
    return letter ? Int64GetDatum(*letter) : call.null();
}

OMS_FUNCTION(oms_dead_letters_ahead) {
    pg::Call call{fcinfo};
    pg::RowSet answer{call};
    dead_letters::add_letters_ahead(checked_reader_name(call, 0), answer);
    return Datum{0};
}

OMS_FUNCTION(oms_blocked_keys) {
    pg::Call call{fcinfo};
    pg::RowSet answer{call};
    dead_letters::add_blocked_keys(checked_reader_name(call, 0), answer);
    return Datum{0};
}

OMS_FUNCTION(oms_take_replays) {
    enum : int { reader, max_events };
    pg::Call call{fcinfo};
    std::string_view name = checked_reader_name(call, reader);
    std::int32_t most = checked_count(call, max_events, "max_events", 100, replays_max);
    log::own_reader(name);
    pg::RowSet answer{call};
    dead_letters::take_replays(name, most, answer);
    return Datum{0};
}

OMS_FUNCTION(oms_settle_replay) {
    enum : int { attempt_id, ok, error };
    pg::Call call{fcinfo};
    std::int64_t attempt = required_id(call, attempt_id, "attempt_id");
    std::optional<bool> sent = call.boolean(ok);
    if (!sent) {
        pg::raise(pg::Error::invalid_argument, {.message = "ok is missing",
                                                .detail = "The argument ok is NULL.",
                                                .hint = "Say whether the event was delivered."});
    }
    log::own_reader(dead_letters::reader_of_attempt(attempt));
    dead_letters::settle_replay(attempt, *sent, call.text(error));
    return Datum{0};
}

}  // namespace oms::api
