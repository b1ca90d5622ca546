// The topic that keeps the cursors: compacted, one partition, one key for each reader of each database.
//
// Reading takes place once, before a producer's first transaction, and must end at the true end: a cursor that is older than
// the last one would send events twice. So the end is asked for regardless of open transactions of other readers, and what
// is committed is read until there, even if such a transaction has to be waited out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "kafka/conf.hpp"
#include "kafka/handles.hpp"

namespace oms::kafka {

class CursorTopic {
  public:
    CursorTopic(const KafkaSettings& settings, std::string key) : settings_(settings), key_(std::move(key)) {}
    ~CursorTopic();
    CursorTopic(const CursorTopic&) = delete;
    CursorTopic& operator=(const CursorTopic&) = delete;

    /// Makes the topic when it is missing. False: not done within `patience`, call again.
    bool provide(rd_kafka_t* client, runtime::Clock::duration patience);

    /// Reads the last value of the key. `client` reads uncommitted. False: not done within `patience`, call again.
    bool read(rd_kafka_t* client, runtime::Clock::duration patience);

    /// What was read.
    const std::optional<std::string>& value() const noexcept { return value_; }

    static constexpr std::int32_t partition = 0;

  private:
    void begin_at(std::int64_t offset);
    bool take(const rd_kafka_message_t& message);

    const KafkaSettings& settings_;
    std::string key_;
    bool provided_ = false;
    bool is_new_ = false;
    bool end_known_ = false;
    std::int64_t low_ = 0;
    std::int64_t high_ = 0;
    std::int64_t from_ = 0;
    ClientHandle consumer_;
    TopicHandle topic_;  // goes before its client
    bool consuming_ = false;
    std::optional<std::string> value_;
};

}  // namespace oms::kafka
