// What the built-in saga and the commands over it share.
#include "api/fulfilment.hpp"

#include "api/request.hpp"
#include "api/shipping.hpp"
#include "pg/memory.hpp"
#include "pg/raise.hpp"
#include "pg/transaction.hpp"

#include "pg/poison.hpp"

namespace oms::api {

void lock_order(std::string_view order_id) {
    core::OrderId id;
    if (!core::parse_uuid(order_id, id)) {
        pg::raise(pg::Error::invalid_argument,
                  {.message = pg::format("%s is no order's id", pg::quoted(order_id)),
                   .detail = "The key of a saga that belongs to an order is the order's id.",
                   .hint = "Pass the order_id that oms.create_order answered."});
    }
    (void)orders::lock(id);
}

void set_pending(const core::OrderId& id, std::string_view action) {
    orders::change(id, std::nullopt,
                   [&](const orders::Order&, orders::Change& change) { change.next.pending_action = action; });
}

std::optional<saga::State> fulfilment_of(const core::OrderId& id) {
    return saga::find_by_key(fulfilment, orders::id_text(id));
}

namespace {

// The machine is asked without the saga's own mark: that the saga has the order is what makes this possible.
core::Decision decide_cancel(const orders::Order& order) {
    core::OrderFacts facts = order.facts();
    facts.pending_action = {};
    return core::decide(facts, core::order_action::cancel, orders::owner_transitions());
}

bool is_cancelable(const orders::Order& order) {
    return decide_cancel(order).refusal == core::Refusal::none && !is_partly_out(shipments::of_order(order.id));
}

}  // namespace

void require_cancelable(const orders::Order& order) {
    core::Decision decision = decide_cancel(order);
    if (decision.refusal != core::Refusal::none) raise_refusal(order, core::order_action::cancel, decision.refusal);
    require_nothing_out(order, shipments::of_order(order.id));
}

void mark_undoing(core::SagaId id, Undoing undoing) {
    core::OrderId order_id{};
    if (!core::parse_uuid(saga::order_of_step(core::saga::step_id(id.value, 0)), order_id)) return;
    const orders::Order order = orders::lock(order_id);
    const std::optional<saga::State> fulfilled = fulfilment_of(order_id);
    if (!fulfilled || fulfilled->id != id || core::is_final(order.status)) return;
    if (undoing == Undoing::begins) {
        // What is parked, or goes back already, refuses by itself.
        if (fulfilled->status != core::saga::SagaStatus::running && !core::saga::is_final(fulfilled->status)) return;
        require_cancelable(order);
    } else if (fulfilled->status != core::saga::SagaStatus::parked || !is_cancelable(order)) {
        return;
    }
    set_pending(order_id, "canceling");
    pg::end_of_command();
}

namespace {

const char* described(const saga::State& saga) {
    return pg::format("Saga " INT64_FORMAT " is %s and waits for: %s.", saga.id.value,
                      pg::c_string(core::saga::name_of(saga.status)), pg::c_string(saga.waits_for));
}

const char* cannot(const core::OrderId& id, std::string_view verb) {
    return pg::format("order %s cannot %s while another operation has it", orders::id_text(id).data(),
                      pg::c_string(verb));
}

}  // namespace

void raise_busy(const orders::Order& order, std::string_view verb) {
    const char* detail = pg::format("Its pending_action is %s.", pg::c_string(order.pending_action));
    std::optional<saga::State> saga = fulfilment_of(order.id);
    if (saga && core::saga::is_final(saga->status)) saga.reset();
    if (saga) detail = pg::format("%s %s", detail, described(*saga));
    const bool parked = saga && saga->status == core::saga::SagaStatus::parked;
    pg::raise(pg::Error::operation_in_progress,
              {.message = cannot(order.id, verb),
               .detail = detail,
               .hint = parked ? "An operator has to resume the saga, by oms.resume_saga; oms.stuck says why it stopped."
                              : "Wait until pending_action is empty, then decide again. Commands on an order can be "
                                "queued with oms.queue_command."});
}

void raise_busy(const core::OrderId& id, std::string_view verb, const saga::State& saga, const char* hint) {
    pg::raise(pg::Error::operation_in_progress, {.message = cannot(id, verb), .detail = described(saga), .hint = hint});
}

}  // namespace oms::api
