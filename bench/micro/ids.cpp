// What making and reading an order id costs, and what checking a currency costs.
#include <benchmark/benchmark.h>

#include "core/ids.hpp"
#include "core/money.hpp"

using namespace oms::core;

namespace {

void make_id(benchmark::State& state) {
    std::int64_t us = 1'767'225'600'000'000;
    std::uint64_t random_bits = 1;
    for (auto _ : state) benchmark::DoNotOptimize(make_order_id(++us, 0x1234, random_bits *= 0x9e3779b97f4a7c15));
}
BENCHMARK(make_id);

void read_time_and_customer(benchmark::State& state) {
    OrderId id = make_order_id(1'767'225'600'000'000, 0x1234, 1);
    for (auto _ : state) {
        benchmark::DoNotOptimize(id);
        benchmark::DoNotOptimize(order_time_us(id));
        benchmark::DoNotOptimize(customer_hash_of(id));
    }
}
BENCHMARK(read_time_and_customer);

void hash_customer(benchmark::State& state) {
    std::string_view customer = "customer-0001234";
    for (auto _ : state) {
        benchmark::DoNotOptimize(customer);
        benchmark::DoNotOptimize(customer_hash(customer));
    }
}
BENCHMARK(hash_customer);

void format_id(benchmark::State& state) {
    OrderId id = make_order_id(1'767'225'600'000'000, 0x1234, 1);
    char text[uuid_length];
    for (auto _ : state) {
        benchmark::DoNotOptimize(id);
        format_uuid(id, text);
        benchmark::DoNotOptimize(text);
    }
}
BENCHMARK(format_id);

void parse_id(benchmark::State& state) {
    std::string_view text = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f";
    OrderId id{};
    for (auto _ : state) {
        benchmark::DoNotOptimize(text);
        benchmark::DoNotOptimize(parse_uuid(text, id));
        benchmark::DoNotOptimize(id);
    }
}
BENCHMARK(parse_id);

void check_currency(benchmark::State& state) {
    std::string_view code = "EUR";
    for (auto _ : state) {
        benchmark::DoNotOptimize(code);
        benchmark::DoNotOptimize(is_currency(code));
    }
}
BENCHMARK(check_currency);

}  // namespace
