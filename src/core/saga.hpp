// What a saga does next: the pure decisions of the engine, taken from a definition's steps, their states and nothing else.
//
// The steps of a definition form a tree, flattened in pre-order: a step's subtree is [i, nodes[i].end). The root and a conditional run their
// children one after another, a parallel step runs them together, a two-phase step runs all its prepares together, decides, and then runs all
// its commits together. next() names one thing to do; the caller does it, changes the state, and asks again until the answer is to wait or to
// finish. What has happened is in the state alone, so that the caller can be killed between any two answers.
//
// Invariants: forward, nothing starts once a step has failed. Backward, nothing is compensated while a step is still open; steps are compensated
// in reverse order of completion, one at a time; a step that nobody can say was done or not counts as done; a saga is compensated only when every
// step that was completed has an outcome of its compensation; and what a two-phase step decided to commit is committed before anything is undone.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/retry.hpp"

namespace oms::core::saga {

enum class Kind : unsigned char { sql, task, wait, timer, parallel, conditional, twophase };
inline constexpr std::array<std::string_view, 7> kind_names{"sql",      "task",        "wait",    "timer",
                                                            "parallel", "conditional", "twophase"};

enum class StepStatus : unsigned char {
    pending,
    running,
    waiting,
    completed,
    failed,
    skipped,
    compensating,
    compensated,
    compensation_failed
};
inline constexpr std::array<std::string_view, 9> step_status_names{
    "pending", "running",      "waiting",     "completed",          "failed",
    "skipped", "compensating", "compensated", "compensation_failed"};

// A saga that is canceled ends compensated, like one that failed: what the status says is how far it is, not why.
enum class SagaStatus : unsigned char { running, completed, compensating, compensated, parked };
inline constexpr std::array<std::string_view, 5> saga_status_names{"running", "completed", "compensating",
                                                                   "compensated", "parked"};

constexpr std::string_view name_of(Kind kind) { return kind_names[static_cast<std::size_t>(kind)]; }
constexpr std::string_view name_of(StepStatus status) { return step_status_names[static_cast<std::size_t>(status)]; }
constexpr std::string_view name_of(SagaStatus status) { return saga_status_names[static_cast<std::size_t>(status)]; }

// The value whose name this is; `fallback` for a name that is none.
template <class Enum, std::size_t count>
constexpr Enum value_of(const std::array<std::string_view, count>& names, std::string_view name, Enum fallback) {
    const auto found = std::ranges::find(names, name);
    return found == names.end() ? fallback : static_cast<Enum>(found - names.begin());
}

// The part of a two-phase step that a child of it plays.
enum class Phase : unsigned char { none, prepare, commit };

struct Node {
    Kind kind = Kind::sql;
    Phase phase = Phase::none;
    bool barrier = false;      // while its compensation has failed, nothing that completed before it is compensated
    bool unstoppable = false;  // once it was begun, its end has to be awaited
    std::int32_t parent = -1;
    std::int32_t end = 0;
};

constexpr bool is_container(Kind kind) {
    return kind == Kind::parallel || kind == Kind::conditional || kind == Kind::twophase;
}

struct Step {
    StepStatus status = StepStatus::pending;
    bool busy = false;            // it waits for an answer or for a time, so there is nothing to do now
    bool begun = false;           // pending again after an attempt: once the saga goes back there will be no other
    bool unknown = false;         // it may have been done: once it has failed, it is compensated like a completed one
    bool decided = false;         // of a two-phase step: its participants are told to commit
    std::int32_t completion = 0;  // its number in the order of completion, from 1; 0 for what need not be compensated
};

enum class Act : unsigned char {
    wait,        // nothing to do until news arrives
    start,       // start the step, or try it again
    complete,    // every child of this container is done
    decide,      // every participant of this two-phase step is prepared: record the decision to commit
    turn,        // the step has failed: the saga goes back
    halt,        // the saga goes back: this open step gets no further
    close,       // the saga goes back: this container gets no further
    compensate,  // undo the step, or try it again
    finish,      // the saga ends in the status that is named
    settled,     // inside the walk only: nothing is left to do in this subtree
};

struct Action {
    Act act = Act::wait;
    std::int32_t node = -1;
    std::int32_t top = 0;  // forward: the step of the root that the saga has come to
    SagaStatus status = SagaStatus::running;
};

namespace detail {

constexpr Action act(Act what, std::int32_t node) { return {.act = what, .node = node}; }

struct Walk {
    std::span<const Node> nodes;
    std::span<const Step> steps;

    constexpr const Node& node(std::int32_t i) const { return nodes[static_cast<std::size_t>(i)]; }
    constexpr const Step& step(std::int32_t i) const { return steps[static_cast<std::size_t>(i)]; }

    constexpr Action forward(std::int32_t i) const {
        const Step& state = step(i);
        switch (state.status) {
        case StepStatus::pending: return act(state.busy ? Act::wait : Act::start, i);
        case StepStatus::completed:
        case StepStatus::skipped: return act(Act::settled, i);
        case StepStatus::running:
        case StepStatus::waiting:
            if (!is_container(node(i).kind)) return act(Act::wait, i);
            return inside(i);
        default: return act(Act::turn, i);
        }
    }

    constexpr Action inside(std::int32_t i) const {
        Action found;
        switch (node(i).kind) {
        case Kind::conditional: found = one_after_another(i); break;
        case Kind::twophase:
            found = together(i, step(i).decided ? Phase::commit : Phase::prepare);
            if (found.act == Act::settled && !step(i).decided) return act(Act::decide, i);
            break;
        default: found = together(i, Phase::none); break;
        }
        return found.act == Act::settled ? act(Act::complete, i) : found;
    }

