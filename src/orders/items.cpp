// Items: from the caller's JSON to checked values. Every message names the item and the member it is about.
#include "core/money.hpp"
#include "orders/orders.hpp"
#include "pg/memory.hpp"
#include "pg/raise.hpp"

#include "pg/poison.hpp"

namespace oms::orders {

namespace {

constexpr std::size_t sku_bytes_max = 255;
constexpr const char* item_form = "An item looks like {\"sku\": \"SKU-001\", \"qty\": 2, \"price_minor\": 10000}.";

struct Place {
    std::string_view where;  // "items", or "orders[3].items"
    std::size_t index;

    char* name(const char* member) const {
        return pg::format("%.*s[%zu].%s", static_cast<int>(where.size()), where.data(), index, member);
    }
};

[[noreturn]] void raise_member(const Place& place, const char* member, const char* problem, const char* found) {
    pg::raise(pg::Error::invalid_argument, {.message = pg::format("%s %s", place.name(member), problem),
                                            .detail = pg::format("It is %s.", found),
                                            .hint = item_form});
}

std::int64_t whole_number(const Place& place, const char* name, const pg::JsonMember& member, std::int64_t least) {
    if (member.kind != pg::JsonKind::number) raise_member(place, name, "is not a number", pg::shown(member));
    std::optional<std::int64_t> number = pg::whole_number(member.value);
    if (!number) raise_member(place, name, "is not a whole number in the range of bigint", pg::shown(member));
    if (*number < least)
        raise_member(place, name, least > 0 ? "must be at least 1" : "must not be negative", pg::shown(member));
    return *number;
}

// The members beyond the known ones, as an object of their own.
Jsonb* further_members(JsonbContainer* object) {
    pg::JsonWriter json;
    json.begin_object();
    pg::for_each_member(object, [&](std::string_view name, pg::JsonMember member) {
        if (name == "sku" || name == "qty" || name == "price_minor") return;
        json.key(name);
        json.push(WJB_VALUE, &member.value);
    });
    json.end_object();
    return json.finish();
}

void check_currency(const Place& place, const pg::JsonMember& member, std::string_view currency) {
    if (member.kind == pg::JsonKind::missing) return;
    if (member.kind != pg::JsonKind::text) raise_member(place, "currency", "is not a string", pg::shown(member));
    if (member.text() == currency) return;
    pg::raise(
        pg::Error::currency_mismatch,
        {.message = pg::format("%s differs from the order's currency", place.name("currency")),
         .detail = pg::format("The order is in %s, the item in %s.", pg::quoted(currency), pg::quoted(member.text())),
         .hint = "Give all prices in the order's currency, or make two orders."});
}

Item parse_item(const Place& place, const pg::JsonMember& element, std::string_view currency) {
    if (element.kind != pg::JsonKind::object) {
        pg::raise(pg::Error::invalid_argument,
                  {.message = pg::format("%.*s[%zu] is not an object", static_cast<int>(place.where.size()),
                                         place.where.data(), place.index),
                   .detail = pg::format("It is %s.", pg::shown(element)),
                   .hint = item_form});
    }
    JsonbContainer* object = element.container();
    pg::JsonMember sku = pg::member_of(object, "sku");
    pg::JsonMember qty = pg::member_of(object, "qty");
    pg::JsonMember price = pg::member_of(object, "price_minor");
    if (sku.kind != pg::JsonKind::text) raise_member(place, "sku", "is not a string", pg::shown(sku));
    if (sku.text().empty() || sku.text().size() > sku_bytes_max) {
        raise_member(place, "sku", pg::format("must be 1 to %zu bytes long", sku_bytes_max), pg::shown(sku));
    }
    Item item{sku.text(), whole_number(place, "qty", qty, 1), whole_number(place, "price_minor", price, 0), nullptr};
    if (JsonContainerSize(object) > 3) {
        check_currency(place, pg::member_of(object, "currency"), currency);
        item.details = further_members(object);
    }
    return item;
}

}  // namespace

ItemList parse_items(JsonbContainer* items, std::string_view currency, std::string_view where) {
    auto named = [&](const char* rest) {
        return pg::format("%.*s %s", static_cast<int>(where.size()), where.data(), rest);
    };
    if (JsonContainerIsScalar(items) || !JsonContainerIsArray(items)) {
        pg::raise(
            pg::Error::invalid_argument,
            {.message = named("is not an array"), .detail = "A JSON array of objects is expected.", .hint = item_form});
    }
    std::uint32_t count = JsonContainerSize(items);
    if (count == 0 || count > items_max) {
        pg::raise(pg::Error::invalid_argument, {.message = named(pg::format("must have 1 to %zu items", items_max)),
                                                .detail = pg::format("There are %u.", count),
                                                .hint = count == 0 ? item_form : "Split the order."});
    }
    std::span<Item> list = pg::allocate<Item>(count);
    std::int64_t total = 0;
    pg::for_each_element(items, [&](std::uint32_t i, const pg::JsonMember& element) {
        CHECK_FOR_INTERRUPTS();
        Place place{where, i};
        list[i] = parse_item(place, element, currency);
        std::int64_t amount;
        if (core::mul_overflows(list[i].qty, list[i].price_minor, amount) ||
            core::add_overflows(total, amount, total)) {
            pg::raise(pg::Error::invalid_argument,
                      {.message = named("add up to more than an amount can hold"),
                       .detail = pg::format("The sum leaves the range of bigint at item %u.", i),
                       .hint = "Amounts are in minor units of the currency; check the quantities and prices."});
        }
    });
    return {list, total};
}

}  // namespace oms::orders
