// Money is a count of minor units (bigint) and an ISO 4217 code. Sums are checked, never wrapped or rounded.
// The currencies are the active alphabetic codes, as of January 2026, that have a minor unit: metals, drawing rights,
// test codes and "no currency" (XAU, XDR, XTS, XXX …) have none, so an amount in them cannot be written down.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace oms::core {

// Stores a + b and says whether it left the range of 64 bits (out is then meaningless).
constexpr bool add_overflows(std::int64_t a, std::int64_t b, std::int64_t& out) {
    return __builtin_add_overflow(a, b, &out);
}

// Stores a * b and says whether it left the range of 64 bits (out is then meaningless).
constexpr bool mul_overflows(std::int64_t a, std::int64_t b, std::int64_t& out) {
    return __builtin_mul_overflow(a, b, &out);
}

// Sorted codes in cells of four characters: readable here, and searched without a table of pointers to relocate.
inline constexpr std::string_view currency_codes =
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF "
    "CHW CLF CLP CNY COP COU CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD "
    "HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD "
    "MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN "
    "PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD "
    "TWD TZS UAH UGX USD USN UYI UYU UYW UZS VED VES VND VUV WST XAD XAF XCD XCG XOF XPF YER ZAR ZMW ZWG ";

inline constexpr std::size_t currency_count = currency_codes.size() / 4;

constexpr std::string_view currency_at(std::size_t index) { return {currency_codes.data() + 4 * index, 3}; }

static_assert(currency_codes.size() % 4 == 0);
static_assert(
    [] {
        for (std::size_t i = 1; i < currency_count; ++i)
            if (currency_at(i - 1) >= currency_at(i)) return false;
        return true;
    }(),
    "currency codes are sorted, each once");

constexpr bool is_currency(std::string_view code) {
    std::size_t low = 0;
    for (std::size_t high = currency_count; low < high;) {
        const std::size_t middle = low + (high - low) / 2;
        if (currency_at(middle) < code)
            low = middle + 1;
        else
            high = middle;
    }
    return low < currency_count && currency_at(low) == code;
}

struct MinorUnit {
    std::string_view code;
    int digits;
};

// Every currency that is not listed here has two digits behind the point.
inline constexpr std::array unusual_minor_units = {
    MinorUnit{"BHD", 3}, MinorUnit{"BIF", 0}, MinorUnit{"CLF", 4}, MinorUnit{"CLP", 0}, MinorUnit{"DJF", 0},
    MinorUnit{"GNF", 0}, MinorUnit{"IQD", 3}, MinorUnit{"ISK", 0}, MinorUnit{"JOD", 3}, MinorUnit{"JPY", 0},
    MinorUnit{"KMF", 0}, MinorUnit{"KRW", 0}, MinorUnit{"KWD", 3}, MinorUnit{"LYD", 3}, MinorUnit{"OMR", 3},
    MinorUnit{"PYG", 0}, MinorUnit{"RWF", 0}, MinorUnit{"TND", 3}, MinorUnit{"UGX", 0}, MinorUnit{"UYI", 0},
    MinorUnit{"UYW", 4}, MinorUnit{"VND", 0}, MinorUnit{"VUV", 0}, MinorUnit{"XAF", 0}, MinorUnit{"XOF", 0},
    MinorUnit{"XPF", 0},
};

// Returns the digits behind the decimal point (JPY 0, EUR 2, KWD 3), or -1 for what is not a currency.
constexpr int minor_digits(std::string_view code) {
    if (!is_currency(code)) return -1;
    const auto unit = std::ranges::find(unusual_minor_units, code, &MinorUnit::code);
    return unit == unusual_minor_units.end() ? 2 : unit->digits;
}

}  // namespace oms::core
