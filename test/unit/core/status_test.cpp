#include "core/status.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

using namespace oms::core;

namespace {

TEST(Status, NormalizesOnlyTheBritishSpelling) {
    EXPECT_EQ(normalize_status("cancelled"), "canceled");
    for (const std::string_view status : {"canceled", "pending", "Cancelled", "cancelled ", "cancelle", "", "picked"})
        EXPECT_EQ(normalize_status(status), status);
}

TEST(Status, KnowsTheEightBuiltInOnes) {
    const std::set<std::string_view> expected = {"pending", "reserved",  "paid",     "confirmed",
                                                 "shipped", "completed", "canceled", "refunded"};
    EXPECT_EQ((std::set<std::string_view>{builtin_statuses.begin(), builtin_statuses.end()}), expected);
    for (const std::string_view status : expected) EXPECT_TRUE(is_builtin_status(status)) << status;
    for (const std::string_view status : {"", "cancelled", "Paid", "paid ", "picked", "failed"})
        EXPECT_FALSE(is_builtin_status(status)) << status;
}

TEST(Status, IsFinalWhenCanceledOrRefunded) {
    for (const std::string_view status : builtin_statuses)
        EXPECT_EQ(is_final(status), status == "canceled" || status == "refunded") << status;
    EXPECT_FALSE(is_final("picked"));
    EXPECT_FALSE(is_final(""));
}

static_assert(normalize_status("cancelled") == order_status::canceled);
static_assert(is_final(order_status::refunded) && !is_final(order_status::completed));

}  // namespace
