// Calls every function of src/core, so that the object file shows which symbols the room needs. Never linked or run.
#include "core/fingerprint.hpp"
#include "core/ids.hpp"
#include "core/money.hpp"
#include "core/order_machine.hpp"
#include "core/other_machines.hpp"
#include "core/retry.hpp"

using namespace oms::core;

std::uint64_t use_everything(std::string_view text, std::int64_t number, std::span<const Transition> owner);

std::uint64_t use_everything(std::string_view text, std::int64_t number, std::span<const Transition> owner) {
    std::uint64_t used = 0;
    const auto use = [&](auto value) { used = used * 31 + static_cast<std::uint64_t>(value); };

    use(is_final(text) + is_builtin_status(normalize_status(text)));

    const OrderFacts order{text, false, text, number, number, 0};
    use(decide(order, text, owner).event_count);
    const RefundDecision refund = decide_refund(order, number);
    use(refund_event(refund).size() + static_cast<std::size_t>(refund.refunded_minor));
    for_each_legal_action(text, owner, [&](std::string_view action) { use(action.size()); });
    use(legal(machines::payment, text, text) + is_final(machines::saga, text));

    std::int64_t sum = 0;
    use(add_overflows(number, number, sum) + mul_overflows(number, sum, sum));
    use(minor_digits(text));

    OrderId id = make_order_id(number, customer_hash(text), used);
    char uuid[uuid_length];
    format_uuid(id, uuid);
    use(parse_uuid({uuid, uuid_length}, id) + is_order_id(id));
    use(order_time_us(id) + customer_hash_of(id));

    FingerprintBuilder builder;
    builder.add(text);
    builder.add(number);
    builder.add_null();
    builder.add_bytes(text.data(), text.size());
    use(builder.finish().high ^ key_hash(text));

    use(backoff_ms({3, number, 2.0, number, 0.2}, 5, used));
    return used;
}
