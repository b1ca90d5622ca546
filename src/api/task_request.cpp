// Reading the arguments of the task commands.
#include "api/task_request.hpp"

#include <cmath>

#include "api/request.hpp"
#include "pg/json.hpp"
#include "pg/memory.hpp"
#include "pg/raise.hpp"
#include "tasks/tasks.hpp"

#include "pg/poison.hpp"

namespace oms::api {

namespace {

std::int64_t required_number(const pg::Call& call, int position, const char* name) {
    if (std::optional<std::int64_t> number = call.bigint(position)) return *number;
    pg::raise(pg::Error::invalid_argument, {.message = pg::format("%s is missing", name),
                                            .detail = pg::format("The argument %s is NULL.", name),
                                            .hint = "Pass what oms.claim_tasks gave."});
}

[[noreturn]] void refuse_policy(const char* problem) {
    pg::raise(pg::Error::invalid_argument, {.message = pg::format("the retry policy is not valid: %s", problem),
                                            .detail = "A policy has attempts_max (1 to 1000), base_ms and cap_ms (0 to "
                                                      "31536000000), factor (1 to 100), jitter (0 to 1).",
                                            .hint = "Leave members out to take the queue's."});
}

constexpr std::int64_t year_ms = 31'536'000'000;

std::int64_t whole(const pg::JsonMember& member, std::int64_t low, std::int64_t high, const char* problem) {
    if (member.kind != pg::JsonKind::number) refuse_policy(problem);
    std::optional<std::int64_t> number = pg::whole_number(member.value);
    if (!number || *number < low || *number > high) refuse_policy(problem);
    return *number;
}

double real(const pg::JsonMember& member, double low, double high, const char* problem) {
    if (member.kind != pg::JsonKind::number) refuse_policy(problem);
    double number = pg::real_number(member.value);
    if (!(number >= low && number <= high)) refuse_policy(problem);
    return number;
}

}  // namespace

core::TaskId required_task(const pg::Call& call, int position) { return {required_number(call, position, "task_id")}; }

std::int64_t required_epoch(const pg::Call& call, int position) {
    return required_number(call, position, "lease_epoch");
}

void check_task_name(std::string_view text, const char* name) {
    if (!text.empty() && text.size() <= tasks::name_bytes_max) return;
    pg::raise(pg::Error::invalid_argument, {.message = pg::format("%s has %zu bytes", name, text.size()),
                                            .detail = pg::format("It is %s.", pg::quoted(text)),
                                            .hint = pg::format("Pass 1 to %zu bytes.", tasks::name_bytes_max)});
}

std::string_view task_name(const pg::Call& call, int position, const char* name) {
    std::string_view text = call.required_text(position, name);
    check_task_name(text, name);
    return text;
}

std::int64_t lease_us(const pg::Call& call, int position) {
    std::optional<std::int64_t> lease = call.interval_us(position);
    if (!lease) return 0;
    if (*lease >= lease_us_min && *lease <= lease_us_max) return *lease;
    pg::raise(pg::Error::invalid_argument, {.message = "lease must be 100 milliseconds to 24 hours",
                                            .detail = pg::format("It is " INT64_FORMAT " microseconds.", *lease),
                                            .hint = "Take a short lease and prolong it with oms.heartbeat_task."});
}

core::RetryPolicy parse_policy(const Jsonb* given, const core::RetryPolicy& base) {
    core::RetryPolicy policy = base;
    if (pg::kind_of(given) != pg::JsonKind::object) refuse_policy("it is not an object");
    pg::for_each_member(const_cast<JsonbContainer*>(&given->root),
                        [&](std::string_view name, const pg::JsonMember& member) {
                            if (name == "attempts_max") {
                                policy.attempts_max = static_cast<int>(whole(member, 1, 1000, "attempts_max"));
                            } else if (name == "base_ms") {
                                policy.base_ms = whole(member, 0, year_ms, "base_ms");
                            } else if (name == "cap_ms") {
                                policy.cap_ms = whole(member, 0, year_ms, "cap_ms");
                            } else if (name == "factor") {
                                policy.factor = real(member, 1, 100, "factor");
                            } else if (name == "jitter") {
                                policy.jitter = real(member, 0, 1, "jitter");
                            } else {
                                refuse_policy(pg::format("member %s is not known", pg::quoted(name)));
                            }
                        });
    return policy;
}

}  // namespace oms::api
