// The settings of the extension (oms.*) and the session's clock.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "pg/jump.hpp"
#include "pg/wal.hpp"

namespace oms::pg {

// Registers the settings. Called once, from _PG_init.
void register_settings();

namespace settings {

extern bool idempotency_wait;       // wait for a twin that is still running, or answer idempotency_in_progress
extern int idempotency_ttl_s;       // how long an answer is kept for replay
extern bool durable_claims;         // a claim of tasks waits for the disk like any other commit
extern bool doorbell;               // wake a sleeping relay when a transaction with deliverable events commits
std::string_view correlation_id();  // each empty when not set
std::string_view causation_id();
std::string_view traceparent();
std::string_view actor();

PublishAfter publish_after();  // which copy an event must have reached before a reader hands it out

// Changes whenever one of the four texts above changes: what was built from them can be kept until then.
std::uint64_t header_generation();

}  // namespace settings

// Settings for the time of a call, whatever the session has; an abort takes them back.
struct Setting {
    const char* name;
    const char* value;
};

class SettingScope {
  public:
    void enter(std::span<const Setting> changed);
    void leave();

  private:
    int level_;
};
static_assert(JumpSafe<SettingScope>);

template <class Fn>
void with_settings(std::span<const Setting> changed, Fn&& fn) {
    SettingScope scope;
    scope.enter(changed);
    fn();
    scope.leave();
}

// Microseconds since the PostgreSQL epoch: the wall clock, or what a superuser set in oms.now_override.
std::int64_t now_us();
bool now_is_fixed();

// Reads a timestamp with time zone; nothing when it is none. Raises nothing.
std::optional<std::int64_t> parse_time(std::string_view text);

// The same moment in microseconds since 1970.
std::int64_t unix_us(std::int64_t postgres_us);
std::int64_t postgres_us(std::int64_t unix_us);

}  // namespace oms::pg
