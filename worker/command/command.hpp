// The verbs of oms-worker. Each builds the rooms it needs from the settings, works, and returns the
// process's exit code.
#pragma once

#include "db/connection.hpp"
#include "kafka/conf.hpp"
#include "runtime/config.hpp"

namespace oms::command {

enum ExitCode {
    done = 0,
    failed = 1,     // it was tried and did not work
    misused = 2,    // the command line or the settings
    cut_short = 3,  // stopped before everything was flushed; what was not will be sent again
};

int run(const runtime::Settings& settings);
int check(const runtime::Settings& settings);
int broker(const runtime::Settings& settings);
int dlq(const runtime::Command& command);

db::Target target_of(const runtime::Settings& settings);
kafka::KafkaSettings kafka_of(const runtime::Settings& settings);

}  // namespace oms::command
