// Choosing the lines of a shipment. Every message names the item and the member it is about.
#include "api/shipment_items.hpp"

#include <algorithm>

#include "core/money.hpp"
#include "pg/memory.hpp"
#include "pg/raise.hpp"

#include "pg/poison.hpp"

namespace oms::api {

namespace {

using shipments::Line;

constexpr const char* item_form =
    "An item looks like {\"sku\": \"SKU-001\", \"qty\": 2}, or has a line_no instead of the sku.";

// A line of the order: what of it is open, and what of that the shipment takes.
struct Choice {
    Line line;
    std::int64_t open, taken;

    std::int64_t left() const { return open - taken; }
};

// A sum beyond all numbers is more than there can be of anything.
std::int64_t sum(std::int64_t a, std::int64_t b) {
    std::int64_t result;
    return core::add_overflows(a, b, result) ? PG_INT64_MAX : result;
}

struct Item {
    std::uint32_t index;
    std::optional<std::int64_t> line_no;
    std::string_view sku;  // empty: not given
    std::optional<std::int64_t> qty;
};

[[noreturn]] void refuse(std::uint32_t index, const char* member, const char* problem, const char* found) {
    pg::raise(pg::Error::invalid_argument,
              {.message = pg::format("items[%u]%s %s", index, member, problem), .detail = found, .hint = item_form});
}

std::int64_t whole_number(std::uint32_t index, const char* name, const pg::JsonMember& member) {
    std::optional<std::int64_t> number;
    if (member.kind == pg::JsonKind::number) number = pg::whole_number(member.value);
    if (!number || *number < 1)
        refuse(index, name, "is not a whole number of at least 1", pg::format("It is %s.", pg::shown(member)));
    return *number;
}

Item parse(std::uint32_t index, const pg::JsonMember& element) {
    if (element.kind != pg::JsonKind::object)
        refuse(index, "", "is not an object", pg::format("It is %s.", pg::shown(element)));
    Item item{.index = index, .line_no = {}, .sku = {}, .qty = {}};
    pg::for_each_member(element.container(), [&](std::string_view name, const pg::JsonMember& member) {
        if (name == "line_no") {
            item.line_no = whole_number(index, ".line_no", member);
        } else if (name == "qty") {
            item.qty = whole_number(index, ".qty", member);
        } else if (name == "sku") {
            if (member.kind != pg::JsonKind::text || member.text().empty())
                refuse(index, ".sku", "is not the sku of anything", pg::format("It is %s.", pg::shown(member)));
            item.sku = member.text();
        } else {
            refuse(index, "", pg::format("has an unknown member %s", pg::quoted(name)),
                   "What is not understood is refused, so that a misspelled member is not lost.");
        }
    });
    if (!item.line_no && item.sku.empty())
        refuse(index, "", "names neither a sku nor a line", "Its members sku and line_no are missing.");
    return item;
}

class Chooser {
  public:
    Chooser(const orders::Order& order, Lines ordered, Lines open)
        : order_(order),
          choices_(pg::allocate<Choice>(ordered.size())),
          by_sku_(pg::allocate<Choice*>(ordered.size())) {
        auto still_open = open.begin();
        for (std::size_t i = 0; i < ordered.size(); ++i) {
            choices_[i] = {ordered[i], 0, 0};
            if (still_open != open.end() && still_open->line_no == ordered[i].line_no)
                choices_[i].open = (still_open++)->qty;
            by_sku_[i] = &choices_[i];
        }
        std::ranges::sort(by_sku_, [](const Choice* a, const Choice* b) {
            return a->line.sku != b->line.sku ? a->line.sku < b->line.sku : a->line.line_no < b->line.line_no;
        });
    }

    void take(const Item& item) {
        std::span<Choice*> candidates = candidates_for(item);
        std::int64_t wanted = 0;
        for (const Choice* choice : candidates) wanted = sum(wanted, choice->left());
        if (wanted == 0 || item.qty.value_or(wanted) > wanted) raise_too_much(item, candidates, wanted);
        wanted = item.qty.value_or(wanted);
        for (Choice* choice : candidates) {
            const std::int64_t part = std::min(wanted, choice->left());
            choice->taken += part;
            wanted -= part;
        }
    }

