// The publisher that writes in transactions, with the cursor beside the messages.
//
// The transactional id is the reader's identity: whoever begins anew with it ends the open transaction of the one before,
// whose writes are refused from then on. No transaction is repaired: one that failed is given up with its producer.
#pragma once

#include "kafka/cursor_topic.hpp"
#include "kafka/publisher.hpp"

namespace oms::kafka {

class TransactionalPublisher final : public Publisher, public relay::Transactions {
  public:
    TransactionalPublisher(const KafkaSettings& settings, runtime::Metrics& metrics, runtime::Status& status,
                           Batching& batching, const std::string& identity);

    std::vector<relay::Delivery> deliveries() override;
    relay::Transactions* transactions() override { return this; }

    bool take_over(runtime::Clock::duration patience) override;
    const std::optional<relay::StoredCursor>& stored() const override { return stored_; }
    void store(relay::Token token, const relay::StoredCursor& cursor) override;
    bool commit(runtime::Clock::duration patience) override;
    void abort(runtime::Clock::duration patience) override;
    std::string refusal() const override { return refusal_; }

  private:
    void before_message() override;
    void fail(const rd_kafka_error_t& error);
    void look_at_the_transaction(std::vector<relay::Delivery>& arrived);
    void await_the_culprit(std::vector<relay::Delivery>& arrived);

    std::string identity_;
    CursorTopic topic_;
    std::optional<relay::StoredCursor> stored_;
    bool fenced_others_ = false;
    bool in_transaction_ = false;
    bool looked_ = false;
    std::string refusal_;
};

}  // namespace oms::kafka
