// What the fingerprint of a request costs, by the number of its items and by the size of one blob.
#include <benchmark/benchmark.h>

#include <string>

#include "core/fingerprint.hpp"

using namespace oms::core;

namespace {

void create_order_request(benchmark::State& state) {
    const auto items = state.range(0);
    std::string_view customer = "customer-0001234";
    for (auto _ : state) {
        benchmark::DoNotOptimize(customer);
        FingerprintBuilder request;
        request.add("create_order");
        request.add(customer);
        request.add("EUR");
        for (std::int64_t item = 0; item < items; ++item) {
            request.add("SKU-001");
            request.add(item);
            request.add(10'000);
        }
        request.add_null();
        benchmark::DoNotOptimize(request.finish());
    }
}
BENCHMARK(create_order_request)->Arg(2)->Arg(100);

void blob(benchmark::State& state) {
    const std::string bytes(static_cast<std::size_t>(state.range(0)), 'x');
    for (auto _ : state) {
        FingerprintBuilder request;
        request.add_bytes(bytes.data(), bytes.size());
        benchmark::DoNotOptimize(request.finish());
    }
    state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(blob)->Arg(64)->Arg(1'024)->Arg(1 << 20);

void idempotency_key_hash(benchmark::State& state) {
    std::string_view key = "8a6e0804-2bd0-4672-b79d-d97027f9071a";
    for (auto _ : state) {
        benchmark::DoNotOptimize(key);
        benchmark::DoNotOptimize(key_hash(key));
    }
}
BENCHMARK(idempotency_key_hash);

}  // namespace
