#include "core/retry.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <vector>

using namespace oms::core;

namespace {

constexpr std::int64_t int64_max = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t int64_min = std::numeric_limits<std::int64_t>::min();
constexpr int int_max = std::numeric_limits<int>::max();

constexpr RetryPolicy saga_step{3, 100, 2.0, 5'000, 0.2};
constexpr RetryPolicy steady{10, 100, 2.0, 5'000, 0.0};

TEST(Backoff, DoublesUntilTheCap) {
    const std::vector<std::int64_t> expected = {100, 200, 400, 800, 1'600, 3'200, 5'000, 5'000, 5'000};
    for (std::size_t i = 0; i < expected.size(); ++i)
        for (const std::uint64_t seed : {0U, 1U, 99U})
            EXPECT_EQ(backoff_ms(steady, static_cast<int>(i) + 1, seed), expected[i]);
}

TEST(Backoff, IsExponentialForOtherFactors) {
    for (const double factor : {1.5, 3.0, 10.0}) {
        const RetryPolicy policy{0, 1'000, factor, int64_max, 0};
        for (int attempt = 1; attempt <= 15; ++attempt)
            EXPECT_NEAR(static_cast<double>(backoff_ms(policy, attempt, 0)), 1'000 * std::pow(factor, attempt - 1), 1)
                << factor << " " << attempt;
    }
}

TEST(Backoff, GrowsByItsFactorUnderJitterToo) {
    for (int attempt = 1; attempt < 5; ++attempt) {
        double here = 0, next = 0;
        for (std::uint64_t seed = 0; seed < 20'000; ++seed) {
            here += static_cast<double>(backoff_ms(saga_step, attempt, seed));
            next += static_cast<double>(backoff_ms(saga_step, attempt + 1, seed));
        }
        EXPECT_NEAR(next / here, 2.0, 0.02) << attempt;
    }
}

TEST(Backoff, StaysWithinItsJitterAndReachesBothEnds) {
    for (const double jitter : {0.1, 0.2, 0.5, 1.0}) {
        const RetryPolicy policy{0, 1'000, 2.0, 60'000, jitter};
        for (int attempt = 1; attempt <= 20; ++attempt) {
            const double middle = std::min(1'000 * std::pow(2.0, attempt - 1), 60'000 / (1 + jitter));
            const double low = middle * (1 - jitter), high = middle * (1 + jitter);
            double smallest = high, largest = low, sum = 0;
            constexpr int seeds = 20'000;
            for (std::uint64_t seed = 0; seed < seeds; ++seed) {
                const auto delay = static_cast<double>(backoff_ms(policy, attempt, seed));
                ASSERT_GE(delay, std::floor(low));
                ASSERT_LE(delay, high);
                smallest = std::min(smallest, delay);
                largest = std::max(largest, delay);
                sum += delay;
            }
            const double spread = high - low;
            EXPECT_LT(smallest, low + 0.01 * spread);
            EXPECT_GT(largest, high - 0.01 * spread - 1);
            EXPECT_NEAR(sum / seeds, middle, 0.02 * spread);
        }
    }
}

TEST(Backoff, SpreadsClientsAtTheCapInsteadOfHerdingThem) {
    std::set<std::int64_t> delays;
    for (std::uint64_t seed = 0; seed < 1'000; ++seed) delays.insert(backoff_ms(saga_step, 50, seed));
    EXPECT_GT(delays.size(), 500U);
    EXPECT_LE(*delays.rbegin(), saga_step.cap_ms);
    EXPECT_GT(*delays.rbegin(), saga_step.cap_ms * 99 / 100);
}

TEST(Backoff, IsAFunctionOfItsArguments) {
    std::set<double> shares;
    for (int attempt = 1; attempt <= 5; ++attempt) {
        EXPECT_EQ(backoff_ms(saga_step, attempt, 7), backoff_ms(saga_step, attempt, 7));
        const RetryPolicy wide{0, 1'000'000, 2.0, int64_max, 0.5};
        shares.insert(static_cast<double>(backoff_ms(wide, attempt, 7)) / std::pow(2.0, attempt));
    }
    EXPECT_EQ(shares.size(), 5U) << "one seed gives each attempt its own jitter";
}

TEST(Backoff, CountsAttemptsFromOne) {
    for (const int attempt : {std::numeric_limits<int>::min(), -1, 0, 1})
        EXPECT_EQ(backoff_ms(steady, attempt, 0), 100) << attempt;
}

TEST(Backoff, NeverOverflows) {
    for (const int attempt : {1, 2, 63, 64, 65, 1'024, int_max}) {
        EXPECT_EQ(backoff_ms({0, int64_max, 2.0, int64_max, 0}, attempt, 0), int64_max);
        EXPECT_EQ(backoff_ms({0, 1, std::numeric_limits<double>::infinity(), 9, 0}, attempt, 0), attempt == 1 ? 1 : 9);
        EXPECT_EQ(backoff_ms({0, 1, std::numeric_limits<double>::max(), 9, 0}, attempt, 0), attempt == 1 ? 1 : 9);
    }
    EXPECT_EQ(backoff_ms({0, 1, 2.0, int64_max, 0}, int_max, 0), int64_max);
    EXPECT_EQ(backoff_ms({0, 100, 1.0, 5'000, 0}, int_max, 0), 100);
    EXPECT_NEAR(static_cast<double>(backoff_ms({0, 100, 1.000'000'001, 5'000, 0}, int_max, 0)), 856, 2);
}

TEST(Backoff, StaysBetweenZeroAndTheCapForAnyPolicy) {
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    constexpr double infinity = std::numeric_limits<double>::infinity();
    const std::vector<std::int64_t> amounts = {int64_min, -1, 0, 1, 100, 5'000, int64_max - 1, int64_max};
    const std::vector<double> fractions = {-infinity, -1, -0.0, 0, 1e-300, 0.5, 1, 1.5, 2, 1e300, infinity, nan};
    for (const std::int64_t base : amounts)
        for (const std::int64_t cap : amounts)
            for (const double factor : fractions)
                for (const double jitter : fractions)
                    for (const int attempt : {-1, 0, 1, 2, 70, int_max})
                        for (const std::uint64_t seed : {std::uint64_t{0}, std::uint64_t{12'345}, ~std::uint64_t{0}}) {
                            const std::int64_t delay = backoff_ms({0, base, factor, cap, jitter}, attempt, seed);
                            ASSERT_GE(delay, 0);
                            ASSERT_LE(delay, std::max<std::int64_t>(cap, 0));
                        }
}

TEST(Backoff, IsNothingWithoutABaseOrACap) {
    EXPECT_EQ(backoff_ms({0, 0, 2.0, 5'000, 0.2}, 3, 1), 0);
    EXPECT_EQ(backoff_ms({0, 100, 2.0, 0, 0.2}, 3, 1), 0);
}

static_assert(backoff_ms(steady, 3, 0) == 400);

}  // namespace
