// Goal: of a gated key one message is on its way at a time, in order, and a rejection holds the rest back.
#include <gtest/gtest.h>

#include "relay/key_gate.hpp"

namespace oms::relay {
namespace {

Event event(EventId id, std::string_view key, std::string_view topic = "gated") {
    Event made;
    made.id = id;
    made.topic = topic;
    made.key = key;
    made.payload = "payload";
    return made;
}

KeyGate gate() {
    KeyGate made;
    made.set_policies({{"gated", true, false}, {"free", false, false}});
    return made;
}

TEST(KeyGate, GatesOnlyTheTopicsThatAskForIt) {
    const auto g = gate();
    EXPECT_TRUE(g.gates("gated"));
    EXPECT_FALSE(g.gates("free"));
    EXPECT_FALSE(g.gates("unheard of"));
}

TEST(KeyGate, HoldsTheLaterEventsOfABusyKeyAndPassesThemInOrder) {
    auto g = gate();
    EXPECT_EQ(g.admit(1, event(1, "a")), KeyGate::Verdict::send);
    EXPECT_EQ(g.admit(2, event(2, "a")), KeyGate::Verdict::hold);
    EXPECT_EQ(g.admit(3, event(3, "b")), KeyGate::Verdict::send) << "another key flows";
    EXPECT_EQ(g.admit(4, event(4, "a")), KeyGate::Verdict::hold);
    auto next = g.pass(1);
    ASSERT_EQ(next.size(), 1u);
    EXPECT_EQ(next[0].event().id, 2);
    EXPECT_EQ(next[0].event().payload, "payload");
    next = g.pass(2);
    ASSERT_EQ(next.size(), 1u);
    EXPECT_EQ(next[0].ticket, 4u);
    EXPECT_TRUE(g.pass(4).empty());
    EXPECT_EQ(g.admit(5, event(5, "a")), KeyGate::Verdict::send) << "the key is free again";
}

TEST(KeyGate, ARejectionGivesTheHeldEventsBackAndBlocksTheKey) {
    auto g = gate();
    g.admit(1, event(1, "a"));
    g.admit(2, event(2, "a"));
    g.admit(3, event(3, "a"));
    const auto held = g.block(1);
    ASSERT_EQ(held.size(), 2u);
    EXPECT_EQ(held[0].ticket, 2u);
    EXPECT_EQ(held[1].ticket, 3u);
    EXPECT_EQ(g.admit(4, event(4, "a")), KeyGate::Verdict::park);
    EXPECT_EQ(g.admit(5, event(5, "b")), KeyGate::Verdict::send);
    g.unblock(event(4, "a").topic, "a");
    EXPECT_EQ(g.admit(4, event(4, "a")), KeyGate::Verdict::send);
}

TEST(KeyGate, KeysThatTheDatabaseHoldsBackAreParkedFromTheStart) {
    auto g = gate();
    g.set_blocked({{"gated", "a"}});
    EXPECT_EQ(g.admit(1, event(1, "a")), KeyGate::Verdict::park);
    g.set_blocked({});
    EXPECT_EQ(g.admit(2, event(2, "a")), KeyGate::Verdict::send);
}

TEST(KeyGate, TellsTopicAndKeyApart) {
    KeyGate g;
    g.set_policies({{"t", true, false}, {"tk", true, false}});
    EXPECT_EQ(g.admit(1, event(1, "kx", "t")), KeyGate::Verdict::send);
    EXPECT_EQ(g.admit(2, event(2, "x", "tk")), KeyGate::Verdict::send);
}

TEST(KeyGate, SettlingAnUngatedEventPassesNothing) {
    auto g = gate();
    EXPECT_TRUE(g.pass(17).empty());
    EXPECT_TRUE(g.block(17).empty());
}

}  // namespace
}  // namespace oms::relay
