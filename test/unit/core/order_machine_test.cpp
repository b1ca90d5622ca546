// The whole status x action matrix of the order machine. The expectation is written out here by hand, from the domain,
// and not read from the table under test.
#include "core/order_machine.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

using namespace oms::core;

namespace {

constexpr std::int64_t total = 11'500;
constexpr std::int64_t refunded_before = 1'500;

const std::vector<std::string> actions = {"reserve", "pay", "confirm", "ship", "complete", "cancel", "refund"};

// One row per status, one column per action in the order above; "" = illegal.
const std::map<std::string, std::vector<std::string>> matrix = {
    // clang-format off
    {"pending",   {"reserved", "",     "",          "",        "",          "canceled", ""}},
    {"reserved",  {"",         "paid", "",          "",        "",          "canceled", ""}},
    {"paid",      {"",         "",     "confirmed", "",        "",          "canceled", "refunded"}},
    {"confirmed", {"",         "",     "",          "shipped", "",          "canceled", "refunded"}},
    {"shipped",   {"",         "",     "",          "",        "completed", "",         "refunded"}},
    {"completed", {"",         "",     "",          "",        "",          "",         "refunded"}},
    {"canceled",  {"",         "",     "",          "",        "",          "",         ""}},
    {"refunded",  {"",         "",     "",          "",        "",          "",         ""}},
    // clang-format on
};

const std::set<std::string> blocked_by_hold = {"reserve", "pay", "ship"};
const std::set<std::string> statuses_with_money = {"paid", "confirmed", "shipped", "completed"};

OrderFacts order_in(std::string_view status) {
    const bool has_money = statuses_with_money.contains(std::string{status});
    return {status, false, "", total, has_money ? total : 0, has_money ? refunded_before : 0};
}

std::vector<std::string> events_of(const Decision& decision) {
    return {decision.events.begin(), decision.events.begin() + decision.event_count};
}

void expect_refused(const Decision& decision, const OrderFacts& order, Refusal refusal) {
    EXPECT_EQ(decision.refusal, refusal);
    EXPECT_EQ(decision.taken, nullptr);
    EXPECT_EQ(decision.event_count, 0U);
    EXPECT_EQ(decision.paid_minor, order.paid_minor);
    EXPECT_EQ(decision.refunded_minor, order.refunded_minor);
}

struct Cell {
    std::string status, action, to;
};

std::vector<Cell> all_cells() {
    std::vector<Cell> cells;
    for (const auto& [status, row] : matrix)
        for (std::size_t i = 0; i < actions.size(); ++i) cells.push_back({status, actions[i], row[i]});
    return cells;
}

class OrderMatrix : public testing::TestWithParam<Cell> {};

TEST_P(OrderMatrix, DecidesAsTheDomainSays) {
    const auto& [status, action, to] = GetParam();
    OrderFacts order = order_in(status);
    const Decision decision = decide(order, action);

    if (to.empty()) {
        expect_refused(decision, order, Refusal::illegal_transition);
    } else {
        ASSERT_EQ(decision.refusal, Refusal::none);
        ASSERT_NE(decision.taken, nullptr);
        EXPECT_EQ(decision.taken->to, to);
        const bool gives_back = to == "refunded" || (to == "canceled" && statuses_with_money.contains(status));
        EXPECT_EQ(decision.paid_minor, to == "paid" ? total : order.paid_minor);
        EXPECT_EQ(decision.refunded_minor, gives_back ? total : order.refunded_minor);
        std::vector<std::string> events;
        if (gives_back && to == "canceled") events.push_back("order.refunded");
        events.push_back("order." + to);
        EXPECT_EQ(events_of(decision), events);
    }
}

TEST_P(OrderMatrix, HoldBlocksReservePayAndShipAlone) {
    const auto& [status, action, to] = GetParam();
    OrderFacts order = order_in(status);
    order.on_hold = true;
    const Decision decision = decide(order, action);
    if (to.empty())
        expect_refused(decision, order, Refusal::illegal_transition);
    else if (blocked_by_hold.contains(action))
        expect_refused(decision, order, Refusal::on_hold);
    else
        EXPECT_EQ(decision.taken->to, to);
}

TEST_P(OrderMatrix, AnOperationUnderWayRefusesEverything) {
    OrderFacts order = order_in(GetParam().status);
    order.pending_action = "canceling";
    expect_refused(decide(order, GetParam().action), order, Refusal::operation_in_progress);
    order.on_hold = true;
    expect_refused(decide(order, GetParam().action), order, Refusal::operation_in_progress);
}

INSTANTIATE_TEST_SUITE_P(All, OrderMatrix, testing::ValuesIn(all_cells()), [](const auto& param_info) {
    return param_info.param.status + "_" + param_info.param.action;
});

TEST(OrderMachine, TheTableHasNoRowBesidesTheMatrix) {
    std::size_t legal_cells = 0;
    for (const Cell& cell : all_cells()) legal_cells += !cell.to.empty();
    EXPECT_EQ(builtin_transitions.size(), legal_cells);
    for (const Transition& row : builtin_transitions) {
        EXPECT_TRUE(is_builtin_status(row.from)) << row.from;
        EXPECT_TRUE(is_builtin_status(row.to)) << row.to;
        EXPECT_EQ(find_transition(row.from, row.action), &row) << row.from << " " << row.action;
    }
}

TEST(OrderMachine, AnUnknownActionIsNamedBeforeAnythingElse) {
    for (const auto& [status, row] : matrix) {
        OrderFacts order = order_in(status);
        for (const std::string_view action : {"", "paid", "PAY", "pay ", "refund_rest"}) {
            order.pending_action = "";
            order.on_hold = false;
            expect_refused(decide(order, action), order, Refusal::unknown_action);
            order.pending_action = "refunding";
            order.on_hold = true;
            expect_refused(decide(order, action), order, Refusal::unknown_action);
        }
    }
}

TEST(OrderMachine, AnUnknownStatusAllowsNothing) {
    for (const std::string& action : actions) {
        const OrderFacts order = order_in("somewhere");
        expect_refused(decide(order, action), order, Refusal::illegal_transition);
    }
}

TEST(OrderMachine, ACancelWithNothingLeftToRefundEmitsOnlyCanceled) {
    for (const std::string_view status : {"paid", "confirmed"}) {
        OrderFacts free_order = order_in(status);
        free_order.total_minor = free_order.paid_minor = free_order.refunded_minor = 0;
        EXPECT_EQ(events_of(decide(free_order, "cancel")), std::vector<std::string>{"order.canceled"});

        OrderFacts given_back = order_in(status);
        given_back.refunded_minor = given_back.paid_minor;
        const Decision decision = decide(given_back, "cancel");
        EXPECT_EQ(events_of(decision), std::vector<std::string>{"order.canceled"});
        EXPECT_EQ(decision.refunded_minor, given_back.paid_minor);
    }
}

// ---- transitions added by the owner

constexpr std::array owner_rows = {
    Transition{"confirmed", "pick", "picked", true, Effect::none, "order.picked"},
    Transition{"picked", "ship", "shipped", true, Effect::none, "order.shipped"},
    Transition{"picked", "scrap", "scrapped", false, Effect::refund_rest, "order.scrapped"},
    Transition{"quoted", "settle", "settled", false, Effect::pay_in_full, "order.settled"},
    Transition{"paid", "confirm", "stolen", false, Effect::none, "order.stolen"},        // behind a built-in row
    Transition{"confirmed", "pick", "backordered", false, Effect::none, "order.other"},  // behind the first
};

TEST(OwnerTransitions, AreTakenBesidesTheBuiltInOnes) {
    OrderFacts order = order_in("confirmed");
    Decision decision = decide(order, "pick", owner_rows);
    ASSERT_EQ(decision.refusal, Refusal::none);
    EXPECT_EQ(decision.taken, &owner_rows[0]);
    EXPECT_EQ(events_of(decision), std::vector<std::string>{"order.picked"});
    order.on_hold = true;
    expect_refused(decide(order, "pick", owner_rows), order, Refusal::on_hold);
    EXPECT_EQ(decide(order_in("picked"), "ship", owner_rows).taken, &owner_rows[1]);
    EXPECT_EQ(decide(order_in("confirmed"), "ship", owner_rows).taken->to, "shipped");
}

TEST(OwnerTransitions, NeverReplaceABuiltInRow) {
    EXPECT_EQ(decide(order_in("paid"), "confirm", owner_rows).taken->to, "confirmed");
}

TEST(OwnerTransitions, AreUnknownWithoutTheirRows) {
    const OrderFacts order = order_in("confirmed");
    expect_refused(decide(order, "pick"), order, Refusal::unknown_action);
    EXPECT_FALSE(action_known("pick"));
    EXPECT_TRUE(action_known("pick", owner_rows));
    const OrderFacts elsewhere = order_in("pending");
    expect_refused(decide(elsewhere, "pick", owner_rows), elsewhere, Refusal::illegal_transition);
}

TEST(OwnerTransitions, MoveMoneyLikeBuiltInOnes) {
    OrderFacts order = order_in("picked");
    order.paid_minor = total;
    const Decision scrapped = decide(order, "scrap", owner_rows);
    EXPECT_EQ(scrapped.refunded_minor, total);
    EXPECT_EQ(events_of(scrapped), (std::vector<std::string>{"order.refunded", "order.scrapped"}));
    EXPECT_EQ(decide(order_in("quoted"), "settle", owner_rows).paid_minor, total);
}

// ---- what an error may hint at

std::vector<std::string> legal_actions(std::string_view status, std::span<const Transition> owner) {
    std::vector<std::string> found;
    for_each_legal_action(status, owner, [&](std::string_view action) { found.emplace_back(action); });
    return found;
}

TEST(LegalActions, AreTheRowOfTheMatrixEachOnce) {
    for (const auto& [status, row] : matrix) {
        std::multiset<std::string> expected;
        for (std::size_t i = 0; i < actions.size(); ++i)
            if (!row[i].empty()) expected.insert(actions[i]);
        const std::vector<std::string> found = legal_actions(status, {});
        EXPECT_EQ((std::multiset<std::string>{found.begin(), found.end()}), expected) << status;
    }
}

TEST(LegalActions, IncludeTheOwnersWithoutRepeating) {
    EXPECT_EQ(legal_actions("confirmed", owner_rows), (std::vector<std::string>{"ship", "cancel", "refund", "pick"}));
    EXPECT_EQ(legal_actions("paid", owner_rows), (std::vector<std::string>{"confirm", "cancel", "refund"}));
    EXPECT_EQ(legal_actions("picked", owner_rows), (std::vector<std::string>{"ship", "scrap"}));
    EXPECT_TRUE(legal_actions("nowhere", owner_rows).empty());
}

// The table and its decisions are usable at compile time; g++ takes no address of a table as constant under UBSan.
#ifndef __SANITIZE_ADDRESS__
static_assert(decide({"reserved", false, "", 500, 0, 0}, "pay").paid_minor == 500);
static_assert(decide({"reserved", true, "", 500, 0, 0}, "pay").refusal == Refusal::on_hold);
static_assert(decide_refund({"paid", false, "", 100, 100, 0}, 40).refunded_minor == 40);
#endif
static_assert(action_known("refund") && !action_known("hold"));

}  // namespace
