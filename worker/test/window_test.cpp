// Goal: the position is always the end of the longest settled prefix, whatever the order of acknowledgements, and what was
// settled is recognised after a restart. Method: random orders against a model that recomputes everything.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <set>

#include "relay/window.hpp"

namespace oms::relay {
namespace {

Event event(EventId id, std::string_view type = "t") {
    Event made;
    made.id = id;
    made.seq = id;
    made.aggregate_id = "a";
    made.type = type;
    made.payload = "12345678";
    return made;
}

TEST(Window, PositionIsTheEndOfTheLongestSettledPrefixInEveryOrder) {
    std::mt19937 random(1);
    for (int round = 0; round < 500; ++round) {
        Window window(1000);
        const std::size_t count = 1 + random() % 60;
        // Ids are not in order: late commits make lower ones appear later.
        std::vector<EventId> ids(count);
        std::iota(ids.begin(), ids.end(), 1);
        std::shuffle(ids.begin(), ids.end(), random);
        std::vector<Ticket> tickets;
        for (const auto id : ids) {
            Ticket ticket = 0;
            ASSERT_TRUE(window.add(event(id), ticket));
            tickets.push_back(ticket);
        }
        std::vector<std::size_t> order(count);
        std::iota(order.begin(), order.end(), 0);
        std::shuffle(order.begin(), order.end(), random);
        std::vector<bool> settled(count, false);
        std::size_t stored = 0;
        for (std::size_t i = 0; i < count; ++i) {
            window.settle(tickets[order[i]]);
            settled[order[i]] = true;
            const auto prefix =
                static_cast<std::size_t>(std::find(settled.begin(), settled.end(), false) - settled.begin());
            if (prefix > stored) {
                ASSERT_EQ(window.position(), ids[prefix - 1]);
            } else {
                ASSERT_EQ(window.position(), std::nullopt);
            }
            ASSERT_EQ(window.unsettled(), count - i - 1);
            ASSERT_EQ(window.unsettled_bytes(), 8 * (count - i - 1));
            if (random() % 4 == 0) {
                window.committed();
                stored = prefix;
            }
        }
        window.committed();
        EXPECT_EQ(window.events(), 0u);
    }
}

TEST(Window, RestartRecognisesExactlyWhatWasSettledAndNotCommitted) {
    std::mt19937 random(2);
    for (int round = 0; round < 500; ++round) {
        Window window(1000);
        const EventId count = 1 + static_cast<EventId>(random() % 60);
        std::vector<Ticket> tickets(static_cast<std::size_t>(count) + 1);
        for (EventId id = 1; id <= count; ++id)
            ASSERT_TRUE(window.add(event(id), tickets[static_cast<std::size_t>(id)]));
        std::set<EventId> settled;
        EventId stored = 0;
        for (EventId id = 1; id <= count; ++id) {
            if (random() % 3 == 0) continue;
            window.settle(tickets[static_cast<std::size_t>(id)]);
            settled.insert(id);
            if (random() % 5 == 0 && window.position()) {
                stored = *window.position();
                window.committed();
            }
        }
        window.restart();
        EXPECT_EQ(window.unsettled(), 0u);
        EXPECT_EQ(window.position(), std::nullopt);
        for (EventId id = stored + 1; id <= count; ++id) {
            Ticket ticket = 0;
            EXPECT_EQ(window.add(event(id), ticket), !settled.contains(id)) << id;
            if (!settled.contains(id)) window.settle(ticket);
            EXPECT_EQ(window.position(), id);
        }
    }
}

TEST(Window, AnIdThatWasDrawnAgainForAnotherEventIsNotTakenForTheOldOne) {
    Window window(10);
    Ticket ticket = 0;
    window.add(event(1), ticket);
    window.settle(ticket);
    window.restart();
    EXPECT_TRUE(window.add(event(1, "another"), ticket));
}

TEST(Window, TwoRestartsInARowForgetNothing) {
    Window window(10);
    Ticket ticket = 0;
    for (EventId id = 1; id <= 3; ++id) {
        window.add(event(id), ticket);
        window.settle(ticket);
    }
    window.restart();
    EXPECT_FALSE(window.add(event(1), ticket));
    window.restart();
    for (EventId id = 1; id <= 3; ++id) EXPECT_FALSE(window.add(event(id), ticket));
}

TEST(Window, WhatAnotherWorkerCommittedIsForgottenWhenCaughtUp) {
    Window window(10);
    Ticket ticket = 0;
    window.add(event(1), ticket);
    window.settle(ticket);
    window.restart();
    window.caught_up();
    EXPECT_TRUE(window.add(event(1), ticket));
}

TEST(Window, IsFullOfWhatTheCursorHasNotPassed) {
    Window window(3);
    std::vector<Ticket> tickets(3);
    for (EventId id = 1; id <= 3; ++id) window.add(event(id), tickets[static_cast<std::size_t>(id) - 1]);
    EXPECT_TRUE(window.full());
    window.settle(tickets[1]);  // behind a hole
    EXPECT_TRUE(window.full());
    window.settle(tickets[0]);
    EXPECT_TRUE(window.full()) << "settled, but the stored cursor has not moved";
    window.committed();
    EXPECT_FALSE(window.full());
}

TEST(Window, RefusesToSettleTwice) {
    Window window(3);
    Ticket ticket = 0;
    window.add(event(1), ticket);
    Ticket second = 0;
    window.add(event(2), second);
    window.settle(second);
    EXPECT_THROW(window.settle(second), std::logic_error);
    window.settle(ticket);
    EXPECT_THROW(window.settle(ticket), std::logic_error);
    EXPECT_THROW(window.settle(99), std::logic_error);
}

}  // namespace
}  // namespace oms::relay
