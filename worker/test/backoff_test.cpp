// Goal: pauses grow to the cap, never beyond it and never to nothing. Method: many draws from many seeds.
#include <gtest/gtest.h>

#include "runtime/backoff.hpp"

namespace oms::runtime {
namespace {

using namespace std::chrono_literals;

TEST(Backoff, DoublesWithinJitterUpToTheCap) {
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
        Backoff backoff(100ms, 5s, seed);
        Clock::duration full = 100ms;
        for (int attempt = 0; attempt < 50; ++attempt) {
            const auto pause = backoff.next();
            EXPECT_GE(pause, full / 2);
            EXPECT_LE(pause, full);
            full = std::min<Clock::duration>(full * 2, 5s);
        }
    }
}

TEST(Backoff, NeverOverflowsAfterALongOutage) {
    Backoff backoff(1ms, std::chrono::hours(24 * 365 * 100), 7);
    for (int attempt = 0; attempt < 10'000; ++attempt) EXPECT_GT(backoff.next(), Clock::duration::zero());
}

TEST(Backoff, StartsAnewAfterReset) {
    Backoff backoff(100ms, 5s, 1);
    for (int attempt = 0; attempt < 20; ++attempt) backoff.next();
    backoff.reset();
    EXPECT_LE(backoff.next(), 100ms);
}

}  // namespace
}  // namespace oms::runtime
