// `oms-worker broker`: the embedded broker as a process of its own.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "command/command.hpp"
#include "command/port_file.hpp"
#include "kafka/embedded_broker.hpp"
#include "runtime/event_fd.hpp"
#include "runtime/log.hpp"
#include "runtime/stop.hpp"

namespace oms::command {

void write_port_file(const std::string& path, const std::string& addresses) {
    if (path.empty()) return;
    const auto beside = path + ".new";
    std::ofstream file(beside);
    file << addresses << '\n';
    file.close();
    if (!file) throw std::runtime_error("cannot write " + beside);
    std::filesystem::rename(beside, path);
}

int broker(const runtime::Settings& settings) {
    runtime::Signals signals;
    const kafka::EmbeddedBroker embedded(settings.embedded_nodes);
    write_port_file(settings.port_file, embedded.addresses());
    log::info("the embedded broker listens", {{"broker", embedded.addresses()}});
    const runtime::EventFd nothing;
    signals.wait(nothing.fd(), std::nullopt);
    return done;
}

}  // namespace oms::command
