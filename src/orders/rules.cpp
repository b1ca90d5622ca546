// The owner's states and transitions, read once in a session; the built-in ones are compiled in (core/order_machine.hpp).
#include "orders/orders.hpp"
#include "pg/catalog.hpp"
#include "pg/memory.hpp"
#include "pg/plan.hpp"
#include "pg/raise.hpp"

#include "pg/poison.hpp"

namespace oms::orders {

namespace {

constinit pg::Plan load_transitions{
    "SELECT from_status, action, to_status, blocked_by_hold, effect, event_type "
    "FROM oms.order_transition WHERE NOT builtin ORDER BY from_status, action",
    {}};
constinit pg::Plan load_statuses{"SELECT status, is_final FROM oms.order_status WHERE NOT builtin", {}};

constinit MemoryContext rules_memory = nullptr;
constinit std::span<const core::Transition> transitions{};
struct Status {
    std::string_view name;
    bool is_final;
};

constinit std::span<const Status> statuses{};
constinit std::uint64_t changes_announced = 1;
constinit std::uint64_t changes_loaded = 0;
constinit Oid transition_relation = InvalidOid;
constinit Oid status_relation = InvalidOid;

std::string_view copied(const pg::Result& rows, std::size_t row, int column) {
    return pg::copied(pg::text_view(rows.value(row, column)));
}

core::Effect effect_of(std::string_view name) {
    if (name == "pay_in_full") return core::Effect::pay_in_full;
    if (name == "refund_rest") return core::Effect::refund_rest;
    return core::Effect::none;
}

void load() {
    if (changes_loaded == changes_announced) return;
    // Noted before reading: a change that is announced meanwhile makes the next call read again.
    std::uint64_t changes = changes_announced;
    transition_relation = pg::relation_oid("order_transition");
    status_relation = pg::relation_oid("order_status");
    pg::Result transition_rows = load_transitions.run(pg::Access::writes, {});
    pg::Result status_rows = load_statuses.run(pg::Access::writes, {});

    MemoryContext memory = pg::new_session_context("oms order rules");
    std::span<core::Transition> loaded_transitions;
    std::span<Status> loaded_statuses;
    pg::in_context(memory, [&] {
        loaded_transitions = pg::allocate<core::Transition>(transition_rows.count);
        for (std::size_t i = 0; i < transition_rows.count; ++i) {
            loaded_transitions[i] = {copied(transition_rows, i, 0),
                                     copied(transition_rows, i, 1),
                                     copied(transition_rows, i, 2),
                                     DatumGetBool(transition_rows.value(i, 3)),
                                     effect_of(pg::text_view(transition_rows.value(i, 4))),
                                     copied(transition_rows, i, 5)};
        }
        loaded_statuses = pg::allocate<Status>(status_rows.count);
        for (std::size_t i = 0; i < status_rows.count; ++i) {
            loaded_statuses[i] = {copied(status_rows, i, 0), DatumGetBool(status_rows.value(i, 1))};
        }
    });
    if (rules_memory != nullptr) pg::drop_context(rules_memory);
    rules_memory = memory;
    transitions = loaded_transitions;
    statuses = loaded_statuses;
    changes_loaded = changes;  // published last: everything above can raise
}

}  // namespace

std::span<const core::Transition> owner_transitions() {
    load();
    return transitions;
}

namespace {

const Status* find_owner_status(std::string_view name) {
    load();
    for (const Status& status : statuses) {
        if (status.name == name) return &status;
    }
    return nullptr;
}

}  // namespace

bool status_exists(std::string_view status) {
    return core::is_builtin_status(status) || find_owner_status(status) != nullptr;
}

bool is_final(std::string_view status) {
    if (core::is_final(status)) return true;
    const Status* found = core::is_builtin_status(status) ? nullptr : find_owner_status(status);
    return found != nullptr && found->is_final;
}

void rules_changed(Oid relation) {
    if (relation == InvalidOid || relation == transition_relation || relation == status_relation) ++changes_announced;
}

const char* legal_actions(std::string_view status) {
    StringInfoData list;
    initStringInfo(&list);
    core::for_each_legal_action(status, owner_transitions(), [&](std::string_view action) {
        appendStringInfo(&list, "%s%.*s", list.len == 0 ? "" : ", ", static_cast<int>(action.size()), action.data());
    });
    return list.len == 0 ? "none" : list.data;
}

void raise_order_not_found(const core::OrderId& id) {
    pg::raise(pg::Error::not_found,
              {.message = pg::format("order %s does not exist", id_text(id).data()),
               .detail = core::is_order_id(id) ? "No row of oms.orders has this id."
                                               : "It is not an id that oms.create_order gives out.",
               .hint = "Check the id; it is in the answer of oms.create_order."});
}

void raise_version_conflict(const Order& order, std::int32_t expected) {
    pg::raise(pg::Error::version_conflict,
              {.message = pg::format("order %s is not at version %d", id_text(order.id).data(), expected),
               .detail = pg::format("Its version is %d and its status %s.", order.version, pg::c_string(order.status)),
               .hint = "Read the order again, decide again, and pass the new version."});
}

}  // namespace oms::orders
