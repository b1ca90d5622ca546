// What the engine tells a step of the built-in saga, and how a step answers. What cannot be is answered as data ($fail, $later).
#pragma once

#include <string_view>

#include "orders/orders.hpp"
#include "pg/entry.hpp"
#include "pg/json.hpp"

namespace oms::api {

struct Context {
    orders::Order order;
    Jsonb* json;  // all of it, as the engine gave it
    std::int64_t step_id, deadline_ms;
    JsonbContainer* data;
    JsonbContainer* policy;  // nullptr: none
    std::string_view failure;
    std::string_view reason;  // an operator's, where one asks; empty: none
};

// Reads the argument, and locks the order.
Context context_of(const pg::Call& call);

// A member that is an object; nullptr when there is none.
JsonbContainer* object_member(JsonbContainer* object, std::string_view name);

// An answer of one member.
Datum say(std::string_view member, std::string_view text);

// The machine's word on an action of the saga's own: its mark on the order is no obstacle to it.
core::Decision decide(const Context& context, std::string_view action);
const char* refused(const Context& context, std::string_view action);

}  // namespace oms::api
