// Checking a new order.
#include "api/new_order.hpp"

#include "api/request.hpp"
#include "core/money.hpp"
#include "pg/memory.hpp"
#include "pg/raise.hpp"

#include "pg/poison.hpp"

namespace oms::api {

namespace {

constexpr std::size_t customer_bytes_max = 255;
constexpr std::size_t external_ref_bytes_max = 255;
// A row is read and rewritten at every transition; what is larger belongs beside the order, not in it.
constexpr std::size_t metadata_bytes_max = 64 * 1024;

[[noreturn]] void refuse(std::string_view prefix, const char* name, const char* problem, const char* detail,
                         const char* hint) {
    pg::raise(pg::Error::invalid_argument,
              {.message = pg::format("%.*s%s %s", static_cast<int>(prefix.size()), prefix.data(), name, problem),
               .detail = detail,
               .hint = hint});
}

std::string_view bounded(std::optional<std::string_view> text, std::string_view prefix, const char* name,
                         std::size_t bytes_max) {
    const char* hint = pg::format("Pass 1 to %zu bytes.", bytes_max);
    if (!text) refuse(prefix, name, "is missing", "It is NULL.", hint);
    if (text->empty()) refuse(prefix, name, "is empty", "An empty text says nothing.", hint);
    if (text->size() > bytes_max) {
        refuse(prefix, name, pg::format("is too long: %zu bytes", text->size()),
               pg::format("It begins %s.", pg::quoted(*text)), hint);
    }
    return *text;
}

std::string_view checked_currency(std::optional<std::string_view> currency, std::string_view prefix) {
    constexpr const char* hint = "Use an ISO 4217 code in capitals, for example EUR.";
    if (!currency) refuse(prefix, "currency", "is missing", "It is NULL.", hint);
    if (!core::is_currency(*currency)) {
        refuse(prefix, "currency", pg::format("%s is not an ISO 4217 code", pg::quoted(*currency)),
               "Currencies are compared letter by letter.", hint);
    }
    return *currency;
}

}  // namespace

core::Fingerprint fingerprint_of(const OrderRequest& request) {
    return RequestFingerprint{create_order_operation}
        .add(request.customer_id)
        .add(request.currency)
        .add(request.items)
        .add(request.external_ref)
        .add(request.metadata)
        .finish();
}

orders::NewOrder checked(const OrderRequest& request, std::string_view prefix) {
    orders::NewOrder order{};
    order.customer_id = bounded(request.customer_id, prefix, "customer_id", customer_bytes_max);
    order.currency = checked_currency(request.currency, prefix);
    if (request.items == nullptr) {
        refuse(prefix, "items", "is missing", "It is NULL.", "Pass a JSON array of at least one item.");
    }
    order.items_json = request.items;
    order.list = orders::parse_items(&request.items->root, order.currency,
                                     pg::format("%.*sitems", static_cast<int>(prefix.size()), prefix.data()));
    if (request.external_ref)
        order.external_ref = bounded(request.external_ref, prefix, "external_ref", external_ref_bytes_max);
    order.metadata = request.metadata;
    if (order.metadata != nullptr && VARSIZE(order.metadata) > metadata_bytes_max) {
        refuse(prefix, "metadata", "is too large", pg::format("It takes %u bytes.", VARSIZE(order.metadata)),
               pg::format("At most %zu bytes are accepted.", metadata_bytes_max));
    }
    return order;
}

}  // namespace oms::api
