// Goal: what may be on its way to a partition at the same time. Method: the gate alone, asked as the producer asks it.
#include "kafka/partition_gate.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

namespace oms::test {
namespace {

using namespace std::chrono_literals;
using kafka::PartitionGate;
using Entry = PartitionGate::Entry;

struct PartitionGateTest : testing::Test {
    PartitionGate gate;
    runtime::Clock::time_point now{};

    Entry offer(relay::Token token, std::int32_t partition) {
        gate.offer(token, now);
        gate.ask(token, partition);
        const auto entry = gate.offered();
        if (entry == Entry::must_wait) gate.hold({token, {}});
        return entry;
    }
    std::vector<relay::Token> answered(relay::Token token, std::int32_t partition, bool sent = true) {
        std::vector<relay::Token> freed;
        for (const auto& held : gate.answered(token, partition, sent, now)) freed.push_back(held.token);
        return freed;
    }
};

TEST_F(PartitionGateTest, TheFirstOneGoesAloneAndOpensItsPartition) {
    EXPECT_EQ(offer(1, 0), Entry::admitted);
    EXPECT_EQ(offer(2, 0), Entry::must_wait);
    EXPECT_EQ(offer(3, 1), Entry::admitted) << "another partition";
    EXPECT_EQ(offer(4, 0), Entry::must_wait);
    EXPECT_THAT(answered(3, 1), testing::IsEmpty());
    EXPECT_THAT(answered(1, 0), testing::ElementsAre(2, 4));
    EXPECT_EQ(offer(2, 0), Entry::admitted);
    EXPECT_EQ(offer(4, 0), Entry::admitted);
}

TEST_F(PartitionGateTest, OneThatFailsOpensNothingAndTheNextOneTries) {
    EXPECT_EQ(offer(1, 0), Entry::admitted);
    EXPECT_EQ(offer(2, 0), Entry::must_wait);
    EXPECT_EQ(offer(3, 0), Entry::must_wait);
    EXPECT_THAT(answered(1, 0, false), testing::ElementsAre(2, 3));
    EXPECT_EQ(offer(2, 0), Entry::admitted);
    EXPECT_EQ(offer(3, 0), Entry::must_wait);
    gate.offer(4, now);
    gate.ask(4, 1);
    gate.withdraw();
    EXPECT_EQ(offer(5, 1), Entry::admitted) << "the one before was not taken";
}

TEST_F(PartitionGateTest, WhileTheTopicIsUnknownOneMessageAsks) {
    gate.offer(1, now);
    EXPECT_EQ(gate.offered(), Entry::topic_unknown) << "the client had nobody to ask";
    gate.send_ahead(1);
    EXPECT_FALSE(gate.admits());
    gate.hold({2, {}});
    gate.hold({3, {}});
    std::thread([this] {
        EXPECT_TRUE(gate.ask(1, 2)) << "the client's own thread, when it learns of the topic";
    }).join();
    EXPECT_FALSE(gate.admits());
    EXPECT_THAT(answered(1, 2), testing::ElementsAre(2, 3));
    EXPECT_TRUE(gate.admits());
    EXPECT_EQ(offer(2, 2), Entry::admitted);
    EXPECT_EQ(offer(3, 0), Entry::admitted);
    EXPECT_EQ(offer(4, 0), Entry::must_wait);
}

TEST_F(PartitionGateTest, AMessageThatFailsBeforeItHasAPartitionHoldsNobodyBack) {
    gate.offer(1, now);
    gate.send_ahead(1);
    std::thread([this] { gate.ask(1, 2); }).join();
    EXPECT_THAT(answered(1, -1, false), testing::IsEmpty());
    EXPECT_TRUE(gate.admits());
    EXPECT_EQ(offer(2, 2), Entry::admitted);
}

TEST_F(PartitionGateTest, APartitionThatWasSilentForLongIsEnteredAnew) {
    offer(1, 0);
    answered(1, 0);
    now += 59min;
    EXPECT_EQ(offer(2, 0), Entry::admitted);
    EXPECT_EQ(offer(3, 0), Entry::admitted);
    answered(2, 0);
    answered(3, 0);
    now += 61min;
    EXPECT_EQ(offer(4, 0), Entry::admitted);
    EXPECT_EQ(offer(5, 0), Entry::must_wait);
    EXPECT_THAT(answered(4, 0), testing::ElementsAre(5));
}

TEST_F(PartitionGateTest, GivesUpAllThatWaits) {
    offer(1, 0);
    offer(2, 0);
    offer(3, 1);
    offer(4, 1);
    EXPECT_EQ(gate.give_up().size(), 2u);
    EXPECT_THAT(answered(1, 0), testing::IsEmpty());
}

}  // namespace
}  // namespace oms::test
