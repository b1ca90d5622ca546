// What the command line of bench-kafka says.
#pragma once

#include <cstddef>
#include <string>

namespace oms::bench {

struct Options {
    std::string brokers;
    std::string topic;
    std::string database;
    std::size_t count = 0;

    std::string queue;        // of a rival: pgmq, skip_locked
    std::size_t batch = 0;    // as many as the worker reads
    int every_ms = 0;         // how long a poller sleeps when it finds nothing
    std::string channel;      // wait for this notification instead of polling
    std::string way;          // how a measured message comes to the broker
    std::string order_items;  // JSON
    double rate = 0;          // messages a second
    double seconds = 0;
    double warm_up_seconds = 0;
    int clients = 0;
    double timeout_seconds = 0;
};

void produce(const Options& options);      // the bare producer: `count` messages, as fast as they go
void relay(const Options& options);        // a rival of the worker, until SIGTERM
void listen(const Options& options);       // hears notifications and does nothing, until SIGTERM
void latency(const Options& options);      // from the commit to the consumer
void print_end(const Options& options);    // how many messages the topic ever got
void await_count(const Options& options);  // how long the next `count` messages take to arrive

}  // namespace oms::bench
