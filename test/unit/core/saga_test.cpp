// The saga engine's decisions: every kind of step in every state, the whole matrix of failures and compensations, and a random walk that holds the
// invariants against sagas of every shape.
#include "core/saga.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "core/other_machines.hpp"

using namespace oms::core;
using namespace oms::core::saga;

namespace {

struct Tree {
    std::vector<Node> nodes;
    std::vector<Step> steps;

    int add(Kind kind, int parent = -1, Phase phase = Phase::none) {
        const int i = static_cast<int>(nodes.size());
        nodes.push_back({.kind = kind, .phase = phase, .parent = parent, .end = i + 1});
        steps.emplace_back();
        for (int up = parent; up >= 0; up = nodes[static_cast<std::size_t>(up)].parent)
            nodes[static_cast<std::size_t>(up)].end = i + 1;
        return i;
    }
    Node& node(int i) { return nodes[static_cast<std::size_t>(i)]; }
    Step& step(int i) { return steps[static_cast<std::size_t>(i)]; }
    void set(int i, StepStatus status, int completion = 0) {
        step(i).status = status;
        step(i).completion = completion;
        step(i).busy = status == StepStatus::running || status == StepStatus::waiting;
    }
    Action next(SagaStatus status = SagaStatus::running, int position = 0) const {
        return saga::next(nodes, steps, status, position);
    }
};

void expect(const Action& action, Act act, int node) {
    EXPECT_EQ(static_cast<int>(action.act), static_cast<int>(act));
    EXPECT_EQ(action.node, node);
}

// What each status of a single leaf makes the engine do, forward and backward.
struct Case {
    StepStatus status;
    bool busy, unknown;
    Act forward, backward;
    SagaStatus finish;  // where the answer is finish
};

const std::vector<Case> matrix = {
    {StepStatus::pending, false, false, Act::start, Act::finish, SagaStatus::compensated},
    {StepStatus::pending, true, false, Act::wait, Act::halt, {}},
    {StepStatus::running, true, false, Act::wait, Act::halt, {}},
    {StepStatus::waiting, true, false, Act::wait, Act::halt, {}},
    {StepStatus::completed, false, false, Act::finish, Act::compensate, SagaStatus::completed},
    {StepStatus::skipped, false, false, Act::finish, Act::finish, SagaStatus::compensated},
    {StepStatus::failed, false, false, Act::turn, Act::finish, SagaStatus::compensated},
    {StepStatus::failed, false, true, Act::turn, Act::compensate, {}},
    {StepStatus::compensating, true, false, Act::turn, Act::wait, {}},
    {StepStatus::compensating, false, false, Act::turn, Act::compensate, {}},
    {StepStatus::compensated, false, false, Act::turn, Act::finish, SagaStatus::compensated},
    {StepStatus::compensation_failed, false, false, Act::turn, Act::finish, SagaStatus::parked},
};

TEST(SagaDecision, SingleStepMatrix) {
    for (Kind kind : {Kind::sql, Kind::task, Kind::wait, Kind::timer}) {
        for (const Case& each : matrix) {
            SCOPED_TRACE(std::string{name_of(kind)} + " " + std::string{name_of(each.status)});
            Tree tree;
            tree.add(kind);
            tree.step(0) = {.status = each.status,
                            .busy = each.busy,
                            .begun = each.busy || each.status != StepStatus::pending,
                            .unknown = each.unknown,
                            .completion = 1};
            EXPECT_EQ(static_cast<int>(tree.next().act), static_cast<int>(each.forward));
            const Action back = tree.next(SagaStatus::compensating);
            EXPECT_EQ(static_cast<int>(back.act), static_cast<int>(each.backward));
            if (each.backward == Act::finish) {
                EXPECT_EQ(back.status, each.finish);
            }
        }
    }
}

TEST(SagaDecision, NothingHappensToASagaThatIsOver) {
    Tree tree;
    tree.add(Kind::sql);
    for (SagaStatus status : {SagaStatus::completed, SagaStatus::compensated, SagaStatus::parked}) {
        EXPECT_EQ(static_cast<int>(tree.next(status).act), static_cast<int>(Act::wait));
    }
}

TEST(SagaDecision, StepsGoOneAfterAnother) {
    Tree tree;
    for (int i = 0; i < 3; ++i) tree.add(Kind::sql);
    expect(tree.next(), Act::start, 0);
    tree.set(0, StepStatus::completed, 1);
    expect(tree.next(), Act::start, 1);
    EXPECT_EQ(tree.next().top, 1);
    tree.set(1, StepStatus::skipped);
    tree.set(2, StepStatus::completed, 2);
    EXPECT_EQ(tree.next().status, SagaStatus::completed);
    EXPECT_EQ(tree.next(SagaStatus::running, 2).status, SagaStatus::completed);
}

TEST(SagaDecision, CompensationGoesBackwardsInTheOrderOfCompletion) {
    Tree tree;
    for (int i = 0; i < 4; ++i) tree.add(Kind::sql);
    const int completions[] = {2, 4, 1, 3};
    for (int i = 0; i < 4; ++i) tree.set(i, StepStatus::completed, completions[i]);
    for (int expected : {1, 3, 0, 2}) {
        expect(tree.next(SagaStatus::compensating), Act::compensate, expected);
        tree.set(expected, StepStatus::compensated, tree.step(expected).completion);
    }
    EXPECT_EQ(tree.next(SagaStatus::compensating).status, SagaStatus::compensated);
}

TEST(SagaDecision, ACompensationThatFailsDoesNotStopTheOthers) {
    Tree tree;
    for (int i = 0; i < 3; ++i) {
        tree.add(Kind::sql);
        tree.set(i, StepStatus::completed, i + 1);
    }
    tree.set(2, StepStatus::compensation_failed, 3);
    expect(tree.next(SagaStatus::compensating), Act::compensate, 1);
    tree.set(1, StepStatus::compensated, 2);
    expect(tree.next(SagaStatus::compensating), Act::compensate, 0);
    tree.set(0, StepStatus::compensated, 1);
    EXPECT_EQ(tree.next(SagaStatus::compensating).status, SagaStatus::parked);
}

// Stock is not given back before the money is.
TEST(SagaDecision, ABarrierStopsWhatCompletedBeforeItAndNothingElse) {
    Tree tree;
    for (int i = 0; i < 3; ++i) {
        tree.add(Kind::sql);
        tree.set(i, StepStatus::completed, i + 1);
    }
    tree.node(1).barrier = true;
    tree.set(1, StepStatus::compensation_failed, 2);
    expect(tree.next(SagaStatus::compensating), Act::compensate, 2);
    tree.set(2, StepStatus::compensated, 3);
    EXPECT_EQ(tree.next(SagaStatus::compensating).status, SagaStatus::parked);
    tree.set(1, StepStatus::compensated, 2);
    expect(tree.next(SagaStatus::compensating), Act::compensate, 0);
}

TEST(SagaDecision, WhatIsOpenIsEndedBeforeAnythingIsUndone) {
    Tree tree;
    tree.add(Kind::sql);
    tree.set(0, StepStatus::completed, 1);
    const int parallel = tree.add(Kind::parallel);
    const int one = tree.add(Kind::task, parallel), other = tree.add(Kind::wait, parallel);
    tree.set(parallel, StepStatus::running);
    tree.set(one, StepStatus::running);
    tree.set(other, StepStatus::waiting);
    expect(tree.next(SagaStatus::compensating), Act::halt, one);
    tree.set(one, StepStatus::failed);
    expect(tree.next(SagaStatus::compensating), Act::halt, other);
    tree.set(other, StepStatus::failed);
    expect(tree.next(SagaStatus::compensating), Act::close, parallel);
    tree.set(parallel, StepStatus::failed);
    expect(tree.next(SagaStatus::compensating), Act::compensate, 0);
}

TEST(SagaDecision, WhatCannotBeStoppedIsWaitedFor) {
    Tree tree;
    tree.add(Kind::sql);
    tree.set(0, StepStatus::completed, 1);
    tree.add(Kind::task);
    tree.node(1).unstoppable = true;
    tree.set(1, StepStatus::running);
    expect(tree.next(SagaStatus::compensating), Act::wait, -1);
    tree.set(1, StepStatus::completed, 2);
    expect(tree.next(SagaStatus::compensating), Act::compensate, 1);
}

TEST(SagaDecision, ParallelStartsAllAndWaitsForAll) {
    Tree tree;
    const int parallel = tree.add(Kind::parallel);
    const int one = tree.add(Kind::task, parallel), other = tree.add(Kind::sql, parallel);
    tree.add(Kind::sql);
    expect(tree.next(), Act::start, parallel);
    tree.set(parallel, StepStatus::running);
    expect(tree.next(), Act::start, one);
    tree.set(one, StepStatus::running);
    expect(tree.next(), Act::start, other);
    tree.set(other, StepStatus::completed, 1);
    EXPECT_EQ(static_cast<int>(tree.next().act), static_cast<int>(Act::wait));
    tree.set(one, StepStatus::completed, 2);
    expect(tree.next(), Act::complete, parallel);
    tree.set(parallel, StepStatus::completed, 3);
    expect(tree.next(), Act::start, 3);
}

TEST(SagaDecision, AFailedChildTurnsTheSagaAndItsSiblingsAreCompensated) {
    Tree tree;
    const int parallel = tree.add(Kind::parallel);
    const int one = tree.add(Kind::sql, parallel), other = tree.add(Kind::sql, parallel),
              third = tree.add(Kind::sql, parallel);
    tree.set(parallel, StepStatus::running);
    tree.set(one, StepStatus::completed, 1);
    tree.set(other, StepStatus::failed);
    expect(tree.next(), Act::turn, other);
    expect(tree.next(SagaStatus::compensating), Act::close, parallel);
    tree.set(parallel, StepStatus::failed);
    expect(tree.next(SagaStatus::compensating), Act::compensate, one);
    tree.set(one, StepStatus::compensated, 1);
    EXPECT_EQ(tree.next(SagaStatus::compensating).status, SagaStatus::compensated);
    EXPECT_EQ(tree.step(third).status, StepStatus::pending);
}

TEST(SagaDecision, AConditionalRunsItsChildrenInOrderAndASkippedOneNone) {
    Tree tree;
    const int conditional = tree.add(Kind::conditional);
    const int one = tree.add(Kind::sql, conditional), other = tree.add(Kind::sql, conditional);
    tree.set(conditional, StepStatus::running);
    expect(tree.next(), Act::start, one);
    tree.set(one, StepStatus::completed, 1);
    expect(tree.next(), Act::start, other);
    tree.set(other, StepStatus::completed, 2);
    expect(tree.next(), Act::complete, conditional);
    Tree skipped;
    skipped.add(Kind::conditional);
    skipped.add(Kind::sql, 0);
    skipped.set(0, StepStatus::skipped);
    EXPECT_EQ(skipped.next().status, SagaStatus::completed);
}

struct TwoPhase : Tree {
    int whole = add(Kind::twophase);
    int prepare_one = add(Kind::task, whole, Phase::prepare), prepare_other = add(Kind::task, whole, Phase::prepare);
    int commit_one = add(Kind::task, whole, Phase::commit), commit_other = add(Kind::task, whole, Phase::commit);
    TwoPhase() { set(whole, StepStatus::running); }
};

TEST(SagaDecision, TwoPhaseCommitsOnlyAfterEveryoneIsPreparedAndTheDecisionIsRecorded) {
    TwoPhase tree;
    expect(tree.next(), Act::start, tree.prepare_one);
    tree.set(tree.prepare_one, StepStatus::completed, 1);
    expect(tree.next(), Act::start, tree.prepare_other);
    tree.set(tree.prepare_other, StepStatus::running);
    EXPECT_EQ(static_cast<int>(tree.next().act), static_cast<int>(Act::wait));
    tree.set(tree.prepare_other, StepStatus::completed, 2);
    expect(tree.next(), Act::decide, tree.whole);
    tree.step(tree.whole).decided = true;
    expect(tree.next(), Act::start, tree.commit_one);
    tree.set(tree.commit_one, StepStatus::completed, 3);
    expect(tree.next(), Act::start, tree.commit_other);
    tree.set(tree.commit_other, StepStatus::completed, 4);
    expect(tree.next(), Act::complete, tree.whole);
}

TEST(SagaDecision, TwoPhaseAbortsWhoeverIsPreparedWhenOneIsNot) {
    TwoPhase tree;
    tree.set(tree.prepare_one, StepStatus::completed, 1);
    tree.set(tree.prepare_other, StepStatus::failed);
    expect(tree.next(), Act::turn, tree.prepare_other);
    expect(tree.next(SagaStatus::compensating), Act::close, tree.whole);
    tree.set(tree.whole, StepStatus::failed);
    expect(tree.next(SagaStatus::compensating), Act::compensate, tree.prepare_one);
}

TEST(SagaDecision, WhatWasDecidedIsCommittedBeforeTheSagaGoesBack) {
    TwoPhase tree;
    tree.set(tree.prepare_one, StepStatus::completed, 1);
    tree.set(tree.prepare_other, StepStatus::completed, 2);
    tree.step(tree.whole).decided = true;
    tree.set(tree.commit_one, StepStatus::running);
    expect(tree.next(SagaStatus::compensating), Act::start, tree.commit_other);
    tree.set(tree.commit_other, StepStatus::running);
    expect(tree.next(SagaStatus::compensating), Act::wait, -1);
    tree.set(tree.commit_one, StepStatus::completed, 3);
    tree.set(tree.commit_other, StepStatus::completed, 4);
    expect(tree.next(SagaStatus::compensating), Act::complete, tree.whole);
    tree.set(tree.whole, StepStatus::completed, 5);
    expect(tree.next(SagaStatus::compensating), Act::compensate, tree.whole);
    tree.set(tree.whole, StepStatus::compensated, 5);
    EXPECT_EQ(tree.next(SagaStatus::compensating).status, SagaStatus::compensated);
}

TEST(SagaDecision, Requests) {
    using enum SagaStatus;
    for (SagaStatus status : {running, completed, compensating, compensated, parked}) {
        EXPECT_EQ(may(Request::cancel, status), status == running);
        EXPECT_EQ(may(Request::signal, status), status == running);
        EXPECT_EQ(may(Request::compensate, status), status == running || status == completed);
        EXPECT_EQ(may(Request::resume, status), status == parked);
        EXPECT_EQ(saga::is_final(status), status == completed || status == compensated);
    }
}

TEST(SagaDecision, ARetryWhoseTimeHasComeIsHaltedToo) {
    Tree tree;
    tree.add(Kind::sql);
    tree.step(0) = {.status = StepStatus::pending, .begun = true};
    EXPECT_EQ(tree.next().act, Act::start);
    EXPECT_EQ(tree.next(SagaStatus::compensating).act, Act::halt);
}

TEST(SagaDecision, Retries) {
    const RetryPolicy policy{3, 100, 2, 1000, 0};
    EXPECT_EQ(after_failure(policy, 1, true), AfterFailure::retry);
    EXPECT_EQ(after_failure(policy, 2, true), AfterFailure::retry);
    EXPECT_EQ(after_failure(policy, 3, true), AfterFailure::give_up);
    EXPECT_EQ(after_failure(policy, 1, false), AfterFailure::give_up);
}

TEST(SagaDecision, StepIds) {
    for (std::int64_t saga_id : {std::int64_t{1}, std::int64_t{123'456'789'012}}) {
        for (std::int32_t position : {0, 1, 9'999, steps_max - 1}) {
            EXPECT_EQ(saga_of(step_id(saga_id, position)), saga_id);
            EXPECT_EQ(position_of(step_id(saga_id, position)), position);
        }
    }
}

// Plays sagas of random shape with random outcomes and asserts at every move that it is a legal one.
class Play {
  public:
    explicit Play(unsigned seed) : random_(seed) {
        grow(-1, 1, 2 + pick(3));
        for (Node& node : tree_.nodes) node.barrier = pick(5) == 0;
    }

    void run() {
        for (int moves = 0; moves < 10'000; ++moves) {
            // Somebody cancels it, or its own deadline is over.
            if (status_ == SagaStatus::running && pick(60) == 0) status_ = SagaStatus::compensating;
            const Action action = tree_.next(status_, 0);
            switch (action.act) {
            case Act::start: start(action.node); break;
            case Act::complete: go(action.node, StepStatus::completed); break;
            case Act::decide: decide(action.node); break;
            case Act::turn: status_ = SagaStatus::compensating; break;
            case Act::halt: end_open(action.node); break;
            case Act::close: go(action.node, StepStatus::failed); break;
            case Act::compensate: compensate(action.node); break;
            case Act::wait:
                if (!news()) FAIL() << "the saga waits for nothing";
                break;
            case Act::finish: return finished(action.status);
            case Act::settled: FAIL() << "an answer from inside the walk";
            }
            if (testing::Test::HasFatalFailure()) return;
        }
        FAIL() << "the saga does not end";
    }

  private:
    int pick(int below) { return static_cast<int>(random_() % static_cast<unsigned>(below)); }

    void grow(int parent, int depth, int count) {
        for (int i = 0; i < count; ++i) {
            const Kind kind = static_cast<Kind>(pick(depth < 4 ? 7 : 4));
            const int node = tree_.add(kind, parent);
            if (kind == Kind::twophase) {
                for (Phase phase : {Phase::prepare, Phase::commit})
                    for (int p = 0; p < 2; ++p) tree_.add(pick(2) ? Kind::task : Kind::sql, node, phase);
            } else if (is_container(kind)) {
                grow(node, depth + 1, 1 + pick(3));
            }
        }
    }

    void go(int i, StepStatus to) {
        const std::string_view from = name_of(tree_.step(i).status);
        // A retry of a compensation stays where it is; the row says compensating all the while.
        if (tree_.step(i).status != to) {
            ASSERT_TRUE(legal(machines::step, from, name_of(to))) << from << " to " << name_of(to);
        }
        tree_.step(i).status = to;
        tree_.step(i).busy = to == StepStatus::running || to == StepStatus::waiting;
        tree_.step(i).begun = true;
        if (to == StepStatus::completed) tree_.step(i).completion = ++completions_;
    }

    void start(int i) {
        const Node& node = tree_.node(i);
        // Forward, nothing starts once a step has failed; backward, only what was decided.
        if (status_ == SagaStatus::compensating) {
            ASSERT_EQ(node.phase, Phase::commit);
        }
        if (node.kind == Kind::conditional && pick(3) == 0) return go(i, StepStatus::skipped);
        go(i, StepStatus::running);
        if (node.kind == Kind::sql) outcome(i);
    }

    void outcome(int i) {
        if (tree_.node(i).phase == Phase::commit || pick(8) != 0) return go(i, StepStatus::completed);
        // Another attempt, whose time has not come yet, or comes in the very moment in which the saga turns back for another reason.
        if (status_ == SagaStatus::running && pick(3) == 0) {
            go(i, StepStatus::pending);
            tree_.step(i).busy = pick(2) == 0;
            return;
        }
        go(i, StepStatus::failed);
        tree_.step(i).unknown = tree_.node(i).kind == Kind::task && pick(2) == 0;
        if (tree_.step(i).unknown) tree_.step(i).completion = ++completions_;
    }

    void end_open(int i) {
        ASSERT_EQ(status_, SagaStatus::compensating);
        go(i, tree_.step(i).status == StepStatus::pending ? StepStatus::skipped : StepStatus::failed);
    }

    void decide(int i) {
        for (int child = i + 1; child < tree_.node(i).end; ++child) {
            if (tree_.node(child).phase == Phase::prepare) {
                ASSERT_EQ(tree_.step(child).status, StepStatus::completed);
            }
        }
        tree_.step(i).decided = true;
    }

    void compensate(int i) {
        for (const Step& step : tree_.steps) {
            ASSERT_TRUE(step.status != StepStatus::running && step.status != StepStatus::waiting)
                << "undone while a step was open";
            const bool to_undo = step.status == StepStatus::completed && &step != &tree_.step(i);
            const int index = static_cast<int>(&step - tree_.steps.data());
            const Node& node = tree_.node(index);
            const bool decided = node.phase != Phase::none && tree_.step(node.parent).decided;
            if (to_undo && !decided && tree_.step(i).status != StepStatus::compensating) {
                ASSERT_LT(step.completion, tree_.step(i).completion);
            }
        }
        go(i, StepStatus::compensating);
        if (pick(2) == 0) {
            tree_.step(i).busy = true;
            return;
        }
        go(i, pick(6) == 0 ? StepStatus::compensation_failed : StepStatus::compensated);
    }

    bool news() {
        std::vector<int> open;
        for (int i = 0; i < static_cast<int>(tree_.steps.size()); ++i) {
            if (tree_.step(i).busy && !is_container(tree_.node(i).kind)) open.push_back(i);
        }
        for (int i = 0; i < static_cast<int>(tree_.steps.size()); ++i) {
            if (tree_.step(i).busy && tree_.step(i).status == StepStatus::compensating) open = {i};
        }
        if (open.empty()) return false;
        const int i = open[static_cast<std::size_t>(pick(static_cast<int>(open.size())))];
        if (tree_.step(i).status == StepStatus::compensating) {
            go(i, pick(6) == 0 ? StepStatus::compensation_failed : StepStatus::compensated);
        } else if (tree_.step(i).status == StepStatus::pending) {
            tree_.step(i).busy = false;
        } else {
            outcome(i);
        }
        return true;
    }

    void finished(SagaStatus end) {
        bool any_failed = false;
        for (int i = 0; i < static_cast<int>(tree_.steps.size()); ++i) {
            const Step& step = tree_.step(i);
            ASSERT_FALSE(step.busy);
            ASSERT_FALSE(step.status == StepStatus::pending && step.begun) << "an attempt is still to come";
            any_failed |= step.status == StepStatus::compensation_failed;
            const bool decided = tree_.node(i).phase != Phase::none && tree_.step(tree_.node(i).parent).decided;
            if (end == SagaStatus::compensated && !decided) {
                ASSERT_TRUE(step.status != StepStatus::completed &&
                            !(step.status == StepStatus::failed && step.unknown))
                    << "compensated, though a step that was done has no outcome";
            }
        }
        if (end == SagaStatus::completed) {
            ASSERT_EQ(status_, SagaStatus::running);
        } else {
            ASSERT_EQ(end == SagaStatus::parked, any_failed);
        }
    }

    Tree tree_;
    SagaStatus status_ = SagaStatus::running;
    int completions_ = 0;
    std::mt19937 random_;
};

TEST(SagaDecision, RandomSagasKeepTheInvariants) {
    for (unsigned seed = 0; seed < 20'000; ++seed) {
        SCOPED_TRACE(seed);
        Play{seed}.run();
        if (HasFatalFailure()) return;
    }
}

}  // namespace
