// The policy of the built-in saga: its members, their ranges, and where each comes from. What cannot be used is refused before anything is written: a
// member that is silently without effect is a check that was not made.
#include "api/fulfilment_policy.hpp"

#include <algorithm>
#include <limits>

#include "api/fulfilment.hpp"
#include "api/payment_request.hpp"
#include "pg/entry.hpp"
#include "pg/memory.hpp"
#include "pg/plan.hpp"
#include "pg/raise.hpp"
#include "tasks/tasks.hpp"

#include "pg/poison.hpp"

namespace oms::api {
namespace {

// A policy is complete once it was read: what the caller leaves out is what the shop has set, and what the shop has not set is this.
#define OMS_POLICY                                                                                                     \
    "'{\"auth_only\": false, \"stock\": true, \"checks\": [], \"verify_above_minor\": null, \"capture_delay_ms\": 0, " \
    "\"shipping\": false}'::jsonb"

constinit pg::Plan select_policy{"SELECT " OMS_POLICY
                                 " || coalesce((SELECT policy FROM oms.fulfilment_policy), '{}') || coalesce($1, '{}')",
                                 {JSONBOID}};
constinit pg::Plan update_policy{
    "INSERT INTO oms.fulfilment_policy (policy) VALUES ($1) "
    "ON CONFLICT (only_row) DO UPDATE SET policy = fulfilment_policy.policy || $1 RETURNING " OMS_POLICY " || policy",
    {JSONBOID}};

#undef OMS_POLICY

// An order that is or was paid by the saga keeps the policy that it began with, also for what that one does not say.
constinit pg::Plan select_in_force{
    "SELECT policy ->> 'queue', policy ->> 'provider' FROM (SELECT coalesce((SELECT data -> 'policy' FROM oms.saga "
    "WHERE key = $1 AND definition = $2 ORDER BY saga_id DESC LIMIT 1), (SELECT policy FROM oms.fulfilment_policy))) "
    "AS in_force (policy)",
    {TEXTOID, TEXTOID},
    pg::Planned::by_index};

constexpr std::array checks{std::string_view{"credit"}, std::string_view{"fraud"}, std::string_view{"shipping_cost"}};

// The saga itself has 30 days, and something is left to do behind the capture.
constexpr std::int64_t delay_ms_max = std::int64_t{28} * 86'400'000;

using Found = const pg::JsonMember&;

bool is_flag(Found found) { return found.kind == pg::JsonKind::boolean; }

bool is_whole(Found found, std::int64_t most) {
    if (found.kind != pg::JsonKind::number) return false;
    std::optional<std::int64_t> number = pg::whole_number(found.value);
    return number && *number >= 0 && *number <= most;
}
bool is_delay(Found found) { return is_whole(found, delay_ms_max); }
bool is_limit(Found found) {
    return found.kind == pg::JsonKind::null || is_whole(found, std::numeric_limits<std::int64_t>::max());
}

bool is_name(Found found, std::size_t bytes_max) {
    return found.kind == pg::JsonKind::text && !found.text().empty() && found.text().size() <= bytes_max;
}
bool is_provider(Found found) { return is_name(found, provider_bytes_max); }
bool is_queue(Found found) { return is_name(found, tasks::name_bytes_max); }

bool is_check(Found found) {
    return found.kind == pg::JsonKind::text && std::ranges::find(checks, found.text()) != checks.end();
}

struct Member {
    std::string_view name;
    bool (*usable)(Found);
    const char* wanted;
    bool list = false;  // an array, each element of which must be usable
};
constexpr std::array members{
    Member{"auth_only", is_flag, "true or false"},
    Member{"stock", is_flag, "true or false"},
    Member{"shipping", is_flag, "true or false"},
    Member{"capture_delay_ms", is_delay, "a whole number of milliseconds, from 0 to 2419200000, which is 28 days"},
    Member{"verify_above_minor", is_limit, "an amount of 0 or more in minor units, or null"},
    Member{"checks", is_check, "an array with any of \"credit\", \"fraud\", \"shipping_cost\"", true},
    Member{"provider", is_provider, "a provider's name, of 1 to 60 bytes"},
    Member{"queue", is_queue, "the queue of the payment tasks, a name of 1 to 100 bytes"},
};
static_assert(delay_ms_max == 2'419'200'000 && provider_bytes_max == 60 && tasks::name_bytes_max == 100,
              "what is wanted says so");

[[noreturn]] void refuse(const Member& member, Found found) {
    pg::raise(pg::Error::invalid_argument,
              {.message = pg::format("policy member %s cannot be used", pg::quoted(member.name)),
               .detail = pg::format("What is given is %s.", pg::shown(found)),
               .hint = pg::format("Give %s.", member.wanted)});
}

void require_member(std::string_view name, Found found) {
    auto member = std::ranges::find(members, name, &Member::name);
    if (member == members.end()) {
        pg::raise(
            pg::Error::invalid_argument,
            {.message = pg::format("policy has an unknown member %s", pg::quoted(name)),
             .detail = "A misspelled member must not be silently without effect.",
             .hint =
                 "Known: auth_only, stock, shipping, capture_delay_ms, verify_above_minor, checks, provider, queue."});
    }
    if (!member->list) {
        if (!member->usable(found)) refuse(*member, found);
        return;
    }
    if (found.kind != pg::JsonKind::array) refuse(*member, found);
    pg::for_each_element(found.container(), [&](std::uint32_t, Found element) {
        if (!member->usable(element)) refuse(*member, element);
    });
}

}  // namespace

void require_policy(Jsonb* policy) {
    if (pg::kind_of(policy) != pg::JsonKind::object) {
        pg::raise(pg::Error::invalid_argument, {.message = "policy must be an object",
                                                .detail = pg::format("It is %s.", pg::kind_name(pg::kind_of(policy))),
                                                .hint = "For example {\"auth_only\": true}."});
    }
    pg::for_each_member(&policy->root, require_member);
}

Jsonb* policy_with(Jsonb* wanted) {
    pg::Result found = select_policy.run(pg::Access::writes, {{pg::jsonb_datum(wanted), wanted == nullptr}});
    return DatumGetJsonbP(found.value(0, 0));
}

PaymentPolicy payment_policy(const core::OrderId& order) {
    pg::Result found = select_in_force.run(pg::Access::writes,
                                           {{pg::text_datum(payments::id_text(order))}, {pg::text_datum(fulfilment)}});
    PaymentPolicy policy;
    if (!found.is_null(0, 0)) policy.work.queue = pg::text_view(found.value(0, 0));
    if (!found.is_null(0, 1)) policy.provider = pg::text_view(found.value(0, 1));
    return policy;
}

OMS_FUNCTION(oms_set_fulfilment_policy) {
    pg::Call call{fcinfo};
    Jsonb* policy = call.required_jsonb(0, "policy");
    require_policy(policy);
    return update_policy.run(pg::Access::writes, {{pg::jsonb_datum(policy)}}).value(0, 0);
}

}  // namespace oms::api
