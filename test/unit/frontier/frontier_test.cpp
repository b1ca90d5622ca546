// The frontier's promise: no row is ever skipped for good, whoever draws keys, inserts, takes, locks, commits and rolls back in whatever order; and
// once all is quiet, a look begins behind everything that is done.
//
// src/pg/frontier.cpp itself runs here, against a server that is a model. Each interleaving is a run of its own from a seed; a failure names it.
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <limits>
#include <numeric>
#include <optional>

#include "pg/frontier.hpp"
#include "server.hpp"

namespace {

using model::Keys;
using model::Row;
using model::Server;
using model::Setting;
using oms::pg::Frontier;

struct Count {
    std::uint64_t interleavings = 0, acts = 0, looks = 0, taken = 0, missed = 0, stored = 0, rows = 0, running_max = 0;
};

constexpr std::int64_t beginning = std::numeric_limits<std::int64_t>::min();

// The session that looks, as tasks/claim.cpp and timers/timers.cpp do.
class Claimer {
  public:
    Claimer(Server& server, Count& count) : server_(server), count_(count) { connect(); }

    // A new session knows what the last one stored.
    void connect() {
        frontier_.reset(stored_);
        to_store_.reset();
    }

    void look(std::size_t limit) {
        ++count_.looks;
        count_.running_max = std::max<std::uint64_t>(count_.running_max, server_.running());
        const std::int64_t highest = server_.highest_key();
        server_.others_act();
        Snapshot snapshot = frontier_.begin_look(highest);
        expect_nothing_is_behind();
        std::int64_t passed_until = highest;
        std::size_t found = 0;
        for (const std::size_t i : in_order()) {
            const std::int64_t key = server_.rows()[i].key;
            if (server_.toss(0.3)) server_.others_act();
            if (try_to_take(i)) {
                frontier_.took(key);
                ++found;
            }
            if (found == limit) {
                passed_until = server_.clock_keys() ? key - 1 : key;
                break;
            }
        }
        frontier_.end_look(snapshot, passed_until);
        to_store_ = frontier_.settled();
    }

    void end(bool commit) {
        server_.end_own(commit);
        if (commit && to_store_) {
            stored_ = std::max(stored_, *to_store_);
            ++count_.stored;
        }
        to_store_.reset();
    }

    // Nothing can appear below what was stored, ever.
    void expect_stored_holds() const {
        for (const Row& row : server_.rows()) {
            if (!server_.is_gone(row)) {
                ASSERT_GE(row.key, stored_) << "a row below the stored position";
            }
        }
        for (const std::int64_t key : server_.keys_under_way()) {
            ASSERT_GE(key, stored_) << "a key below the stored position";
        }
    }

    std::int64_t from() const { return frontier_.from(); }

  private:
    // What is there to be had is not behind the point where the look begins.
    void expect_nothing_is_behind() const {
        for (std::size_t i = 0; i < server_.rows().size(); ++i) {
            const Row& row = server_.rows()[i];
            if (server_.is_free(i) && server_.sees(row.inserted_by)) {
                ASSERT_GE(row.key, frontier_.from()) << "a row was skipped";
            }
        }
    }

    // The rows that the snapshot shows, from the frontier on.
    std::vector<std::size_t> in_order() const {
        std::vector<std::size_t> seen;
        const auto& rows = server_.rows();
        for (std::size_t i = 0; i < rows.size(); ++i) {
            const bool due = !server_.clock_keys() || rows[i].key <= server_.highest_key() + 1;
            const bool taken = rows[i].holder != 0 && rows[i].takes && server_.sees(rows[i].holder);
            if (rows[i].key >= frontier_.from() && due && server_.sees(rows[i].inserted_by) && !taken)
                seen.push_back(i);
        }
        std::ranges::stable_sort(seen, {}, [&](std::size_t i) { return rows[i].key; });
        return seen;
    }

