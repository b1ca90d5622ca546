// The fingerprint of a request: 128 bits that tell "the same key, the same request" from "the same key, another one".
// It is XXH3_128bits over a canonical byte string in which every field says its kind and its length, so that no two
// different lists of fields give the same bytes:
//   null     'n'
//   text     's'  length (8 bytes, little-endian)  bytes
//   integer  'i'  value  (8 bytes, little-endian, two's complement)
//   bytes    'b'  length (8 bytes, little-endian)  bytes
// Fingerprints are stored: changing this form would turn every live key's replay into idempotency_key_reused.
// Not cryptographic: it guards callers against their own mistakes, not the system against its callers.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/xxh3.hpp"

namespace oms::core {

struct Fingerprint {
    std::uint64_t high, low;

    friend constexpr bool operator==(const Fingerprint&, const Fingerprint&) = default;
};

// Lives on the stack: the state is 576 bytes, aligned to 64, and owns nothing.
struct FingerprintBuilder {
    FingerprintBuilder() { XXH3_128bits_reset(&state); }

    void add(std::string_view text) { add_sized('s', text.data(), text.size()); }

    void add(std::int64_t value) { add_header('i', static_cast<std::uint64_t>(value)); }

    // A null differs from an empty text, and from a field that is not there.
    void add_null() { XXH3_128bits_update(&state, "n", 1); }

    void add_bytes(const void* data, std::size_t size) { add_sized('b', data, size); }

    Fingerprint finish() const {
        const XXH128_hash_t hash = XXH3_128bits_digest(&state);
        return {hash.high64, hash.low64};
    }

  private:
    void add_header(char kind, std::uint64_t number) {
        std::array<unsigned char, 9> header{static_cast<unsigned char>(kind)};
        for (unsigned i = 0; i < 8; ++i) header[1 + i] = static_cast<unsigned char>(number >> (8 * i));
        XXH3_128bits_update(&state, header.data(), header.size());
    }

    void add_sized(char kind, const void* data, std::size_t size) {
        add_header(kind, size);
        // An empty view may carry a null pointer, which XXH3 calls an error.
        if (size > 0) XXH3_128bits_update(&state, data, size);
    }

    XXH3_state_t state;
};

// Hashes an idempotency key for its lock and its index: XXH3_64bits, seed 0.
inline std::uint64_t key_hash(std::string_view key) { return XXH3_64bits(key.data(), key.size()); }

}  // namespace oms::core
