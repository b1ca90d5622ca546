#include "core/fingerprint.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <limits>
#include <random>
#include <string>
#include <vector>

using namespace oms::core;

namespace {

template <class... Fields>
Fingerprint fingerprint_of(const Fields&... fields) {
    FingerprintBuilder builder;
    (builder.add(fields), ...);
    return builder.finish();
}

Fingerprint with_null_between(std::string_view a, std::string_view b) {
    FingerprintBuilder builder;
    builder.add(a);
    builder.add_null();
    builder.add(b);
    return builder.finish();
}

TEST(Fingerprint, IsEqualForEqualRequests) {
    EXPECT_EQ(fingerprint_of("cust-001", std::int64_t{42}), fingerprint_of("cust-001", std::int64_t{42}));
}

TEST(Fingerprint, TellsDifferentRequestsApart) {
    FingerprintBuilder null_field, two_nulls, bytes_field;
    null_field.add_null();
    two_nulls.add_null();
    two_nulls.add_null();
    bytes_field.add_bytes("ab", 2);
    const std::vector<Fingerprint> different = {
        fingerprint_of(),
        fingerprint_of(""),
        fingerprint_of("", ""),
        null_field.finish(),
        two_nulls.finish(),
        fingerprint_of("n"),
        fingerprint_of("ab"),
        bytes_field.finish(),
        fingerprint_of("ab", "c"),
        fingerprint_of("a", "bc"),
        fingerprint_of("abc"),
        fingerprint_of("abc", ""),
        fingerprint_of("", "abc"),
        with_null_between("ab", "c"),
        fingerprint_of("c", "ab"),
        fingerprint_of(std::string_view{"abc\0", 4}),
        fingerprint_of("1"),
        fingerprint_of(std::int64_t{1}),
        fingerprint_of(std::int64_t{0}),
        fingerprint_of(std::int64_t{-1}),
        fingerprint_of(std::int64_t{256}),
        fingerprint_of(std::int64_t{1}, std::int64_t{2}),
        fingerprint_of(std::int64_t{2}, std::int64_t{1}),
        fingerprint_of(std::numeric_limits<std::int64_t>::max()),
        fingerprint_of(std::numeric_limits<std::int64_t>::min()),
    };
    for (std::size_t i = 0; i < different.size(); ++i)
        for (std::size_t j = i + 1; j < different.size(); ++j)
            EXPECT_NE(different[i], different[j]) << i << " and " << j;
}

TEST(Fingerprint, CannotBeForgedByTextThatLooksLikeAnotherField) {
    // The header of the second field, spelled out inside the first.
    const std::string spelled = std::string{"as"} + std::string("\1\0\0\0\0\0\0\0", 8) + "b";
    EXPECT_NE(fingerprint_of(spelled), fingerprint_of("a", "b"));
}

TEST(Fingerprint, TreatsAMissingViewAsEmptyText) {
    EXPECT_EQ(fingerprint_of(std::string_view{}), fingerprint_of(""));
    FingerprintBuilder missing, empty;
    missing.add_bytes(nullptr, 0);
    empty.add_bytes("", 0);
    EXPECT_EQ(missing.finish(), empty.finish());
}

TEST(Fingerprint, IsTheHashOfTheDocumentedBytes) {
    const std::string documented = std::string{"s"} + std::string("\4\0\0\0\0\0\0\0", 8) + "pays" +  //
                                   "i" + std::string("\xfe\xff\xff\xff\xff\xff\xff\xff", 8) +        //
                                   "n" +                                                             //
                                   "b" + std::string("\3\0\0\0\0\0\0\0", 8) + std::string("\0\1\2", 3);
    const XXH128_hash_t expected = XXH3_128bits(documented.data(), documented.size());
    FingerprintBuilder builder;
    builder.add("pays");
    builder.add(-2);
    builder.add_null();
    builder.add_bytes("\0\1\2", 3);
    EXPECT_EQ(builder.finish(), (Fingerprint{expected.high64, expected.low64}));
    // Stored in the database, hence fixed.
    EXPECT_EQ(builder.finish(), (Fingerprint{0x238caf2ae850fa20U, 0x0db08793d86cc67eU}));
}

TEST(Fingerprint, DoesNotDependOnHowLongFieldsFallIntoBlocks) {
    for (const std::size_t size : {1U, 15U, 16U, 17U, 128U, 239U, 240U, 241U, 247U, 255U, 256U, 257U, 1'023U, 1'024U,
                                   1'025U, 70'000U, 1'000'000U}) {
        const std::string text(size, 'x');
        std::string canonical = "s";
        for (unsigned i = 0; i < 8; ++i) canonical += static_cast<char>(size >> (8 * i));
        canonical += text;
        const XXH128_hash_t expected = XXH3_128bits(canonical.data(), canonical.size());
        EXPECT_EQ(fingerprint_of(text), (Fingerprint{expected.high64, expected.low64})) << size;
        std::string changed = text;
        changed[size / 2] = 'y';
        EXPECT_NE(fingerprint_of(text), fingerprint_of(changed)) << size;
    }
}

TEST(Fingerprint, CanBeFinishedAndContinued) {
    FingerprintBuilder builder;
    builder.add("a");
    const Fingerprint first = builder.finish();
    EXPECT_EQ(builder.finish(), first);
    FingerprintBuilder copy = builder;
    builder.add("b");
    copy.add("c");
    EXPECT_EQ(builder.finish(), fingerprint_of("a", "b"));
    EXPECT_EQ(copy.finish(), fingerprint_of("a", "c"));
}

// The state wants 64-byte alignment; the compiler has to give it on any stack, at any depth.
[[gnu::noinline]] Fingerprint at_depth(int depth) {
    volatile char unaligned[13] = {static_cast<char>(depth)};
    if (depth > 0) return at_depth(depth - 1);
    FingerprintBuilder builder;
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(&builder) % 64, 0U);
    builder.add(std::int64_t{unaligned[0]});
    return builder.finish();
}

TEST(Fingerprint, IsBuiltAlignedAtAnyStackDepth) {
    for (int depth = 0; depth < 16; ++depth) EXPECT_EQ(at_depth(depth), fingerprint_of(std::int64_t{0}));
}

TEST(Fingerprint, HasNoCollisionInManySimilarRequests) {
    std::vector<std::pair<std::uint64_t, std::uint64_t>> seen;
    for (int customer = 0; customer < 300; ++customer)
        for (std::int64_t amount = 0; amount < 300; ++amount) {
            const Fingerprint print = fingerprint_of("customer-" + std::to_string(customer), amount);
            seen.emplace_back(print.high, print.low);
        }
    std::ranges::sort(seen);
    EXPECT_EQ(std::ranges::adjacent_find(seen), seen.end());
}

TEST(KeyHash, IsXxh3OfTheKey) {
    EXPECT_EQ(key_hash(""), 0x2d06800538d394c2U);
    EXPECT_EQ(key_hash(std::string_view{}), 0x2d06800538d394c2U);
    EXPECT_EQ(key_hash("order-1-pay"), 0xd6b277a653dffd7eU);
    EXPECT_NE(key_hash("order-1-pay"), key_hash("order-2-pay"));
    EXPECT_NE(key_hash(std::string(10'000, 'k')), key_hash(std::string(9'999, 'k')));
}

}  // namespace
