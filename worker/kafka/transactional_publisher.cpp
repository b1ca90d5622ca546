#include "kafka/transactional_publisher.hpp"

#include <poll.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "kafka/cursor_record.hpp"
#include "kafka/error.hpp"
#include "runtime/log.hpp"
#include "runtime/waiter.hpp"

namespace oms::kafka {
namespace {

using runtime::Clock;

constexpr Clock::duration culprit_patience = std::chrono::seconds(1);

int ms_of(Clock::duration d) {
    return static_cast<int>(
        std::max<std::int64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(d).count(), 0));
}

std::string text_of(const rd_kafka_error_t& error) {
    return std::string(rd_kafka_error_name(&error)) + ": " + rd_kafka_error_string(&error);
}

bool failed(const relay::Delivery& delivery) { return delivery.outcome != relay::Delivery::Outcome::sent; }

}  // namespace

TransactionalPublisher::TransactionalPublisher(const KafkaSettings& settings, runtime::Metrics& metrics,
                                               runtime::Status& status, Batching& batching, const std::string& identity)
    : Publisher(settings, metrics, status, batching, "oms-" + identity),
      identity_(identity),
      topic_(settings, identity) {
    // The first handle of a topic decides who places its messages, so it has to be the producer's own.
    know(settings.cursor_topic);
}

bool TransactionalPublisher::take_over(Clock::duration patience) {
    if (!fenced_others_) {
        const ErrorHandle error(rd_kafka_init_transactions(client(), ms_of(patience)));
        if (error && rd_kafka_error_is_retriable(error.get())) return false;
        if (error) {
            fail(*error);
            return false;
        }
        fenced_others_ = true;
        show_broker(true);
    }
    if (!topic_.provide(client(), patience) || !topic_.read(client(), patience)) return false;
    if (!topic_.value()) return true;
    stored_ = cursor_of(*topic_.value());
    if (!stored_) log::error("the cursor in Kafka cannot be read", {{"key", identity_}});
    return true;
}

void TransactionalPublisher::before_message() {
    if (in_transaction_) return;
    const ErrorHandle error(rd_kafka_begin_transaction(client()));
    if (error) return fail(*error);
    in_transaction_ = true;
}

void TransactionalPublisher::store(relay::Token token, const relay::StoredCursor& cursor) {
    produce(token, {settings().cursor_topic, identity_, kafka::text_of(cursor), {}, CursorTopic::partition});
}

std::vector<relay::Delivery> TransactionalPublisher::deliveries() {
    // What is refused on the spot never was in the transaction. What a broker refuses, or the client gives up, spoils it.
    const auto on_the_spot = static_cast<std::ptrdiff_t>(refused_on_the_spot());
    auto arrived = Publisher::deliveries();
    const bool spoiled = std::any_of(arrived.begin() + on_the_spot, arrived.end(), failed);
    if (spoiled || take_complaint()) look_at_the_transaction(arrived);
    if (spoiled) give_up();
    return arrived;
}

/// Some failures are of the transaction alone, with all its messages left waiting: a partition that may not be written to.
void TransactionalPublisher::look_at_the_transaction(std::vector<relay::Delivery>& arrived) {
    if (!in_transaction_ || looked_) return;
    // In an open transaction this changes nothing and is refused as untimely; in a failed one the answer is the failure.
    const ErrorHandle error(rd_kafka_begin_transaction(client()));
    if (!error || rd_kafka_error_code(error.get()) == RD_KAFKA_RESP_ERR__STATE) return;
    looked_ = true;
    fail(*error);
    if (blames_the_batch(rd_kafka_error_code(error.get()))) await_the_culprit(arrived);
}

/// The report of the message that a broker refused follows the failure of its transaction on its heels.
void TransactionalPublisher::await_the_culprit(std::vector<relay::Delivery>& arrived) {
    const runtime::SteadyClock clock;
    const auto deadline = clock.now() + culprit_patience;
    while (std::none_of(arrived.begin(), arrived.end(), failed) && clock.now() < deadline) {
        std::array fds = {pollfd{wake_fd(), POLLIN, 0}};
        runtime::poll_for(fds, deadline - clock.now());
        for (auto& delivery : Publisher::deliveries()) arrived.push_back(std::move(delivery));
    }
}

bool TransactionalPublisher::commit(Clock::duration patience) {
    const ErrorHandle error(rd_kafka_commit_transaction(client(), ms_of(patience)));
    if (!error) {
        in_transaction_ = false;
        transaction_is_settled();
        if (sent_enough_alone()) give_up();  // the next producer sends many in a request again
        return true;
    }
    if (!rd_kafka_error_is_retriable(error.get())) fail(*error);
    return false;
}

void TransactionalPublisher::abort(Clock::duration patience) {
    const runtime::SteadyClock clock;
    const auto deadline = clock.now() + patience;
    give_up();
    if (!in_transaction_ || rd_kafka_fatal_error(client(), nullptr, 0) != RD_KAFKA_RESP_ERR_NO_ERROR) return;
    drop_queued();
    // The client's call waits until every message was answered and the answer taken; in this thread both must take turns.
    constexpr Clock::duration slice = std::chrono::milliseconds(20);
    for (;;) {
        Publisher::deliveries();
        const ErrorHandle error(
            rd_kafka_abort_transaction(client(), ms_of(std::clamp(deadline - clock.now(), Clock::duration{}, slice))));
        if (!error || !rd_kafka_error_is_retriable(error.get()) || clock.now() >= deadline) break;
    }
    in_transaction_ = false;
}

void TransactionalPublisher::fail(const rd_kafka_error_t& error) {
    const auto kind = classify(rd_kafka_error_code(&error), settings().unknown_topic_waits);
    // Of a refused batch it is found out otherwise whom it meant: its messages are sent alone.
    if (blames_the_batch(rd_kafka_error_code(&error)))
        send_alone_next();
    else if (kind == ErrorClass::reject)
        refusal_ = text_of(error);
    if (!broken()) log::warning("the transaction failed", {{"error", text_of(error)}, {"class", name_of(kind)}});
    give_up();
}

}  // namespace oms::kafka