    bool try_to_take(std::size_t i) {
        const std::uint64_t own = server_.own();
        Row& row = server_.rows()[i];
        if (row.holder == 0) {
            row.holder = own;
            row.takes = true;
            server_.taken().push_back(i);
            ++count_.taken;
            return true;
        }
        ++count_.missed;
        // Who is in the way is asked a moment later, and sometimes there are several.
        server_.others_act();
        const bool known = server_.runs(row.holder) && !server_.toss(0.1);
        frontier_.met_holder(row.key, known ? Server::xid_of(row.holder) : InvalidTransactionId);
        return false;
    }

    Server& server_;
    Count& count_;
    Frontier frontier_;
    std::int64_t stored_ = beginning;
    std::optional<std::int64_t> to_store_;
};

void one_turn(Server& server, Claimer& claimer) {
    switch (server.up_to(9)) {
    case 0: return claimer.end(true);
    case 1: return claimer.end(false);
    case 2:
        if (server.in_own_transaction())
            server.back_to_savepoint(static_cast<std::size_t>(server.up_to(static_cast<int>(server.taken().size()))));
        return;
    case 3: return server.insert_own();
    case 4: claimer.end(true); return claimer.connect();
    default: return claimer.look(static_cast<std::size_t>(1 + server.up_to(4)));
    }
}

// Everybody ends; then the claimer takes what is left, and knows that nothing is.
void end_quietly(Server& server, Claimer& claimer) {
    server.end_others();
    claimer.end(true);
    server.quiet = true;
    for (int turn = 0; turn < 3; ++turn) {
        claimer.look(1'000'000);
        claimer.end(true);
    }
    for (std::size_t i = 0; i < server.rows().size(); ++i) {
        const Row& row = server.rows()[i];
        ASSERT_TRUE(server.is_gone(row) || (server.clock_keys() && row.key > server.clock()))
            << "a row was never found";
        if (!server.clock_keys() || row.key < server.clock()) {
            ASSERT_LT(row.key, claimer.from()) << "the frontier stays before what is done";
        }
    }
}

Count run(const Setting& setting, std::uint64_t interleavings, int turns) {
    Count count;
    for (std::uint64_t seed = 1; seed <= interleavings && !testing::Test::HasFatalFailure(); ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        Server server(setting, seed);
        model::server = &server;
        Claimer claimer(server, count);
        for (int turn = 0; turn < turns && !testing::Test::HasFatalFailure(); ++turn) {
            server.others_act();
            one_turn(server, claimer);
            claimer.expect_stored_holds();
        }
        end_quietly(server, claimer);
        ++count.interleavings;
        count.acts += server.acts();
        count.rows += server.rows().size();
    }
    model::server = nullptr;
    std::cout << "tried " << count.interleavings << " interleavings: " << count.acts << " acts of others, "
              << count.looks << " looks, " << count.rows << " rows, " << count.taken << " taken, " << count.missed
              << " in others' hands, " << count.stored << " positions stored\n";
    return count;
}

// The sanitizers make each a multiple slower.
#ifdef __SANITIZE_ADDRESS__
constexpr std::uint64_t thousand = 200;
#else
constexpr std::uint64_t thousand = 1000;
#endif

TEST(Frontier, NoRowOfAQueueIsSkipped) {
    const Count count = run({.keys = Keys::queue}, 4 * thousand, 60);
    EXPECT_EQ(count.interleavings, 4 * thousand);
    EXPECT_GT(count.missed, thousand);
}

TEST(Frontier, NoRowThatIsDueIsSkipped) {
    const Count count = run({.keys = Keys::clock}, 4 * thousand, 60);
    EXPECT_EQ(count.interleavings, 4 * thousand);
    EXPECT_GT(count.missed, thousand);
}

TEST(Frontier, AcrossTheWraparoundOfTransactionIds) {
    // The ids wrap in the middle of a run.
    const Count count = run({.keys = Keys::queue, .first_xid = 4'294'967'280U}, thousand, 60);
    EXPECT_EQ(count.interleavings, thousand);
}

TEST(Frontier, WithMoreTransactionsThanItRemembers) {
    const Count count = run({.keys = Keys::queue, .writers = 200, .rolls_back = 0.5}, thousand / 100, 1000);
    EXPECT_EQ(count.interleavings, thousand / 100);
    EXPECT_GT(count.running_max, 160U);
    EXPECT_GT(count.missed, thousand / 10);
}

}  // namespace
