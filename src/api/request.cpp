// Reading requests, and saying no.
#include "api/request.hpp"

#include "api/fulfilment.hpp"
#include "pg/memory.hpp"
#include "pg/raise.hpp"

#include "pg/poison.hpp"

namespace oms::api {

std::string_view bounded_text(const pg::Call& call, int position, const char* name, std::size_t bytes_max) {
    std::string_view text = call.text(position).value_or(std::string_view{});
    if (text.size() <= bytes_max) return text;
    pg::raise(pg::Error::invalid_argument, {.message = pg::format("%s is too long: %zu bytes", name, text.size()),
                                            .detail = pg::format("It begins %s.", pg::quoted(text)),
                                            .hint = pg::format("At most %zu bytes are accepted.", bytes_max)});
}

std::string_view required_bounded_text(const pg::Call& call, int position, const char* name, std::size_t bytes_max) {
    (void)call.required_text(position, name);
    std::string_view text = bounded_text(call, position, name, bytes_max);
    if (!text.empty()) return text;
    pg::raise(pg::Error::invalid_argument, {.message = pg::format("%s is empty", name),
                                            .detail = "An empty text says nothing.",
                                            .hint = pg::format("Pass 1 to %zu bytes.", bytes_max)});
}

RequestFingerprint& RequestFingerprint::add(const std::optional<std::string_view>& text) {
    if (text) {
        builder_.add(*text);
    } else {
        builder_.add_null();
    }
    return *this;
}

RequestFingerprint& RequestFingerprint::add(const std::optional<std::int32_t>& number) {
    return add(number ? std::optional{std::int64_t{*number}} : std::nullopt);
}

RequestFingerprint& RequestFingerprint::add(const std::optional<std::int64_t>& number) {
    if (number) {
        builder_.add(*number);
    } else {
        builder_.add_null();
    }
    return *this;
}

RequestFingerprint& RequestFingerprint::add(const core::OrderId& id) {
    builder_.add_bytes(id.bytes.data(), id.bytes.size());
    return *this;
}

RequestFingerprint& RequestFingerprint::add(const Jsonb* json) {
    // The binary form is canonical: members are sorted and unique, white space is gone.
    if (json != nullptr) {
        builder_.add_bytes(&json->root, static_cast<std::size_t>(VARSIZE(json)) - VARHDRSZ);
    } else {
        builder_.add_null();
    }
    return *this;
}

void raise_refusal(const orders::Order& order, std::string_view action, core::Refusal refusal) {
    const char* id = orders::id_text(order.id).data();
    const char* verb = pg::c_string(action);
    const char* status = pg::c_string(order.status);
    const char* found = pg::format("Its status is %s, its version %d.", status, order.version);
    const char* legal = pg::format("Legal now: %s.", orders::legal_actions(order.status));
    switch (refusal) {
    case core::Refusal::unknown_action:
        pg::raise(pg::Error::invalid_argument,
                  {.message = pg::format("no action %s is known", pg::quoted(action)), .detail = found, .hint = legal});
    case core::Refusal::on_hold:
        pg::raise(pg::Error::order_on_hold, {.message = pg::format("order %s cannot %s while it is on hold", id, verb),
                                             .detail = pg::format("It is held for: %s.", pg::quoted(order.hold_reason)),
                                             .hint = "Release it with oms.release_hold, or cancel it."});
    case core::Refusal::operation_in_progress: raise_busy(order, action);
    default:
        pg::raise(pg::Error::illegal_transition,
                  {.message = pg::format("order %s cannot %s while it is %s", id, verb, status),
                   .detail = found,
                   .hint = legal});
    }
}

}  // namespace oms::api
