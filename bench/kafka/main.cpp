// bench-kafka: what the benchmarks with a broker are made of; bench/README.md says what they measure.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>

#include "options.hpp"
#include "runtime/config.hpp"
#include "runtime/log.hpp"

int main(int count, char** arguments) {
    using namespace oms;
    bench::Options options;
    options.batch = runtime::Settings{}.batch;
    CLI::App app("The worker's rivals, a bare producer, and clocks");
    app.require_subcommand(1);

    const auto verb = [&app, &options](const char* name, const char* help, void (*run)(const bench::Options&)) {
        auto* const sub = app.add_subcommand(name, help);
        sub->callback([&options, run] { run(options); });
        return sub;
    };
    auto* const produce = verb("produce", "Send events of the log over and over, as fast as they go", bench::produce);
    auto* const relay = verb("relay", "Publish from a queue in a table until SIGTERM", bench::relay);
    auto* const listen = verb("listen", "Hear notifications and do nothing, until SIGTERM", bench::listen);
    auto* const latency = verb("latency", "From the commit to the consumer, in ms", bench::latency);
    auto* const end = verb("end", "How many messages the topic ever got", bench::print_end);
    auto* const await = verb("await", "Messages a second, of the next ones that arrive", bench::await_count);

    for (auto* sub : {produce, relay, latency, end, await})
        sub->add_option("--broker", options.brokers)->envname("KAFKA")->required();
    for (auto* sub : {produce, latency, end, await}) sub->add_option("--topic", options.topic)->required();
    for (auto* sub : {produce, relay, listen, latency}) sub->add_option("--database", options.database)->required();
    for (auto* sub : {produce, await}) sub->add_option("--count", options.count)->required();
    await->add_option("--timeout", options.timeout_seconds, "seconds")->required();
    relay->add_option("--queue", options.queue)->required()->check(CLI::IsMember({"pgmq", "skip_locked"}));
    relay->add_option("--batch", options.batch)->capture_default_str();
    for (auto* sub : {relay, listen}) {
        sub->add_option("--every", options.every_ms, "ms between two looks, and the longest sleep")->required();
        sub->add_option("--channel", options.channel, "sleep until somebody notifies here");
    }
    latency->add_option("--way", options.way)
        ->required()
        ->check(CLI::IsMember({"bare", "oms", "outbox", "outbox_notify"}));
    latency->add_option("--items", options.order_items, "of each order")->required();
    latency->add_option("--rate", options.rate, "messages a second")->required();
    latency->add_option("--seconds", options.seconds)->required();
    latency->add_option("--warm-up", options.warm_up_seconds, "seconds that are not counted")->required();
    latency->add_option("--clients", options.clients)->required();

    log::set_level(log::Level::error);
    try {
        app.parse(count, arguments);
        return 0;
    } catch (const CLI::Error& error) {
        return app.exit(error);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "bench-kafka: %s\n", error.what());
        return 1;
    }
}
