// What can be queued.
#include "api/queueable.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <span>

#include "pg/entry.hpp"
#include "pg/function.hpp"
#include "pg/memory.hpp"
#include "pg/plan.hpp"
#include "pg/raise.hpp"
#include "pg/subtransaction.hpp"

#include "pg/poison.hpp"

namespace oms::api {
namespace {

enum class Kind : unsigned char { text, amount, interval, json };

struct Argument {
    std::string_view name;
    Kind kind;
};

constexpr std::size_t arguments_max = 5;

struct Queueable {
    std::string_view name;
    std::array<Argument, arguments_max> arguments;  // those without a name do not count
    pg::Plan call;                                  // of order, key and arguments
};

// What `$3` holds under a name, NULL for what is left out.
#define OMS_TEXT(name) "$3 ->> '" name "'"
#define OMS_JSON(name) "nullif($3 -> '" name "', 'null')"
#define OMS_CALL(text)                                                                                    \
    {                                                                                                     \
        "SELECT to_jsonb(r) - 'replayed', r.replayed FROM oms." text " r", { UUIDOID, TEXTOID, JSONBOID } \
    }

constinit std::array queueables{
    Queueable{"advance_order",
              {{{"action", Kind::text}, {"reason", Kind::text}, {"payload", Kind::json}}},
              OMS_CALL("advance_order($1, " OMS_TEXT("action") ", $2, reason => " OMS_TEXT(
                  "reason") ", payload => " OMS_JSON("payload") ")")},
    Queueable{"ship_order",
              {{{"payload", Kind::json}}},
              OMS_CALL("ship_order($1, idempotency_key => $2, payload => " OMS_JSON("payload") ")")},
    Queueable{"complete_order",
              {{{"payload", Kind::json}}},
              OMS_CALL("complete_order($1, idempotency_key => $2, payload => " OMS_JSON("payload") ")")},
    Queueable{"cancel_order",
              {{{"reason", Kind::text}}},
              OMS_CALL("cancel_order($1, " OMS_TEXT("reason") ", idempotency_key => $2)")},
    Queueable{"refund_order",
              {{{"amount_minor", Kind::amount}, {"reason", Kind::text}}},
              OMS_CALL("refund_order($1, " OMS_JSON("amount_minor") "::bigint, " OMS_TEXT(
                  "reason") ", idempotency_key => $2)")},
    Queueable{
        "amend_order",
        {{{"items", Kind::json}, {"reason", Kind::text}}},
        OMS_CALL("amend_order($1, " OMS_JSON("items") ", idempotency_key => $2, reason => " OMS_TEXT("reason") ")")},
    Queueable{"reserve",
              {{{"expires_in", Kind::interval}}},
              OMS_CALL("reserve($1, idempotency_key => $2, expires_in => (" OMS_TEXT("expires_in") ")::interval)")},
    Queueable{
        "release", {{{"reason", Kind::text}}}, OMS_CALL("release($1, " OMS_TEXT("reason") ", idempotency_key => $2)")},
    Queueable{"pay_order",
              {{{"policy", Kind::json}, {"method", Kind::json}}},
              OMS_CALL("pay_order($1, idempotency_key => $2, policy => " OMS_JSON("policy") ", method => " OMS_JSON(
                  "method") ")")},
    Queueable{
        "create_shipment",
        {{{"items", Kind::json},
          {"carrier", Kind::text},
          {"tracking", Kind::text},
          {"assignee", Kind::text},
          {"metadata", Kind::json}}},
        OMS_CALL(
            "create_shipment($1, " OMS_JSON("items") ", $2, carrier => " OMS_TEXT("carrier") ", tracking => " OMS_TEXT(
                "tracking") ", assignee => " OMS_TEXT("assignee") ", metadata => " OMS_JSON("metadata") ")")},
    Queueable{"authorize_payment",
              {{{"amount_minor", Kind::amount}, {"provider", Kind::text}, {"method", Kind::json}}},
              OMS_CALL("authorize_payment($1, " OMS_JSON("amount_minor") "::bigint, $2, provider => " OMS_TEXT(
                  "provider") ", method => " OMS_JSON("method") ")")},
};

#undef OMS_TEXT
#undef OMS_JSON
#undef OMS_CALL

constinit pg::Plan as_interval{"SELECT $1::interval", {TEXTOID}};

Queueable* find(std::string_view name) {
    auto found = std::ranges::find(queueables, name, &Queueable::name);
    return found == queueables.end() ? nullptr : found;
}

const char* listed(std::span<const std::string_view> names) {
    const char* list = "";
    for (std::string_view name : names) {
        if (!name.empty()) list = pg::format("%s%s%s", list, *list == '\0' ? "" : ", ", pg::c_string(name));
    }
    return *list == '\0' ? "none" : list;
}

bool is_interval(const pg::JsonMember& given) {
    Datum text = pg::text_datum(given.text());
    return !pg::attempt([&] { as_interval.run(pg::Access::reads, {{text}}); });
}

bool is_of(Kind kind, const pg::JsonMember& given) {
    if (given.kind == pg::JsonKind::null) return true;
    switch (kind) {
    case Kind::text: return given.kind == pg::JsonKind::text;
    case Kind::amount: return given.kind == pg::JsonKind::number && pg::whole_number(given.value).has_value();
    case Kind::interval: return given.kind == pg::JsonKind::text && is_interval(given);
    case Kind::json: return true;
    }
    return false;
}

constexpr std::array wanted{"a text or null", "a whole number or null", "an interval as text, or null", "any value"};

void require_argument(const Queueable& command, std::string_view name, const pg::JsonMember& given) {
    const auto known = std::ranges::find(command.arguments, name, &Argument::name);
    if (known == command.arguments.end() || name.empty()) {
        std::array<std::string_view, arguments_max> names;
        std::ranges::transform(command.arguments, names.begin(), &Argument::name);
        pg::raise(pg::Error::invalid_argument,
                  {.message = pg::format("arguments has an unknown member %s", pg::quoted(name)),
                   .detail = "A misspelled member must not be silently without effect.",
                   .hint = pg::format("Known for %s: %s.", pg::c_string(command.name), listed(names))});
    }
    if (is_of(known->kind, given)) return;
    pg::raise(pg::Error::invalid_argument,
              {.message = pg::format("arguments member %s cannot be used", pg::quoted(name)),
               .detail = pg::format("What is given is %s.", pg::shown(given)),
               .hint = pg::format("Give %s.", wanted[static_cast<std::size_t>(known->kind)])});
}

}  // namespace

void require_queueable(std::string_view command, Jsonb* arguments) {
    const Queueable* found = find(command);
    if (found == nullptr) {
        std::array<std::string_view, queueables.size()> names;
        std::ranges::transform(queueables, names.begin(), &Queueable::name);
        pg::raise(pg::Error::invalid_argument,
                  {.message = pg::format("no command %s can be queued", pg::quoted(command)),
                   .detail = "Commands are queued that are refused while another operation has the order.",
                   .hint = pg::format("Known: %s.", listed(names))});
    }
    if (pg::kind_of(arguments) != pg::JsonKind::object) {
        pg::raise(pg::Error::invalid_argument,
                  {.message = "arguments must be an object",
                   .detail = pg::format("It is %s.", pg::kind_name(pg::kind_of(arguments))),
                   .hint = "Give the command's arguments by name, without order_id and idempotency_key."});
    }
    pg::for_each_member(&arguments->root, [&](std::string_view name, const pg::JsonMember& given) {
        require_argument(*found, name, given);
    });
}

Answer carry_out(const CommandCall& call, Oid role) {
    Queueable* command = find(call.command);
    if (command == nullptr) {
        pg::raise(pg::Error::invalid_argument,
                  {.message = pg::format("no command %s is known", pg::quoted(call.command)),
                   .detail = "It was queued by a newer version of the extension.",
                   .hint = "Install that version."});
    }
    pg::require_role(role);
    pg::Result rows = command->call.run_as(
        role, pg::Access::writes,
        {{pg::uuid_datum(call.order)}, {pg::text_datum(call.key)}, {pg::jsonb_datum(call.arguments)}});
    return {DatumGetJsonbP(rows.value(0, 0)), DatumGetBool(rows.value(0, 1))};
}

}  // namespace oms::api
