// The settings as the rooms want them.
#include "command/command.hpp"

namespace oms::command {

db::Target target_of(const runtime::Settings& settings) {
    db::Target target;
    target.conninfo = settings.database;
    target.password = settings.database_password;
    return target;
}

kafka::KafkaSettings kafka_of(const runtime::Settings& settings) {
    kafka::KafkaSettings made;
    made.bootstrap = settings.broker;
    made.properties = settings.kafka;
    made.compression = settings.compression;
    made.linger = settings.linger;
    made.in_flight_messages = settings.in_flight_messages;
    made.in_flight_bytes = settings.in_flight_bytes;
    made.source = settings.source;
    made.unknown_topic_waits = settings.unknown_topic_waits;
    made.exactly_once = settings.exactly_once;
    made.cursor_topic = settings.cursor_topic;
    return made;
}

}  // namespace oms::command