    Lines taken() const {
        std::span<Line> lines = pg::allocate<Line>(choices_.size());
        std::size_t count = 0;
        for (const Choice& choice : choices_) {
            if (choice.taken > 0) lines[count++] = {choice.line.line_no, choice.line.sku, choice.taken};
        }
        return lines.first(count);
    }

  private:
    std::span<Choice*> candidates_for(const Item& item) {
        if (item.line_no) {
            auto found = std::ranges::lower_bound(
                choices_, *item.line_no, {}, [](const Choice& choice) { return std::int64_t{choice.line.line_no}; });
            if (found == choices_.end() || found->line.line_no != *item.line_no ||
                (!item.sku.empty() && found->line.sku != item.sku))
                refuse(item.index, ".line_no", "is not that of a line of the order", shown_line(item));
            std::span<Choice*> one = pg::allocate<Choice*>(1);
            one[0] = &*found;
            return one;
        }
        auto [first, last] =
            std::ranges::equal_range(by_sku_, item.sku, {}, [](const Choice* choice) { return choice->line.sku; });
        if (first == last)
            refuse(item.index, ".sku", "is not in the order", pg::format("It is %s.", pg::quoted(item.sku)));
        return {first, last};
    }

    static const char* shown_line(const Item& item) {
        if (item.sku.empty()) return pg::format("It is " INT64_FORMAT ".", *item.line_no);
        return pg::format("It is " INT64_FORMAT ", the sku %s.", *item.line_no, pg::quoted(item.sku));
    }

    [[noreturn]] void raise_too_much(const Item& item, std::span<Choice*> candidates, std::int64_t left) const {
        std::int64_t ordered = 0, open = 0;
        for (const Choice* choice : candidates) {
            ordered = sum(ordered, choice->line.qty);
            open = sum(open, choice->open);
        }
        const char* sku = pg::quoted(candidates[0]->line.sku);
        pg::raise(pg::Error::illegal_transition,
                  {.message = pg::format("order %s has less of %s open than is to be shipped",
                                         orders::id_text(order_.id).data(), sku),
                   .detail = pg::format("Ordered are " INT64_FORMAT ", its shipments carry " INT64_FORMAT
                                        ", left are " INT64_FORMAT "; items[%u] asks for %s.",
                                        ordered, ordered - open, left, item.index,
                                        item.qty ? pg::format(INT64_FORMAT, *item.qty) : "what is open"),
                   .hint = left > 0 ? pg::format("Ask for at most " INT64_FORMAT ".", left)
                                    : "Cancel a shipment that has not left, if this one is to take its place."});
    }

    const orders::Order& order_;
    std::span<Choice> choices_;  // by the number of the line
    std::span<Choice*> by_sku_;  // the same by sku, then by the number of the line
};
static_assert(pg::JumpSafe<Chooser>);

}  // namespace

Lines chosen_lines(const orders::Order& order, Jsonb* items, Lines ordered, Lines open) {
    if (open.empty()) {
        pg::raise(pg::Error::illegal_transition,
                  {.message = pg::format("nothing is left to ship of order %s", orders::id_text(order.id).data()),
                   .detail = "Its shipments carry all that was ordered.",
                   .hint = "Cancel a shipment that has not left, if another one is to take its place."});
    }
    if (items == nullptr) return open;
    const std::uint32_t count = pg::kind_of(items) == pg::JsonKind::array ? JsonContainerSize(&items->root) : 0;
    if (count == 0 || count > orders::items_max) {
        pg::raise(pg::Error::invalid_argument,
                  {.message = pg::format("items is not an array of 1 to %zu items", orders::items_max),
                   .detail = pg::format("It is %s of %u elements.", pg::kind_name(pg::kind_of(items)), count),
                   .hint = "Leave it out for all that is open."});
    }
    Chooser chooser{order, ordered, open};
    pg::for_each_element(&items->root, [&](std::uint32_t i, const pg::JsonMember& element) {
        CHECK_FOR_INTERRUPTS();
        chooser.take(parse(i, element));
    });
    return chooser.taken();
}

}  // namespace oms::api
