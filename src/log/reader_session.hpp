// The readers that this session owns, or its transaction.
#pragma once

#include <cstdint>
#include <string_view>

#include "log/reader_pages.hpp"
#include "pg/transaction.hpp"

namespace oms::log {

// Raises primary_required on a standby.
void require_primary();

// The session's state of this reader; makes one for this transaction if the session is not attached. Raises reader_busy when somebody else owns
// the reader, not_found when there is none.
Reading& acquire(std::string_view name);

// Waits up to `wait_ms` to become the owner; false if another session still is. What this transaction read before stays read.
bool attach(std::string_view name, std::int32_t wait_ms);
void detach(std::string_view name);

// Forgets the state, for a reader that is dropped.
void forget(Reading& reading);

// Takes the reader's lock without waiting.
bool lock_reader(std::string_view name, pg::LockDuration duration);

// The session that owns the reader; 0 when none does.
std::int32_t owner_of(std::string_view name);

}  // namespace oms::log
