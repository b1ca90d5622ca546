// How long to wait before the next attempt: base * factor^(attempt - 1), never above the cap, spread by jitter.
// A pure function of policy, attempt and seed, so a delay can be recomputed and tested; the caller supplies randomness.
// Every input gives an answer in [0, cap]: absurd policies are flattened, never an overflow.
#pragma once

#include <algorithm>
#include <cstdint>

namespace oms::core {

struct RetryPolicy {
    int attempts_max;
    std::int64_t base_ms;
    double factor;  // at most 1, or not a number: the delay does not grow
    std::int64_t cap_ms;
    double jitter;  // 0.2 = between 80 % and 120 % of the delay; limited to 0 … 1
};

// Spreads the bits of a seed (the finaliser of SplitMix64), so that seeds next to each other give unrelated jitter.
constexpr std::uint64_t mix_bits(std::uint64_t x) {
    x += 0x9e3779b97f4a7c15;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

// Raises to a power by squaring: 31 steps at most, whatever the attempt. Large powers become infinity.
constexpr double power(double base, unsigned exponent) {
    double result = 1;
    while (exponent > 0) {
        if (exponent & 1) result *= base;
        exponent >>= 1;
        if (exponent > 0) base *= base;
    }
    return result;
}

// Returns the delay after the given attempt (the first is 1). One seed gives unrelated jitter for each attempt.
constexpr std::int64_t backoff_ms(const RetryPolicy& policy, int attempt, std::uint64_t seed) {
    if (policy.base_ms <= 0 || policy.cap_ms <= 0) return 0;
    const double jitter = policy.jitter > 0 ? std::min(policy.jitter, 1.0) : 0;
    const double factor = policy.factor > 1 ? policy.factor : 1;
    const auto cap = static_cast<double>(policy.cap_ms);

    // The middle of the spread stops below the cap so that its upper end is the cap itself. Cutting the spread off at
    // the cap instead would send half of all waiting clients back in the same millisecond.
    const double grown =
        static_cast<double>(policy.base_ms) * power(factor, static_cast<unsigned>(std::max(attempt, 1) - 1));
    const double middle = std::min(grown, cap / (1 + jitter));

    const std::uint64_t bits = mix_bits(seed ^ mix_bits(static_cast<std::uint64_t>(attempt)));
    const double unit = static_cast<double>(bits >> 11) * 0x1p-53;  // in [0, 1)
    const double delay = middle * (1 - jitter + 2 * jitter * unit);
    // Compared as doubles first: a cap near 2^63 does not survive the cast.
    return delay < cap ? static_cast<std::int64_t>(delay) : policy.cap_ms;
}

}  // namespace oms::core
