#include "core/ids.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <string>
#include <type_traits>
#include <vector>

using namespace oms::core;

namespace {

constexpr std::uint64_t low_46_bits = (std::uint64_t{1} << 46) - 1;
constexpr std::int64_t some_us = 1'645'557'742'000'789;

std::string text_of(const OrderId& id) {
    std::string text(uuid_length, '?');
    format_uuid(id, text.data());
    return text;
}

TEST(OrderIds, HaveTheLayoutOfRfc9562) {
    // 2022-02-22T19:22:22.000789Z; 789 us are 3231/4096 of a millisecond = 0xc9f.
    EXPECT_EQ(text_of(make_order_id(some_us, 0, 0)), "017f22e2-79b0-7c9f-8000-000000000000");
    EXPECT_EQ(text_of(make_order_id(some_us, 0xffff, 0)), "017f22e2-79b0-7c9f-bfff-c00000000000");
    EXPECT_EQ(text_of(make_order_id(some_us, 0, low_46_bits)), "017f22e2-79b0-7c9f-8000-3fffffffffff");
    EXPECT_EQ(text_of(make_order_id(some_us, 0x1234, 0x0123'4567'89ab)), "017f22e2-79b0-7c9f-848d-0123456789ab");
}

TEST(OrderIds, AreReadFromTheExampleOfRfc9562) {
    OrderId id{};
    ASSERT_TRUE(parse_uuid("017F22E2-79B0-7CC3-98C4-DC0C0C07398F", id));
    EXPECT_TRUE(is_order_id(id));
    EXPECT_EQ(order_time_ms(id), 1'645'557'742'000);
}

TEST(OrderIds, IgnoreRandomBitsBeyondTheLow46) {
    EXPECT_EQ(make_order_id(some_us, 7, ~std::uint64_t{0}), make_order_id(some_us, 7, low_46_bits));
}

TEST(OrderIds, CarryTimeAndCustomerThroughAnyRandomBits) {
    std::mt19937_64 random{20'260'101};
    for (int i = 0; i < 100'000; ++i) {
        const auto us = static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(order_time_us_max));
        const auto hash = static_cast<std::uint16_t>(random());
        const OrderId id = make_order_id(us, hash, random());
        ASSERT_TRUE(is_order_id(id));
        ASSERT_EQ(order_time_us(id), us);
        ASSERT_EQ(order_time_ms(id), us / 1000);
        ASSERT_EQ(customer_hash_of(id), hash);
    }
}

TEST(OrderIds, CarryEveryCustomerHash) {
    for (unsigned hash = 0; hash <= 0xffff; ++hash)
        for (const std::uint64_t random_bits : {std::uint64_t{0}, ~std::uint64_t{0}})
            ASSERT_EQ(customer_hash_of(make_order_id(some_us, static_cast<std::uint16_t>(hash), random_bits)), hash);
}

TEST(OrderIds, OrderByTimeToTheMicrosecond) {
    // The later id has the smallest rest, the earlier one the largest: only the time can order them.
    for (std::int64_t us = some_us; us < some_us + 2'500; ++us) {
        ASSERT_LT(make_order_id(us, 0xffff, ~std::uint64_t{0}), make_order_id(us + 1, 0, 0)) << us;
        ASSERT_LT(text_of(make_order_id(us, 0xffff, ~std::uint64_t{0})), text_of(make_order_id(us + 1, 0, 0))) << us;
        ASSERT_EQ(order_time_us(make_order_id(us, 1, 2)), us);
    }
}

TEST(OrderIds, TakeTheNearestTimeThatFits) {
    constexpr std::int64_t int64_max = std::numeric_limits<std::int64_t>::max();
    constexpr std::int64_t int64_min = std::numeric_limits<std::int64_t>::min();
    for (const std::int64_t us : {int64_min, std::int64_t{-1}, std::int64_t{0}})
        EXPECT_EQ(order_time_us(make_order_id(us, 1, 2)), 0);
    for (const std::int64_t us : {order_time_us_max, order_time_us_max + 1, int64_max}) {
        const OrderId id = make_order_id(us, 1, 2);
        EXPECT_TRUE(is_order_id(id));
        EXPECT_EQ(order_time_us(id), order_time_us_max);
        EXPECT_EQ(order_time_ms(id), (std::int64_t{1} << 48) - 1);
    }
}

TEST(OrderIds, AreToldFromOtherUuids) {
    OrderId id{};
    for (const std::string_view other : {"00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff",
                                         "017f22e2-79b0-4c9f-8000-000000000000", "017f22e2-79b0-6c9f-8000-000000000000",
                                         "017f22e2-79b0-8c9f-8000-000000000000", "017f22e2-79b0-7c9f-7fff-000000000000",
                                         "017f22e2-79b0-7c9f-c000-000000000000"}) {
        ASSERT_TRUE(parse_uuid(other, id));
        EXPECT_FALSE(is_order_id(id)) << other;
    }
}

