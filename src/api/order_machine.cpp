// oms.order_machine and oms.order_machine_graph: what the machine looks like; and the trigger that watches over its tables.
#include <algorithm>

#include "api/request.hpp"
#include "pg/memory.hpp"
#include "pg/raise.hpp"
#include "pg/trigger.hpp"

#include "pg/poison.hpp"

namespace oms::api {
namespace {

std::string_view name_of(core::Effect effect) {
    switch (effect) {
    case core::Effect::pay_in_full: return "pay_in_full";
    case core::Effect::refund_rest: return "refund_rest";
    default: return "none";
    }
}

// Calls fn(transition, builtin) for every transition that can be taken.
template <class Fn>
void for_each_transition(Fn&& fn) {
    for (const core::Transition& row : core::builtin_transitions) fn(row, true);
    std::span<const core::Transition> owner = orders::owner_transitions();
    for (const core::Transition& row : owner) {
        if (core::find_transition(row.from, row.action, owner) == &row) fn(row, false);
    }
}

void append(StringInfo text, std::string_view part) {
    appendBinaryStringInfo(text, part.data(), static_cast<int>(part.size()));
}

void append_mermaid(StringInfo text) {
    append(text, "stateDiagram-v2\n    [*] --> pending: create\n");
    for_each_transition([&](const core::Transition& row, bool) {
        for (std::string_view part : {std::string_view{"    "}, row.from, std::string_view{" --> "}, row.to,
                                      std::string_view{": "}, row.action, std::string_view{"\n"}}) {
            append(text, part);
        }
    });
    // Each final status once: with the first transition that leads there.
    pg::Array<std::string_view> ends;
    for_each_transition([&](const core::Transition& row, bool) {
        if (!orders::is_final(row.to) || std::ranges::find(ends, row.to) != ends.end()) return;
        ends.push(row.to);
        append(text, "    ");
        append(text, row.to);
        append(text, " --> [*]\n");
    });
}

void append_dot(StringInfo text) {
    append(text, "digraph order_machine {\n    rankdir = LR;\n");
    for_each_transition([&](const core::Transition& row, bool builtin) {
        for (std::string_view part :
             {std::string_view{"    \""}, row.from, std::string_view{"\" -> \""}, row.to,
              std::string_view{"\" [label=\""}, row.action,
              builtin ? std::string_view{"\"];\n"} : std::string_view{"\", style=dashed];\n"}}) {
            append(text, part);
        }
    });
    append(text, "}\n");
}

[[noreturn]] void raise_protected(const pg::Trigger& trigger) {
    pg::raise(pg::Error::protected_row,
              {.message = pg::format("a built-in row of oms.%s cannot be changed", trigger.relation_name()),
               .detail = "The commands rely on it.",
               .hint = "Rows of your own can be added, changed and removed."});
}

// Nothing leads out of a final status, whichever of the two is written last: the transition or the status.
void refuse_leaving_final_status(const pg::Trigger& trigger) {
    std::string_view status;
    bool refused;
    if (trigger.relation_name() == std::string_view{"order_transition"}) {
        status = trigger.new_text("from_status");
        refused = orders::is_final(status);
    } else {
        status = trigger.new_text("status");
        refused = trigger.new_flag("is_final") &&
                  std::ranges::any_of(orders::owner_transitions(),
                                      [&](const core::Transition& row) { return row.from == status; });
    }
    if (!refused) return;
    pg::raise(pg::Error::protected_row, {.message = pg::format("status %s is final", pg::quoted(status)),
                                         .detail = "Nothing leads out of a final status.",
                                         .hint = "Begin the transition at another status."});
}

}  // namespace

OMS_FUNCTION(oms_order_machine) {
    pg::Call call{fcinfo};
    pg::RowSet answer{call};
    for_each_transition([&](const core::Transition& row, bool builtin) {
        const Datum values[] = {pg::text_datum(row.from),
                                pg::text_datum(row.action),
                                pg::text_datum(row.to),
                                BoolGetDatum(row.blocked_by_hold),
                                pg::text_datum(name_of(row.effect)),
                                pg::text_datum(row.event),
                                BoolGetDatum(builtin)};
        const bool nulls[std::size(values)] = {};
        answer.add(values, nulls);
    });
    return Datum{0};
}

OMS_FUNCTION(oms_order_machine_graph) {
    pg::Call call{fcinfo};
    std::string_view format = call.required_text(0, "format");
    StringInfoData text;
    initStringInfo(&text);
    if (format == "mermaid") {
        append_mermaid(&text);
    } else if (format == "dot") {
        append_dot(&text);
    } else {
        pg::raise(pg::Error::invalid_argument,
                  {.message = pg::format("no graph format %s is known", pg::quoted(format)),
                   .detail = "The formats are mermaid and dot.",
                   .hint = "Leave it out for mermaid."});
    }
    return pg::text_datum({text.data, static_cast<std::size_t>(text.len)});
}

OMS_FUNCTION(oms_order_rules_changed) {
    pg::Trigger trigger{fcinfo};
    if (!trigger.is_for_row()) raise_protected(trigger);  // TRUNCATE: the built-in rows are among those that would go
    if (trigger.touches_builtin()) raise_protected(trigger);
    if (trigger.has_new() && !trigger.during_extension_script()) refuse_leaving_final_status(trigger);
    trigger.announce_change();
    return trigger.proceed();
}

}  // namespace oms::api
