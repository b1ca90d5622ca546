// Values that are kept as bytes and read again by this library alone: a fixed part as it lies in memory, then texts behind their lengths.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "pg/memory.hpp"
#include "pg/raise.hpp"

namespace oms::pg {

// Byte 0 names the form, and with it the byte order, so that a logical copy to another kind of machine is refused and not misread.
constexpr char packed_form = std::endian::native == std::endian::little ? 1 : 2;

template <JumpSafe Fixed, std::size_t n>
std::string_view pack(const Fixed& fixed, const std::array<std::string_view, n>& texts) {
    std::size_t size = 1 + sizeof(Fixed);
    for (std::string_view text : texts) size += sizeof(std::uint32_t) + text.size();
    char* bytes = allocate<char>(size).data();
    bytes[0] = packed_form;
    std::memcpy(bytes + 1, &fixed, sizeof(fixed));
    char* end = bytes + 1 + sizeof(fixed);
    for (std::string_view text : texts) {
        auto length = static_cast<std::uint32_t>(text.size());
        std::memcpy(end, &length, sizeof(length));
        std::memcpy(end + sizeof(length), text.data(), text.size());
        end += sizeof(length) + text.size();
    }
    return {bytes, size};
}

template <class Fixed, std::size_t n>
struct Unpacked {
    Fixed fixed;
    std::array<std::string_view, n> texts;  // they point into the bytes
};

// Raises layout_changed for bytes that were not packed so.
template <JumpSafe Fixed, std::size_t n>
Unpacked<Fixed, n> unpack(std::string_view bytes) {
    Unpacked<Fixed, n> value{};
    std::string_view rest = bytes;
    bool known = rest.size() >= 1 + sizeof(Fixed) && rest[0] == packed_form;
    if (known) {
        std::memcpy(&value.fixed, rest.data() + 1, sizeof(Fixed));
        rest.remove_prefix(1 + sizeof(Fixed));
    }
    for (std::string_view& text : value.texts) {
        std::uint32_t length = 0;
        known = known && rest.size() >= sizeof(length);
        if (known) std::memcpy(&length, rest.data(), sizeof(length));
        known = known && rest.size() - sizeof(length) >= length;
        if (!known) break;
        text = {rest.data() + sizeof(length), length};
        rest.remove_prefix(sizeof(length) + length);
    }
    if (!known || !rest.empty()) {
        raise(Error::layout_changed, {.message = "a stored answer has a form that this library does not know",
                                      .detail = format("It is %zu bytes long.", bytes.size()),
                                      .hint = "Install the newer version of the library that wrote it."});
    }
    return value;
}

}  // namespace oms::pg