TEST(CustomerHash, IsTheLow16BitsOfXxh3) {
    // Fixed values: routers written in other languages compute the same ones.
    EXPECT_EQ(customer_hash(""), 0x94c2);  // XXH3_64bits("") = 2d06800538d394c2
    EXPECT_EQ(customer_hash(std::string_view{}), 0x94c2);
    EXPECT_EQ(customer_hash("cust-001"), 0xe9ad);
    EXPECT_EQ(customer_hash("Zoë"), 0xd1be);
}

TEST(CustomerHash, SpreadsCustomersEvenly) {
    constexpr int shards = 16;
    constexpr int customers = 16'000;
    std::vector<int> count(shards);
    for (int i = 0; i < customers; ++i) ++count[customer_hash("customer-" + std::to_string(i)) % shards];
    for (const int n : count) EXPECT_NEAR(n, customers / shards, 200);  // more than six standard deviations
}

TEST(Uuid, RoundTripsThroughText) {
    std::mt19937_64 random{7};
    for (int i = 0; i < 10'000; ++i) {
        OrderId id{};
        for (std::uint8_t& byte : id.bytes) byte = static_cast<std::uint8_t>(random());
        const std::string text = text_of(id);
        OrderId parsed{};
        ASSERT_TRUE(parse_uuid(text, parsed)) << text;
        ASSERT_EQ(parsed, id) << text;
    }
}

TEST(Uuid, AcceptsEitherCase) {
    OrderId upper{}, lower{};
    ASSERT_TRUE(parse_uuid("017F22E2-79B0-7CC3-98C4-DC0C0C07398F", upper));
    ASSERT_TRUE(parse_uuid("017f22e2-79b0-7cc3-98c4-dc0c0c07398f", lower));
    EXPECT_EQ(upper, lower);
}

TEST(Uuid, RefusesEverythingElseAndLeavesTheOutputAlone) {
    const std::string good = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f";
    const OrderId before = make_order_id(some_us, 1, 2);
    OrderId id = before;
    std::vector<std::string> bad = {"",
                                    "0",
                                    good + "0",
                                    good.substr(1),
                                    "{" + good.substr(2) + "}",
                                    "017f22e279b07cc398c4dc0c0c07398f",
                                    std::string(36, '-'),
                                    std::string(36, '0')};
    for (std::size_t i = 0; i < good.size(); ++i)
        for (const char c : {'g', 'G', '/', ':', '@', '`', ' ', '\0', '\xc3', good[i] == '-' ? '0' : '-'})
            bad.push_back(std::string{good}.replace(i, 1, 1, c));
    for (const std::string& text : bad) {
        EXPECT_FALSE(parse_uuid(text, id)) << text;
        EXPECT_EQ(id, before) << text;
    }
}

TEST(Ids, OfTwoKindsDoNotMix) {
    static_assert(!std::is_convertible_v<EventId, TaskId> && !std::is_constructible_v<EventId, TaskId>);
    static_assert(!std::is_convertible_v<std::int64_t, EventId>);
    static_assert(sizeof(EventId) == sizeof(std::int64_t));
    EXPECT_EQ(EventId{3}, EventId{3});
    EXPECT_LT(EventId{3}, EventId{4});
}

TEST(Ids, ASiblingLeadsToItsOrdersPartitionAndShard) {
    const OrderId order = make_order_id(some_us, 0xabcd, 0x123456789abc);
    for (const std::uint64_t bits :
         {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{0x3fffffffffff}, ~std::uint64_t{0}}) {
        const OrderId sibling = make_sibling_id(order, bits);
        EXPECT_TRUE(is_order_id(sibling));
        EXPECT_EQ(order_time_us(sibling), order_time_us(order));
        EXPECT_EQ(customer_hash_of(sibling), 0xabcd);
        EXPECT_EQ(sibling, make_order_id(some_us, 0xabcd, bits));
    }
    EXPECT_NE(random_half(make_sibling_id(order, 1)), random_half(make_sibling_id(order, 2)));
    static_assert(!std::is_convertible_v<PaymentId, OperationId> && !std::is_convertible_v<OrderId, PaymentId>);
}

static_assert(order_time_us(make_order_id(some_us, 42, 0)) == some_us);
static_assert(customer_hash_of(make_order_id(some_us, 42, ~std::uint64_t{0})) == 42);
static_assert([] {
    OrderId id{};
    return parse_uuid("017f22e2-79b0-7c9f-8000-000000000000", id) && id == make_order_id(some_us, 0, 0);
}());

}  // namespace
