// What the built-in saga and the commands over it share.
#include "api/fulfilment.hpp"

#include "pg/raise.hpp"

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
