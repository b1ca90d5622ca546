#include "core/money.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <string>

using namespace oms::core;

namespace {

constexpr std::int64_t int64_max = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t int64_min = std::numeric_limits<std::int64_t>::min();

TEST(Money, AddsUpToTheEdgeAndNotBeyond) {
    std::int64_t sum = 0;
    EXPECT_FALSE(add_overflows(2, 3, sum));
    EXPECT_EQ(sum, 5);
    EXPECT_FALSE(add_overflows(int64_max - 1, 1, sum));
    EXPECT_EQ(sum, int64_max);
    EXPECT_FALSE(add_overflows(int64_min, int64_max, sum));
    EXPECT_EQ(sum, -1);
    EXPECT_FALSE(add_overflows(int64_min + 1, -1, sum));
    EXPECT_EQ(sum, int64_min);
    EXPECT_TRUE(add_overflows(int64_max, 1, sum));
    EXPECT_TRUE(add_overflows(int64_max, int64_max, sum));
    EXPECT_TRUE(add_overflows(int64_min, -1, sum));
}

TEST(Money, MultipliesUpToTheEdgeAndNotBeyond) {
    std::int64_t product = 0;
    EXPECT_FALSE(mul_overflows(3, 10'000, product));
    EXPECT_EQ(product, 30'000);
    EXPECT_FALSE(mul_overflows(int64_max, 1, product));
    EXPECT_EQ(product, int64_max);
    EXPECT_FALSE(mul_overflows(int64_max, 0, product));
    EXPECT_EQ(product, 0);
    EXPECT_FALSE(mul_overflows(int64_max / 2, 2, product));
    EXPECT_EQ(product, int64_max - 1);
    EXPECT_FALSE(mul_overflows(std::int64_t{1} << 31, std::int64_t{1} << 31, product));
    EXPECT_EQ(product, std::int64_t{1} << 62);
    EXPECT_TRUE(mul_overflows(std::int64_t{1} << 32, std::int64_t{1} << 31, product));
    EXPECT_TRUE(mul_overflows(int64_max / 2 + 1, 2, product));
    EXPECT_TRUE(mul_overflows(int64_max, int64_max, product));
    EXPECT_TRUE(mul_overflows(int64_min, -1, product));
}

TEST(Currency, KnowsActiveCodes) {
    for (const std::string_view code : {"AED", "EUR", "USD", "GBP", "JPY", "KWD", "CHF", "INR", "CNY", "BRL",
                                        "XOF", "XAF", "XPF", "XCD", "XCG", "SLE", "VED", "ZWG", "ZAR", "ZMW"})
        EXPECT_TRUE(is_currency(code)) << code;
}

TEST(Currency, RefusesRetiredUnitlessAndMalformedCodes) {
    for (const std::string_view code :
         {"DEM", "FRF", "HRK", "BGN", "ANG", "ZWL",  "SLL",  "CUC",  // retired
          "XXX", "XTS", "XAU", "XAG", "XDR", "XSU",                  // no minor unit
          "",    "E",   "EU",  "eur", "Eur", "EUR ", " EUR", "EURO", "UR ", "AAA", "ZZZ", "€"})
        EXPECT_FALSE(is_currency(code)) << code;
    EXPECT_FALSE(is_currency(std::string_view{"EU\0", 3}));
    EXPECT_FALSE(is_currency(std::string(1'000'000, 'E')));
    EXPECT_FALSE(is_currency(std::string_view{}));
}

TEST(Currency, FindsEveryCodeOfItsTableAndNothingBetween) {
    ASSERT_EQ(currency_count, 165U);
    int found = 0;
    for (char a = 'A'; a <= 'Z'; ++a)
        for (char b = 'A'; b <= 'Z'; ++b)
            for (char c = 'A'; c <= 'Z'; ++c) found += is_currency(std::string{a, b, c});
    EXPECT_EQ(found, 165);
    for (std::size_t i = 0; i < currency_count; ++i) EXPECT_TRUE(is_currency(currency_at(i))) << currency_at(i);
}

TEST(Currency, HasItsMinorDigits) {
    for (const std::string_view code : {"EUR", "USD", "MGA", "MRU", "HUF", "IDR", "TWD", "ZWG"})
        EXPECT_EQ(minor_digits(code), 2) << code;
    for (const std::string_view code : {"JPY", "KRW", "ISK", "CLP", "VND", "PYG", "UGX", "XAF", "XOF", "XPF", "UYI"})
        EXPECT_EQ(minor_digits(code), 0) << code;
    for (const std::string_view code : {"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})
        EXPECT_EQ(minor_digits(code), 3) << code;
    for (const std::string_view code : {"CLF", "UYW"}) EXPECT_EQ(minor_digits(code), 4) << code;
    for (const std::string_view code : {"", "XXX", "eur", "EURO"}) EXPECT_EQ(minor_digits(code), -1) << code;
}

TEST(Currency, ListsUnusualMinorUnitsOnlyForCurrencies) {
    for (const MinorUnit& unit : unusual_minor_units) {
        EXPECT_TRUE(is_currency(unit.code)) << unit.code;
        EXPECT_EQ(minor_digits(unit.code), unit.digits) << unit.code;
        EXPECT_NE(unit.digits, 2) << unit.code;
    }
}

static_assert(is_currency("EUR") && !is_currency("XXX"));
static_assert(minor_digits("JPY") == 0 && minor_digits("KWD") == 3);

}  // namespace
