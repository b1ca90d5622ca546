// A definition as the engine uses it: the tree of steps, flattened in pre-order, and what each of them does.
#pragma once

#include <span>
#include <string_view>

#include "core/retry.hpp"
#include "core/saga.hpp"
#include "pg/function.hpp"
#include "pg/json.hpp"
#include "pg/jsonpath.hpp"

namespace oms::saga {

// Limits that a definition keeps: beyond them it is a mistake, and the id of a step has room for so many.
inline constexpr std::int32_t depth_max = 8;
inline constexpr std::size_t step_name_bytes_max = 64;
inline constexpr std::size_t definition_name_bytes_max = 64;
inline constexpr std::int64_t duration_ms_max = std::int64_t{10} * 365 * 86'400'000;
inline constexpr std::int64_t default_deadline_ms = std::int64_t{30} * 86'400'000;

enum class Does : unsigned char {
    nothing,
    calls,   // a function, in the transaction that starts it
    hands,   // a task to a worker
    begins,  // a function that hands the task out itself
};

// What a step does, or what undoes it.
struct Work {
    Does does = Does::nothing;
    pg::FunctionName function;     // calls, begins
    std::string_view queue, task;  // hands
    int priority = 0;              // hands
    pg::FunctionName request;      // hands: makes the payload; empty: the context itself
    pg::FunctionName result;       // hands: judges the answer, in the transaction that brings it
    pg::FunctionName by_hand;      // of what undoes a step: records that somebody did it by other means
    core::RetryPolicy retry{};
    std::int64_t deadline_ms = 0;  // 0: the saga's
};
static_assert(pg::JumpSafe<Work>);

struct StepSpec {
    std::string_view name;
    Work work;
    Work undo;
    Work reconcile;                    // asks what became of a task that nobody knows about
    std::string_view signal;           // wait
    bool goes_on_at_deadline = false;  // wait
    std::int64_t delay_ms = 0;         // timer
    pg::JsonPath path;                 // conditional: the predicate; timer: where the delay is found
};
static_assert(pg::JumpSafe<StepSpec>);

struct Definition {
    std::string_view name;
    std::int32_t version;
    Oid owner;             // whose functions are called, and as whom
    bool of_order;         // the saga's key is an order's id: the order is locked before the saga
    bool builtin;          // its functions are the extension's own
    bool says_turns_only;  // the log has what turns the saga, and no step that goes as it should
    std::int64_t deadline_ms;
    std::span<const std::string_view>
        allowed;  // roles beside the owner that may start, signal and cancel it; "public" is everybody
    std::span<const core::saga::Node> nodes;
    std::span<const StepSpec> steps;

    const core::saga::Node& node(std::int32_t i) const { return nodes[static_cast<std::size_t>(i)]; }
    const StepSpec& step(std::int32_t i) const { return steps[static_cast<std::size_t>(i)]; }
};
static_assert(pg::JumpSafe<Definition>);

// Reads a definition, in the current memory context; its texts are views into `json`. Raises invalid_argument that names the place and what
// is wrong there. With `check_functions` every function must be callable by `owner`, and every path be one.
Definition parse(std::string_view name, Jsonb* json, Oid owner, bool check);

// A definition, parsed once in a session. nullptr: there is none.
const Definition* find_definition(std::string_view name, std::int32_t version);

}  // namespace oms::saga
