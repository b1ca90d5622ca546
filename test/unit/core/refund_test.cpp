// Refunds of a part and of the rest: amounts, limits, and agreement with the action "refund" of the order machine.
#include <gtest/gtest.h>

#include <limits>

#include "core/order_machine.hpp"

using namespace oms::core;

namespace {

constexpr std::int64_t int64_max = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t int64_min = std::numeric_limits<std::int64_t>::min();

constexpr OrderFacts paid_order(std::int64_t paid, std::int64_t refunded) {
    return {"paid", false, "", paid, paid, refunded};
}

void expect_unchanged(const RefundDecision& decision, const OrderFacts& order) {
    EXPECT_EQ(decision.refunded_minor, order.refunded_minor);
    EXPECT_FALSE(decision.full);
}

TEST(Refund, OfAPartKeepsTheStatus) {
    const RefundDecision decision = decide_refund(paid_order(5'000, 1'000), 1'500);
    EXPECT_EQ(decision.refusal, Refusal::none);
    EXPECT_FALSE(decision.exceeds);
    EXPECT_EQ(decision.amount_minor, 1'500);
    EXPECT_EQ(decision.refunded_minor, 2'500);
    EXPECT_FALSE(decision.full);
    EXPECT_EQ(refund_event(decision), "order.partially_refunded");
}

TEST(Refund, WithoutAnAmountIsTheRest) {
    const RefundDecision decision = decide_refund(paid_order(5'000, 1'000), std::nullopt);
    EXPECT_EQ(decision.refusal, Refusal::none);
    EXPECT_EQ(decision.amount_minor, 4'000);
    EXPECT_EQ(decision.refunded_minor, 5'000);
    EXPECT_TRUE(decision.full);
    EXPECT_EQ(refund_event(decision), "order.refunded");
}

TEST(Refund, OfExactlyTheRestIsFull) {
    EXPECT_TRUE(decide_refund(paid_order(5'000, 1'000), 4'000).full);
    EXPECT_FALSE(decide_refund(paid_order(5'000, 1'000), 3'999).full);
}

TEST(Refund, OfMoreThanTheRestOrOfNothingIsNotARefund) {
    const OrderFacts order = paid_order(5'000, 1'000);
    for (const std::int64_t amount :
         {int64_min, std::int64_t{-1}, std::int64_t{0}, std::int64_t{4'001}, std::int64_t{11'500}, int64_max}) {
        const RefundDecision decision = decide_refund(order, amount);
        EXPECT_EQ(decision.refusal, Refusal::none) << amount;
        EXPECT_TRUE(decision.exceeds) << amount;
        EXPECT_EQ(decision.amount_minor, amount);
        expect_unchanged(decision, order);
    }
}

TEST(Refund, HoldsAtTheLargestAmounts) {
    const RefundDecision rest = decide_refund(paid_order(int64_max, 1), std::nullopt);
    EXPECT_EQ(rest.amount_minor, int64_max - 1);
    EXPECT_EQ(rest.refunded_minor, int64_max);
    EXPECT_TRUE(rest.full);
    EXPECT_TRUE(decide_refund(paid_order(int64_max, 1), int64_max).exceeds);
}

TEST(Refund, RepeatedNeverPassesWhatWasPaid) {
    OrderFacts order = paid_order(5'000, 0);
    int refunds = 0;
    for (int i = 0; i < 100; ++i) {
        const RefundDecision decision = decide_refund(order, 1'150);
        if (decision.exceeds) break;
        order.refunded_minor = decision.refunded_minor;
        ++refunds;
    }
    EXPECT_EQ(refunds, 4);
    EXPECT_EQ(order.refunded_minor, 4'600);
}

TEST(Refund, IsLegalWhereMoneyIsHeld) {
    for (const std::string_view status :
         {"pending", "reserved", "paid", "confirmed", "shipped", "completed", "canceled", "refunded", "", "picked"}) {
        const bool legal = status == "paid" || status == "confirmed" || status == "shipped" || status == "completed";
        const OrderFacts order{status, false, "", 100, 100, 0};
        for (const std::optional<std::int64_t> amount :
             {std::optional<std::int64_t>{}, std::optional<std::int64_t>{40}, std::optional<std::int64_t>{101}}) {
            const RefundDecision decision = decide_refund(order, amount);
            EXPECT_EQ(decision.refusal, legal ? Refusal::none : Refusal::illegal_transition) << status;
            if (!legal) {
                EXPECT_FALSE(decision.exceeds);
                expect_unchanged(decision, order);
            }
        }
    }
}

TEST(Refund, IsNotStoppedByAHoldButByAnOperation) {
    OrderFacts order = paid_order(100, 0);
    order.on_hold = true;
    EXPECT_EQ(decide_refund(order, 40).refusal, Refusal::none);
    order.pending_action = "refunding";
    const RefundDecision decision = decide_refund(order, 40);
    EXPECT_EQ(decision.refusal, Refusal::operation_in_progress);
    expect_unchanged(decision, order);
    order.status = "pending";
    EXPECT_EQ(decide_refund(order, 40).refusal, Refusal::operation_in_progress);
}

TEST(Refund, OfTheRestAgreesWithTheActionRefund) {
    for (const std::string_view status : builtin_statuses)
        for (const std::int64_t refunded : {0, 30, 100})
            for (const std::int64_t paid : {std::int64_t{100}, refunded}) {
                const OrderFacts order{status, false, "", paid, paid, refunded};
                const Decision action = decide(order, "refund");
                const RefundDecision rest = decide_refund(order, std::nullopt);
                EXPECT_EQ(rest.refusal, action.refusal);
                EXPECT_EQ(rest.refunded_minor, action.refunded_minor);
                EXPECT_EQ(rest.full, action.refusal == Refusal::none);
                if (rest.full) {
                    EXPECT_EQ(refund_event(rest), action.events[0]);
                }
            }
}

TEST(Refund, FollowsTheOwnersTransitions) {
    const Transition owner[] = {{"picked", "refund", "returned", false, Effect::refund_rest, "order.returned"},
                                {"packed", "refund", "opened", false, Effect::none, "order.opened"}};
    const OrderFacts picked{"picked", false, "", 100, 100, 0};
    EXPECT_EQ(decide_refund(picked, 40).refusal, Refusal::illegal_transition);
    EXPECT_FALSE(decide_refund(picked, 40, owner).full);
    const RefundDecision rest = decide_refund(picked, std::nullopt, owner);
    ASSERT_TRUE(rest.full);
    EXPECT_EQ(rest.taken->to, "returned");
    EXPECT_EQ(refund_event(rest), "order.returned");

    // An action that is only called refund and gives nothing back is no refund.
    const OrderFacts packed{"packed", false, "", 100, 100, 0};
    EXPECT_EQ(decide_refund(packed, 40, owner).refusal, Refusal::illegal_transition);
}

}  // namespace
