// Reading the arguments of the commands about money.
#include "api/payment_request.hpp"

#include "api/request.hpp"
#include "pg/memory.hpp"
#include "pg/raise.hpp"

#include "pg/poison.hpp"

namespace oms::api {
namespace {

// A token and what goes with it; it is copied into each of the payment's tasks.
constexpr std::size_t method_bytes_max = 16 * 1024;

}  // namespace

std::optional<std::string_view> checked_provider(const pg::Call& call, int position) {
    if (call.is_null(position)) return std::nullopt;
    return required_bounded_text(call, position, "provider", provider_bytes_max);
}

Jsonb* checked_method(const pg::Call& call, int position) {
    Jsonb* method = call.jsonb(position);
    if (method == nullptr) return nullptr;
    if (pg::kind_of(method) == pg::JsonKind::object && VARSIZE(method) <= method_bytes_max) return method;
    pg::raise(
        pg::Error::invalid_argument,
        {.message = "method is not a small object",
         .detail = pg::format("It is %s of %u bytes.", pg::kind_name(pg::kind_of(method)), VARSIZE(method)),
         .hint = pg::format("Pass an object of at most %zu bytes with what the provider needs: a token, never a card "
                            "number.",
                            method_bytes_max)});
}

}  // namespace oms::api
