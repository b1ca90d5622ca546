// oms.create_orders: many orders in one call, all or none, written table by table.
#include <algorithm>
#include <cstring>

#include "api/new_order.hpp"
#include "api/request.hpp"
#include "pg/memory.hpp"
#include "pg/raise.hpp"

#include "pg/poison.hpp"

namespace oms::api {
namespace {

// One statement's worth; the memory for it is held until the statement ends.
constexpr std::uint32_t orders_max = 10'000;

// How many keys are locked at a time.
constexpr std::size_t group_size = 128;

constexpr const char* order_form =
    "An order looks like {\"customer_id\": ..., \"currency\": ..., \"items\": [...], \"idempotency_key\": ...}.";

[[noreturn]] void refuse(const char* message, const char* detail) {
    pg::raise(pg::Error::invalid_argument, {.message = message, .detail = detail, .hint = order_form});
}

std::optional<std::string_view> text_member(const char* prefix, JsonbContainer* object, const char* name) {
    pg::JsonMember member = pg::member_of(object, name);
    if (member.kind == pg::JsonKind::missing || member.kind == pg::JsonKind::null) return std::nullopt;
    if (member.kind != pg::JsonKind::text) {
        refuse(pg::format("%s%s is not a string", prefix, name), pg::format("It is %s.", pg::kind_name(member.kind)));
    }
    return member.text();
}

Jsonb* json_member(JsonbContainer* object, const char* name) {
    pg::JsonMember member = pg::member_of(object, name);
    if (member.kind == pg::JsonKind::missing || member.kind == pg::JsonKind::null) return nullptr;
    return pg::to_jsonb(member);
}

void refuse_unknown_members(const char* prefix, JsonbContainer* object) {
    static constexpr std::array known{std::string_view{"customer_id"},  std::string_view{"currency"},
                                      std::string_view{"items"},        std::string_view{"idempotency_key"},
                                      std::string_view{"external_ref"}, std::string_view{"metadata"}};
    pg::for_each_member(object, [&](std::string_view name, const pg::JsonMember&) {
        if (std::ranges::find(known, name) == known.end()) {
            refuse(pg::format("%.*s has an unknown member %s", static_cast<int>(std::strlen(prefix)) - 1, prefix,
                              pg::quoted(name)),
                   "What is not understood is refused, so that a misspelled member is not lost.");
        }
    });
}

// One order of the call.
struct Entry {
    OrderRequest given;
    std::optional<std::string_view> key;
    const char* prefix;
};

std::span<Entry> read_entries(JsonbContainer* list) {
    std::span<Entry> entries = pg::allocate<Entry>(JsonContainerSize(list));
    pg::for_each_element(list, [&](std::uint32_t i, const pg::JsonMember& element) {
        CHECK_FOR_INTERRUPTS();
        if (element.kind != pg::JsonKind::object) {
            refuse(pg::format("orders[%u] is not an object", i), pg::format("It is %s.", pg::kind_name(element.kind)));
        }
        const char* prefix = pg::format("orders[%u].", i);
        JsonbContainer* object = element.container();
        refuse_unknown_members(prefix, object);
        entries[i] = {{text_member(prefix, object, "customer_id"), text_member(prefix, object, "currency"),
                       json_member(object, "items"), text_member(prefix, object, "external_ref"),
                       json_member(object, "metadata")},
                      text_member(prefix, object, "idempotency_key"),
                      prefix};
    });
    return entries;
}

// Two orders under one key in one call would both be new.
void refuse_repeated_keys(std::span<const Entry> entries) {
    std::span<std::string_view> keys = pg::allocate<std::string_view>(entries.size());
    for (std::size_t i = 0; i < entries.size(); ++i) keys[i] = entries[i].key.value_or(std::string_view{});
    std::ranges::sort(keys);
    auto twice = std::ranges::adjacent_find(keys);
    if (twice != keys.end() && !twice->empty()) {
        refuse(pg::format("idempotency key %s occurs twice", pg::quoted(*twice)),
               "Each order of a call needs a key of its own.");
    }
}

// Takes the keys of some orders, writes those that are new, and adds all answers. A group at a time, because a key is locked from the look at it
// to the row that stands for it, and the server's lock table is small.
void create_group(std::span<const Entry> entries, pg::RowSet& answers) {
    std::span<idempotency::Ticket> tickets = pg::allocate<idempotency::Ticket>(entries.size());
    pg::Array<orders::NewOrder> requested(entries.size());
    pg::Array<idempotency::Ticket> taken(entries.size());
    for (std::size_t i = 0; i < entries.size(); ++i) {
        const Entry& entry = entries[i];
        tickets[i] = idempotency::begin(entry.key, create_order_operation, fingerprint_of(entry.given));
        if (tickets[i].replayed) continue;
        requested.push(checked(entry.given, entry.prefix));
        taken.push(tickets[i]);
    }
    std::span<orders::Order> created = pg::allocate<orders::Order>(requested.size());
    orders::insert(requested.span(), created);
    std::span<std::string_view> encoded = pg::allocate<std::string_view>(created.size());
    for (std::size_t i = 0; i < created.size(); ++i) encoded[i] = orders::encode(created[i]);
    idempotency::finish(taken.span(), encoded);

    const orders::Order* next_created = created.data();
    for (const idempotency::Ticket& ticket : tickets) {
        orders::StateRow row = ticket.replayed ? orders::state_row(orders::decode(ticket.answer), true)
                                               : orders::state_row(*next_created++, false);
        answers.add(row.values.data(), row.nulls.data());
    }
}

}  // namespace

OMS_FUNCTION(oms_create_orders) {
    pg::Call call{fcinfo};
    Jsonb* list = call.required_jsonb(0, "orders");
    if (pg::kind_of(list) != pg::JsonKind::array)
        refuse("orders is not an array", "A JSON array of objects is expected.");
    std::uint32_t count = JsonContainerSize(&list->root);
    if (count > orders_max) {
        refuse(pg::format("orders has more than %u orders", orders_max), pg::format("There are %u.", count));
    }
    std::span<Entry> entries = read_entries(&list->root);
    refuse_repeated_keys(entries);
    pg::RowSet answers{call};
    for (std::size_t done = 0; done < entries.size(); done += group_size) {
        create_group(entries.subspan(done, std::min(group_size, entries.size() - done)), answers);
    }
    pg::end_of_command();
    return Datum{0};
}

}  // namespace oms::api
