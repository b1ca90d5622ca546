// Definition of every setting: name, range, who may change it.
//
// Hooks do not raise: a check hook says no by returning false with a detail.
#include "pg/settings.hpp"

#include "pg/postgres.hpp"

namespace oms::pg {

std::optional<std::int64_t> parse_time(std::string_view text) {
    if (text.empty() || text.size() >= MAXDATELEN) return std::nullopt;
    char input[MAXDATELEN + 1];
    text.copy(input, text.size());
    input[text.size()] = '\0';
    char* fields[MAXDATEFIELDS];
    int types[MAXDATEFIELDS];
    char work[MAXDATELEN + MAXDATEFIELDS];
    int count = 0;
    int kind = 0;
    int zone = 0;
    fsec_t fraction = 0;
    struct pg_tm parts;
    TimestampTz moment;
    if (ParseDateTime(input, work, sizeof(work), fields, types, MAXDATEFIELDS, &count) != 0) return std::nullopt;
#if PG_VERSION_NUM >= 160000
    DateTimeErrorExtra problem;
    if (DecodeDateTime(fields, types, count, &kind, &parts, &fraction, &zone, &problem) != 0) return std::nullopt;
#else
    if (DecodeDateTime(fields, types, count, &kind, &parts, &fraction, &zone) != 0) return std::nullopt;
#endif
    if (kind != DTK_DATE || tm2timestamp(&parts, fraction, &zone, &moment) != 0) return std::nullopt;
    return moment;
}

namespace settings {

constinit bool idempotency_wait = true;
constinit int idempotency_ttl_s = 24 * 60 * 60;
constinit bool durable_claims = false;
constinit bool doorbell = true;

namespace {

// Long enough for any id a tracing system makes; a header is not a place for documents.
constexpr std::size_t header_bytes_max = 512;

constinit char* correlation_id_text = nullptr;
constinit char* causation_id_text = nullptr;
constinit char* traceparent_text = nullptr;
constinit char* actor_text = nullptr;
constinit char* now_override_text = nullptr;
constinit char* outbox_reader_text = nullptr;
constinit int publish_after_value = static_cast<int>(PublishAfter::local);
constinit std::uint64_t header_changes = 0;
constinit bool now_is_overridden = false;
constinit TimestampTz overridden_now = 0;

constexpr config_enum_entry publish_after_values[] = {
    {"local", static_cast<int>(PublishAfter::local), false},
    {"remote_write", static_cast<int>(PublishAfter::remote_write), false},
    {"remote_flush", static_cast<int>(PublishAfter::remote_flush), false},
    {"remote_apply", static_cast<int>(PublishAfter::remote_apply), false},
    {nullptr, 0, false},
};

std::string_view view(const char* text) { return text == nullptr ? std::string_view{} : std::string_view{text}; }

bool check_header(char** value, void**, GucSource) {
    if (*value == nullptr || std::string_view{*value}.size() <= header_bytes_max) return true;
    GUC_check_errdetail("The value must be at most %zu bytes long.", header_bytes_max);
    return false;
}

void header_assigned(const char*, void*) { ++header_changes; }

bool check_now_override(char** value, void** extra, GucSource) {
    if (*value == nullptr || **value == '\0') return true;
    std::optional<std::int64_t> moment = parse_time(*value);
    if (!moment) {
        GUC_check_errdetail("The value must be a timestamp with time zone, for example 2026-01-31 12:00:00+00.");
        return false;
    }
#if PG_VERSION_NUM >= 160000
    auto* kept = static_cast<TimestampTz*>(guc_malloc(LOG, sizeof(TimestampTz)));
#else
    auto* kept = static_cast<TimestampTz*>(malloc(sizeof(TimestampTz)));  // the settings machinery owns and frees it
#endif
    if (kept == nullptr) return false;
    *kept = *moment;
    *extra = kept;
    return true;
}

void now_override_assigned(const char*, void* extra) {
    now_is_overridden = extra != nullptr;
    if (now_is_overridden) overridden_now = *static_cast<const TimestampTz*>(extra);
}

void define_header(const char* name, const char* description, char** variable) {
    DefineCustomStringVariable(name, description, nullptr, variable, "", PGC_USERSET, 0, check_header, header_assigned,
                               nullptr);
}

}  // namespace

std::string_view correlation_id() { return view(correlation_id_text); }
std::string_view causation_id() { return view(causation_id_text); }
std::string_view traceparent() { return view(traceparent_text); }
std::string_view actor() { return view(actor_text); }
std::uint64_t header_generation() { return header_changes; }
PublishAfter publish_after() { return static_cast<PublishAfter>(publish_after_value); }

}  // namespace settings

void register_settings() {
    using namespace settings;
    define_header("oms.correlation_id", "Written into the headers of every event of the session.",
                  &correlation_id_text);
    define_header("oms.causation_id", "Id of the message that caused what the session does.", &causation_id_text);
    define_header("oms.traceparent", "W3C trace context, carried through to the message.", &traceparent_text);
    define_header("oms.actor", "Who acts, in the application's terms; written into the headers of events.",
                  &actor_text);
    DefineCustomBoolVariable("oms.idempotency_wait",
                             "Wait for a call with the same idempotency key that is still running.",
                             "Off: answer idempotency_in_progress at once.", &idempotency_wait, true, PGC_USERSET, 0,
                             nullptr, nullptr, nullptr);
    // At least a minute: a key that expires while its caller still retries would let the command run twice.
    DefineCustomIntVariable("oms.idempotency_ttl", "How long the answer to an idempotency key is kept.", nullptr,
                            &idempotency_ttl_s, 24 * 60 * 60, 60, INT_MAX / 1000, PGC_SUSET, GUC_UNIT_S, nullptr,
                            nullptr, nullptr);
    DefineCustomBoolVariable("oms.doorbell", "Wake a sleeping relay when a transaction with events commits.",
                             "Off: what the session commits waits until the relay wakes by itself.", &doorbell, true,
                             PGC_SUSET, 0, nullptr, nullptr, nullptr);
    DefineCustomEnumVariable(
        "oms.publish_after", "Which copy an event must have reached before a reader hands it out.",
        "The remote values wait for the synchronous standbys that synchronous_standby_names names.",
        &publish_after_value, static_cast<int>(PublishAfter::local), publish_after_values, PGC_USERSET, 0, nullptr,
        nullptr, nullptr);
    DefineCustomStringVariable("oms.outbox_reader", "The reader whose view of the log oms.outbox shows.", nullptr,
                               &outbox_reader_text, "kafka", PGC_USERSET, 0, nullptr, nullptr, nullptr);
    DefineCustomBoolVariable("oms.durable_claims",
                             "A transaction that only claims tasks waits for the disk when it commits.",
                             "Off: a claim that a crash undoes is as if it had never been made. Claims of tasks with a "
                             "provider_key wait in any case.",
                             &durable_claims, false, PGC_USERSET, 0, nullptr, nullptr, nullptr);
    DefineCustomStringVariable("oms.now_override", "A fixed time for tests; empty means the real clock.", nullptr,
                               &now_override_text, "", PGC_SUSET, 0, check_now_override, now_override_assigned,
                               nullptr);
#if PG_VERSION_NUM >= 150000
    MarkGUCPrefixReserved("oms");
#else
    EmitWarningsOnPlaceholders("oms");
#endif
}

void SettingScope::enter(std::span<const Setting> changed) {
    level_ = NewGUCNestLevel();
    for (const Setting& setting : changed) {
        (void)set_config_option(setting.name, setting.value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
                                false);
    }
}

void SettingScope::leave() { AtEOXact_GUC(false, level_); }

bool now_is_fixed() { return settings::now_is_overridden; }

std::int64_t now_us() { return settings::now_is_overridden ? settings::overridden_now : GetCurrentTimestamp(); }

namespace {

constexpr std::int64_t epoch_difference_us =
    std::int64_t{POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE} * SECS_PER_DAY * USECS_PER_SEC;

}  // namespace

std::int64_t unix_us(std::int64_t postgres_us) { return postgres_us + epoch_difference_us; }
std::int64_t postgres_us(std::int64_t unix_us) { return unix_us - epoch_difference_us; }

}  // namespace oms::pg