    constexpr Action one_after_another(std::int32_t parent) const {
        for (std::int32_t i = parent + 1; i < node(parent).end; i = node(i).end) {
            const Action found = forward(i);
            if (found.act != Act::settled) return found;
        }
        return act(Act::settled, parent);
    }

    constexpr Action together(std::int32_t parent, Phase phase) const {
        bool waits = false;
        for (std::int32_t i = parent + 1; i < node(parent).end; i = node(i).end) {
            if (node(i).phase != phase) continue;
            const Action found = forward(i);
            if (found.act == Act::wait) {
                waits = true;
            } else if (found.act != Act::settled) {
                return found;
            }
        }
        return act(waits ? Act::wait : Act::settled, parent);
    }

    // Ends what is still open. What was decided goes on to its end first.
    constexpr Action close() const {
        bool waits = false;
        std::int32_t open_container = -1;
        const auto count = static_cast<std::int32_t>(nodes.size());
        for (std::int32_t i = 0; i < count;) {
            const Step& state = step(i);
            const bool open = state.status == StepStatus::running || state.status == StepStatus::waiting;
            if (node(i).kind == Kind::twophase && state.decided) {
                if (open) {
                    const Action found = inside(i);
                    if (found.act != Act::wait) return found;
                    waits = true;
                }
                i = node(i).end;
                continue;
            }
            if (is_container(node(i).kind)) {
                if (open) open_container = i;
            } else if (open && node(i).unstoppable) {
                waits = true;
            } else if (open || (state.status == StepStatus::pending && state.begun)) {
                return act(Act::halt, i);
            }
            // Nothing was started below a step that was not.
            i = state.status == StepStatus::pending ? node(i).end : i + 1;
        }
        if (waits) return act(Act::wait, -1);
        return open_container >= 0 ? act(Act::close, open_container) : act(Act::settled, -1);
    }

    // The participants of what was decided are the two-phase step's own affair, which its compensation undoes as a whole.
    constexpr bool belongs_to_decided(std::int32_t i) const {
        return node(i).phase != Phase::none && step(node(i).parent).decided;
    }

    constexpr Action backward() const {
        const Action still_open = close();
        if (still_open.act != Act::settled) return still_open;

        std::int32_t latest = -1, blocked_up_to = 0;
        bool any_failed = false;
        const auto count = static_cast<std::int32_t>(nodes.size());
        for (std::int32_t i = 0; i < count; ++i) {
            const Step& state = step(i);
            if (state.status == StepStatus::compensating) return act(state.busy ? Act::wait : Act::compensate, i);
            if (state.status == StepStatus::compensation_failed) {
                any_failed = true;
                if (node(i).barrier) blocked_up_to = std::max(blocked_up_to, state.completion);
            }
            const bool to_undo =
                state.status == StepStatus::completed || (state.status == StepStatus::failed && state.unknown);
            if (!to_undo || belongs_to_decided(i)) continue;
            if (latest < 0 || state.completion > step(latest).completion) latest = i;
        }
        if (latest >= 0 && step(latest).completion > blocked_up_to) return act(Act::compensate, latest);
        return {.act = Act::finish, .status = any_failed ? SagaStatus::parked : SagaStatus::compensated};
    }
};

}  // namespace detail

// Names the next thing to do. `position` is the step of the root from which on anything can be open: everything before it is settled.
constexpr Action next(std::span<const Node> nodes, std::span<const Step> steps, SagaStatus status,
                      std::int32_t position) {
    const detail::Walk walk{nodes, steps};
    if (status == SagaStatus::compensating) return walk.backward();
    if (status != SagaStatus::running) return {};
    const auto count = static_cast<std::int32_t>(nodes.size());
    for (std::int32_t top = position; top < count; top = walk.node(top).end) {
        Action found = walk.forward(top);
        if (found.act == Act::settled) continue;
        found.top = top;
        return found;
    }
    return {.act = Act::finish, .top = count, .status = SagaStatus::completed};
}

// What becomes of a step whose attempt number `attempts` has failed.
enum class AfterFailure : unsigned char { retry, give_up };

constexpr AfterFailure after_failure(const RetryPolicy& policy, std::int32_t attempts, bool retryable) {
    return retryable && attempts < policy.attempts_max ? AfterFailure::retry : AfterFailure::give_up;
}

// What people may ask of a saga, and in which status.
enum class Request : unsigned char { signal, cancel, compensate, resume };

constexpr bool may(Request request, SagaStatus status) {
    switch (request) {
    case Request::signal:
    case Request::cancel: return status == SagaStatus::running;
    case Request::compensate: return status == SagaStatus::running || status == SagaStatus::completed;
    case Request::resume: return status == SagaStatus::parked;
    }
    return false;
}

constexpr bool is_final(SagaStatus status) {
    return status == SagaStatus::completed || status == SagaStatus::compensated;
}

// The id of a step tells its saga and its place in the definition.
inline constexpr int position_bits = 14;
inline constexpr std::int32_t steps_max = 1 << position_bits;

constexpr std::int64_t step_id(std::int64_t saga_id, std::int32_t position) {
    return saga_id << position_bits | position;
}
constexpr std::int64_t saga_of(std::int64_t step_id) { return step_id >> position_bits; }
constexpr std::int32_t position_of(std::int64_t step_id) {
    return static_cast<std::int32_t>(step_id & (std::int64_t{steps_max} - 1));
}

}  // namespace oms::core::saga
