// The shipment of the built-in saga: its row stands before the task for it, so that the way back always leads over it.
#include "api/fulfilment_context.hpp"
#include "api/shipping.hpp"
#include "pg/json_object.hpp"
#include "pg/memory.hpp"
#include "pg/raise.hpp"
#include "pg/transaction.hpp"

#include "pg/poison.hpp"

namespace oms::api {
namespace {

namespace status = shipments::status;

// The shipment that the saga made; raises not_found when it is not there.
shipments::Shipment shipment_of(const Context& context) {
    core::ShipmentId id{};
    JsonbContainer* steps = context.data == nullptr ? nullptr : object_member(context.data, "steps");
    JsonbContainer* made = steps == nullptr ? nullptr : object_member(steps, "shipment");
    if (made != nullptr) core::parse_uuid(pg::text_member(made, "shipment_id"), id.value);
    for (const shipments::Shipment& shipment : shipments::of_order(context.order.id)) {
        if (shipment.id == id) return shipment;
    }
    shipments::raise_shipment_not_found(id);
}

// What the carrier's worker said, if it is a name that a row can keep.
std::string_view name_in(Jsonb* result, std::string_view name) {
    constexpr std::size_t bytes_max = 255;
    std::string_view text = pg::text_member(&result->root, name);
    return text.size() <= bytes_max ? text : std::string_view{};
}

}  // namespace

OMS_FUNCTION(oms_fulfilment_shipment) {
    pg::Call call{fcinfo};
    Context context = context_of(call);
    core::Decision decision = decide(context, core::order_action::ship);
    if (decision.refusal == core::Refusal::on_hold) return say("$later", "the order is on hold");
    if (decision.refusal != core::Refusal::none) return say("$fail", refused(context, core::order_action::ship));
    Lines open = open_lines(lines_of(context.order), shipments::of_order(context.order.id));
    if (open.empty()) return say("$fail", "nothing of the order is left to ship");
    shipments::Shipment shipment = shipments::create(
        {.order_id = context.order.id, .status = status::pending, .step_id = context.step_id, .lines = open});
    pg::end_of_command();
    return say("shipment_id", shipments::id_text(shipment.id));
}

// What the carrier's worker is told: what every worker of a saga is, and the shipment. One that is out is not called back.
OMS_FUNCTION(oms_fulfilment_ask_carrier) {
    pg::Call call{fcinfo};
    Context context = context_of(call);
    shipments::Shipment shipment = shipment_of(context);
    if (shipment.is_out()) return say("$fail", pg::format("the shipment is %s", pg::c_string(shipment.status)));
    pg::JsonObject json;
    json.text("shipment_id", shipments::id_text(shipment.id));
    json.text("order_id", orders::id_text(context.order.id));
    json.text_or_null("carrier", shipment.carrier);
    json.text_or_null("tracking", shipment.tracking);
    json.json("items", shipments::lines_json(shipment.lines));
    return pg::jsonb_datum(pg::with_member(context.json, "shipment", json.finish()));
}

// Judges the answer of the carrier's worker, whose word is yes.
OMS_FUNCTION(oms_fulfilment_shipment_created) {
    pg::Call call{fcinfo};
    Context context = context_of(call);
    shipments::Shipment shipment = shipment_of(context);
    pg::JsonMember result = pg::member_of(&context.json->root, "result");
    Jsonb* said = result.kind == pg::JsonKind::missing ? nullptr : pg::to_jsonb(result);
    shipments::Details details;
    if (said != nullptr && pg::kind_of(said) == pg::JsonKind::object) {
        details.carrier = name_in(said, "carrier");
        details.tracking = name_in(said, "tracking");
    }
    shipments::move(shipment, status::created, {}, details);
    pg::end_of_command();
    return said == nullptr ? call.null() : pg::jsonb_datum(said);
}

// The carrier knows by now that nothing is to be shipped, or never heard of it.
OMS_FUNCTION(oms_fulfilment_drop_shipment) {
    pg::Call call{fcinfo};
    Context context = context_of(call);
    shipments::Shipment shipment = shipment_of(context);
    if (shipment.is_out()) return say("$fail", pg::format("the shipment is %s", pg::c_string(shipment.status)));
    if (shipment.status == status::pending) {
        shipments::move(shipment, status::failed, context.failure);
    } else if (shipment.status == status::created) {
        shipments::move(shipment, status::canceled, context.failure);
    }
    pg::end_of_command();
    return call.null();
}

}  // namespace oms::api
