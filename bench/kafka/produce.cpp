// The bare producer and the clocks at the broker.
#include <chrono>
#include <cstdio>
#include <stdexcept>
#include <thread>

#include "options.hpp"
#include "sample.hpp"
#include "sender.hpp"
#include "topic.hpp"

namespace oms::bench {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

// More than the client puts into one batch, so that no batch holds a message twice and compresses better for it.
constexpr std::size_t sample_size = 20'000;
// Often enough for a drain of a second, seldom enough to cost the broker less than a hundredth of a core.
constexpr auto look_every = 10ms;
constexpr std::size_t answers_every = 500;

double seconds(Clock::duration d) { return std::chrono::duration<double>(d).count(); }

}  // namespace

void produce(const Options& options) {
    const Sample sample(options.database, sample_size);
    Sender sender(options.brokers);
    sender.await_topic(options.topic);
    for (std::size_t i = 0; i < options.count; ++i) {
        auto message = sample[i];
        message.topic = options.topic;
        sender.send(message);
        if (i % answers_every == 0) sender.take_answers();
    }
    sender.settle();
    if (sender.acknowledged() != options.count) throw std::logic_error("not as many acknowledged as were sent");
}

void print_end(const Options& options) {
    Sender(options.brokers).await_topic(options.topic);
    Topic topic(options.brokers, options.topic);
    std::printf("%lld\n", static_cast<long long>(topic.messages()));
}

/// The clock starts with the first messages that are seen, so that nobody's way to start counts.
void await_count(const Options& options) {
    Topic topic(options.brokers, options.topic);
    const auto begin = topic.messages();
    const auto wanted = begin + static_cast<std::int64_t>(options.count);
    std::printf("ready\n");
    std::fflush(stdout);

    const auto deadline = Clock::now() + std::chrono::duration<double>(options.timeout_seconds);
    std::int64_t first = begin;
    Clock::time_point first_seen{};
    for (;;) {
        const auto end = topic.messages();
        const auto now = Clock::now();
        if (first == begin && end > begin) {
            first = end;
            first_seen = now;
        } else if (end >= wanted) {
            std::printf("measured %.1f\n", static_cast<double>(end - first) / seconds(now - first_seen));
            return;
        }
        if (now > deadline)
            throw std::runtime_error("of " + std::to_string(options.count) + " messages " +
                                     std::to_string(end - begin) + " arrived in time");
        std::this_thread::sleep_for(look_every);
    }
}

}  // namespace oms::bench
