// Commands that wait until their order is free: the table side. The door of the room.
//
// Invariants: a command that waits has a time at which it is given up, and a timer for that time at the latest; the commands of one order are numbered
// in the order in which they were asked for, because it is locked meanwhile; a key stands for one request.
//
// Whoever reads or writes here has the order locked, but where a function says otherwise.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "core/ids.hpp"
#include "pg/json.hpp"
#include "pg/jump.hpp"
#include "pg/table.hpp"

namespace oms::commands {

// waiting -> one of the others, and there it stays.
namespace status {
inline constexpr std::string_view waiting = "waiting", done = "done", refused = "refused", expired = "expired",
                                  canceled = "canceled";
}

// The views live in the memory context that was current when it was read.
struct Command {
    std::int64_t id;
    core::OrderId order;
    std::string_view name, key, status;
    Jsonb* arguments;
    Oid asked_by;
    Jsonb* headers;  // what the session that asked had set for the headers of its events
    std::int64_t asked_at, give_up_at;
    std::int32_t attempts;               // that ended with an error which may pass
    std::string_view error_code, error;  // the last one; empty: none
    Jsonb* answer;                       // of one that is done; nullptr: none
};
static_assert(pg::JumpSafe<Command>);

struct NewCommand {
    core::OrderId order;
    std::string_view name, key;
    Jsonb* arguments;
    std::int64_t patience_us;  // until it is given up
};

// Writes a command down in the name of the current role, and sets the timer of its end. Nothing when the key is taken.
std::optional<Command> add(const NewCommand& wanted);

// Need no lock: what they tell may be out of date.
std::optional<Command> with_id(std::int64_t id);
std::optional<Command> with_key(std::string_view key);

// The commands that wait for an order, the oldest first.
std::span<const Command> waiting_for(const core::OrderId& order, int limit);
// Those of them whose time is up.
std::span<const Command> overdue_for(const core::OrderId& order, int limit);

// How one that waits has ended.
struct Ending {
    std::string_view status;
    std::string_view error_code = {}, error = {};
    Jsonb* answer = nullptr;
};
Command close(const Command& command, const Ending& ending);

// Keeps one waiting whose attempt ended with an error that may pass, and looks at it again: later each time, and when its time is up at the latest.
void put_off(const Command& command, std::string_view error_code, std::string_view error);

// Has the order's commands looked at as soon as this transaction is committed.
void look_soon(const core::OrderId& order);

// The same if there are any, for whoever lets an order go: without any it costs one look into an index.
void order_is_free(const core::OrderId& order);

pg::Table& table();

}  // namespace oms::commands
