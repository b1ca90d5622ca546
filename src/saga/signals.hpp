// Signals: what was sent to a saga, kept until a step waits for it.
#pragma once

#include "saga/instance.hpp"

namespace oms::saga {

// Writes a signal down. `taken_by` is the step that has it already; 0: it waits for one.
void keep_signal(const Instance& instance, std::string_view name, Jsonb* payload, std::int64_t taken_by);

// Takes the earliest signal that the step waits for; nothing when there is none. The payload may be nullptr.
std::optional<Jsonb*> take_signal(Instance& instance, std::int32_t step);

}  // namespace oms::saga
