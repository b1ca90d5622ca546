// The commands that can be queued: what each takes beside the order and the key, and how it is called.
//
// A fixed table. What a caller gives is compared with it, or is a parameter: none of it becomes SQL.
#pragma once

#include <string_view>

#include "core/ids.hpp"
#include "pg/json.hpp"
#include "pg/jump.hpp"

namespace oms::api {

// Raises invalid_argument for a command that is not in the table, and for arguments that it does not have or that are of another kind.
void require_queueable(std::string_view command, Jsonb* arguments);

// What a command answered.
struct Answer {
    Jsonb* row;
    bool replayed;
};
static_assert(pg::JumpSafe<Answer>);

struct CommandCall {
    std::string_view command;
    core::OrderId order;
    std::string_view key;
    Jsonb* arguments;
};
static_assert(pg::JumpSafe<CommandCall>);

// Calls the command with the rights of `role`. Raises what the command raises, and insufficient_privilege where the role may not call it.
Answer carry_out(const CommandCall& call, Oid role);

}  // namespace oms::api
