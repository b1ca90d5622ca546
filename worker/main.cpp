// oms-worker: carries committed events from PostgreSQL to Kafka.
#include <cstdio>
#include <exception>

#include "command/command.hpp"
#include "runtime/config.hpp"
#include "runtime/log.hpp"

namespace {

using namespace oms;

int carry_out(const runtime::Command& command) {
    switch (command.verb) {
    case runtime::Verb::run: return command::run(command.settings);
    case runtime::Verb::check: return command::check(command.settings);
    case runtime::Verb::broker: return command::broker(command.settings);
    default: return command::dlq(command);
    }
}

}  // namespace

int main(int count, char** arguments) {
    try {
        const auto environment = runtime::environment_of(environ);
        const auto command = runtime::parse_command({arguments + 1, arguments + count}, environment);
        log::set_level(command.settings.log_level);
        for (const auto& name : command.unknown_environment)
            log::warning("this environment variable means nothing to the worker", {{"variable", name}});
        return carry_out(command);
    } catch (const runtime::TextAsked& asked) {
        std::printf("%s", asked.what());
        return command::done;
    } catch (const runtime::ConfigError& error) {
        std::fprintf(stderr, "oms-worker: %s\n", error.what());
        return command::misused;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "oms-worker: %s\n", error.what());
        return command::failed;
    }
}
