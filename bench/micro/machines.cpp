// What one decision costs: the order machine with and without an owner's rows, and the longest of the small machines.
#include <benchmark/benchmark.h>

#include <vector>

#include "core/order_machine.hpp"
#include "core/other_machines.hpp"
#include "core/retry.hpp"

using namespace oms::core;

namespace {

OrderFacts order_in(std::string_view status) { return {status, false, "", 11'500, 11'500, 0}; }

void decide_first_row(benchmark::State& state) {
    OrderFacts order = order_in("pending");
    for (auto _ : state) {
        benchmark::DoNotOptimize(order);
        benchmark::DoNotOptimize(decide(order, "reserve"));
    }
}
BENCHMARK(decide_first_row);

void decide_last_row(benchmark::State& state) {
    OrderFacts order = order_in("completed");
    for (auto _ : state) {
        benchmark::DoNotOptimize(order);
        benchmark::DoNotOptimize(decide(order, "refund"));
    }
}
BENCHMARK(decide_last_row);

// The price of an owner's states: the row sought stands behind as many others as the argument says.
void decide_behind_owner_rows(benchmark::State& state) {
    std::vector<Transition> owner(static_cast<std::size_t>(state.range(0)),
                                  {"picking", "wait", "picking", false, Effect::none, "order.waiting"});
    owner.push_back({"picking", "pick", "picked", false, Effect::none, "order.picked"});
    OrderFacts order = order_in("picking");
    for (auto _ : state) {
        benchmark::DoNotOptimize(order);
        benchmark::DoNotOptimize(decide(order, "pick", owner));
    }
}
BENCHMARK(decide_behind_owner_rows)->Arg(0)->Arg(16)->Arg(64);

void decide_unknown_action(benchmark::State& state) {
    OrderFacts order = order_in("paid");
    for (auto _ : state) {
        benchmark::DoNotOptimize(order);
        benchmark::DoNotOptimize(decide(order, "teleport"));
    }
}
BENCHMARK(decide_unknown_action);

void decide_partial_refund(benchmark::State& state) {
    OrderFacts order = order_in("shipped");
    for (auto _ : state) {
        benchmark::DoNotOptimize(order);
        benchmark::DoNotOptimize(decide_refund(order, 40));
    }
}
BENCHMARK(decide_partial_refund);

void payment_edge(benchmark::State& state) {
    std::string_view from = "partially_refunded";
    for (auto _ : state) {
        benchmark::DoNotOptimize(from);
        benchmark::DoNotOptimize(legal(machines::payment, from, "refunded"));
    }
}
BENCHMARK(payment_edge);

void backoff(benchmark::State& state) {
    RetryPolicy policy{3, 100, 2.0, 5'000, 0.2};
    std::uint64_t seed = 0;
    for (auto _ : state) {
        benchmark::DoNotOptimize(policy);
        benchmark::DoNotOptimize(backoff_ms(policy, static_cast<int>(state.range(0)), ++seed));
    }
}
BENCHMARK(backoff)->Arg(1)->Arg(10);

}  // namespace
