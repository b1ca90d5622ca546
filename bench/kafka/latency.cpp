// How long a message is on its way: from the moment in which the client knows that its transaction is committed, or, for the bare
// producer, in which it hands the message over, to the moment in which a consumer has it. Clients and consumer are threads of this
// process, so that one steady clock tells both times.
//
// Messages come at random moments (exponential pauses), whatever became of the ones before.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <random>
#include <stdexcept>
#include <thread>
#include <unordered_map>
#include <vector>

#include "db/connection.hpp"
#include "options.hpp"
#include "sample.hpp"
#include "sender.hpp"
#include "topic.hpp"

namespace oms::bench {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto arrival_deadline = 60s;
constexpr std::size_t bare_sample = 1'000;

struct Sent {
    std::string key;
    Clock::time_point at;
};

/// The moments in which one client is to send.
class Schedule {
  public:
    Schedule(double rate, double seconds, unsigned seed)
        : random_(seed), pause_(rate), next_(Clock::now()), end_(next_ + of(seconds)) {}

    /// Waits for the next moment; false when the time is over.
    bool wait_for_next() {
        next_ += of(pause_(random_));
        if (next_ > end_) return false;
        std::this_thread::sleep_until(next_);
        return true;
    }

  private:
    static Clock::duration of(double seconds) {
        return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
    }

    std::mt19937_64 random_;
    std::exponential_distribution<double> pause_;
    Clock::time_point next_;
    Clock::time_point end_;
};

constexpr db::Statement create_order = {"create_order",
                                        "SELECT order_id FROM oms.create_order($1, 'EUR', $2::jsonb, $3)"};
constexpr db::Statement place_order = {"place_order", "SELECT rival.place_order($1, $2::jsonb, $3)"};
constexpr db::Statement place_order_and_notify = {"place_order_and_notify",
                                                  "SELECT rival.place_order_and_notify($1, $2::jsonb, $3)"};

const db::Statement& statement_of(const std::string& way) {
    if (way == "oms") return create_order;
    if (way == "outbox") return place_order;
    if (way == "outbox_notify") return place_order_and_notify;
    throw std::invalid_argument("there is no way " + way);
}

/// One client: an order in each transaction. The order's id is the message's key.
std::vector<Sent> place_orders(const Options& options, unsigned client) {
    const auto& statement = statement_of(options.way);
    db::Connection session({.conninfo = options.database, .password = "", .application_name = "bench-kafka"});
    const auto run = std::to_string(std::random_device{}()) + "-" + std::to_string(client) + "-";
    std::vector<Sent> sent;
    Schedule schedule(options.rate / options.clients, options.seconds, client);
    while (schedule.wait_for_next()) {
        const auto number = std::to_string(sent.size());
        const auto rows = session.run(statement, {"customer-" + number, options.order_items, run + number});
        sent.push_back({std::string(rows.text(0, 0)), Clock::now()});
    }
    return sent;
}

/// The bare producer, at the same rate, with messages of the same size.
std::vector<Sent> produce_bare(const Options& options) {
    const Sample sample(options.database, bare_sample);
    Sender sender(options.brokers);
    sender.await_topic(options.topic);
    const auto run = std::to_string(std::random_device{}()) + "-";
    std::vector<Sent> sent;
    Schedule schedule(options.rate, options.seconds, 1);
    while (schedule.wait_for_next()) {
        auto message = sample[sent.size()];
        auto key = run + std::to_string(sent.size());
        key.resize(message.key.size(), '-');
        message.topic = options.topic;
        message.key = key;
        const auto now = Clock::now();
        sender.send(message);
        sent.push_back({std::move(key), now});
        sender.take_answers();
    }
    sender.settle();
    return sent;
}

std::vector<Sent> send_all(const Options& options) {
    if (options.way == "bare") return produce_bare(options);
    std::vector<std::vector<Sent>> of_client(static_cast<std::size_t>(options.clients));
    std::vector<std::exception_ptr> failures(of_client.size());
    std::vector<std::thread> clients;
    for (std::size_t i = 0; i < of_client.size(); ++i)
        clients.emplace_back([&options, &of_client, &failures, i] {
            try {
                of_client[i] = place_orders(options, static_cast<unsigned>(i));
            } catch (...) {
                failures[i] = std::current_exception();
            }
        });
    for (auto& client : clients) client.join();
    for (const auto& failure : failures)
        if (failure) std::rethrow_exception(failure);
    std::vector<Sent> all;
    for (auto& sent : of_client) std::move(sent.begin(), sent.end(), std::back_inserter(all));
    return all;
}

/// Receives in a thread of its own until as many as were sent are there, or no more come.
class Consumer {
  public:
    explicit Consumer(const Options& options) : topic_(options.brokers, options.topic) {
        topic_.receive_from_here();
        thread_ = std::thread([this] { receive(); });
    }
    ~Consumer() {
        if (thread_.joinable()) finish(0);
    }
    Consumer(const Consumer&) = delete;
    Consumer& operator=(const Consumer&) = delete;

    const std::unordered_map<std::string, Clock::time_point>& finish(std::size_t expected) {
        deadline_ = Clock::now() + arrival_deadline;
        expected_ = expected;
        thread_.join();
        return arrived_;
    }

  private:
    void receive() {
        while (arrived_.size() < expected_ && Clock::now() < deadline_.load())
            topic_.poll(10, [this](std::string_view key) { arrived_.emplace(key, Clock::now()); });
    }

    Topic topic_;
    std::unordered_map<std::string, Clock::time_point> arrived_;
    std::atomic<std::size_t> expected_ = SIZE_MAX;
    std::atomic<Clock::time_point> deadline_ = Clock::time_point::max();
    std::thread thread_;
};

double at_rank(const std::vector<double>& sorted, double part) {
    const auto rank = static_cast<std::size_t>(std::ceil(part * static_cast<double>(sorted.size())));
    return sorted[std::min(std::max<std::size_t>(rank, 1), sorted.size()) - 1];
}

}  // namespace

/// Prints: measured, median, 99th percentile, greatest (ms), messages, messages a second.
void latency(const Options& options) {
    Sender(options.brokers).await_topic(options.topic);
    Consumer consumer(options);
    const auto began = Clock::now();
    const auto sent = send_all(options);
    const auto took = std::chrono::duration<double>(Clock::now() - began).count();
    const auto& arrived = consumer.finish(sent.size());

    std::vector<double> waits;
    std::size_t missing = 0;
    for (const auto& [key, at] : sent) {
        const auto found = arrived.find(key);
        if (found == arrived.end()) {
            ++missing;
        } else if (at - began >= std::chrono::duration<double>(options.warm_up_seconds)) {
            waits.push_back(std::chrono::duration<double, std::milli>(found->second - at).count());
        }
    }
    if (missing > 0) throw std::runtime_error(std::to_string(missing) + " messages did not arrive");
    if (waits.empty()) throw std::runtime_error("nothing was sent after the warm-up");
    std::sort(waits.begin(), waits.end());
    std::printf("measured %.3f %.3f %.3f %zu %.1f\n", at_rank(waits, 0.5), at_rank(waits, 0.99), waits.back(),
                waits.size(), static_cast<double>(sent.size()) / took);
}

}  // namespace oms::bench
