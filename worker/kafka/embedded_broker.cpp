#include "kafka/embedded_broker.hpp"

#include <array>
#include <stdexcept>

namespace oms::kafka {

EmbeddedBroker::EmbeddedBroker(int nodes) {
    ConfHandle conf(rd_kafka_conf_new());
    // Its remarks (that it has no broker itself) would stand between the lines of the log.
    rd_kafka_conf_set_log_cb(conf.get(), nullptr);
    std::array<char, 512> error{};
    host_.reset(rd_kafka_new(RD_KAFKA_PRODUCER, conf.get(), error.data(), error.size()));
    if (!host_) throw std::runtime_error("cannot start the embedded broker: " + std::string(error.data()));
    [[maybe_unused]] auto* const taken = conf.release();
    cluster_.reset(rd_kafka_mock_cluster_new(host_.get(), nodes));
    if (!cluster_) throw std::runtime_error("cannot start the embedded broker");
}

}  // namespace oms::kafka
