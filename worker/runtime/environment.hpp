// Environment variables as arguments: OMS_NAME holds a value, OMS_NAME_FILE the path of a file that
// holds it. A flag on the command line wins over both.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace oms::runtime {

struct EnvironmentOption {
    std::string variable;  // OMS_READER
    std::string flag;      // --reader
    char separator;        // between the values of a repeatable option
    bool repeatable;
};

/// Returns `--flag=value` for every variable that is set and whose flag `given` does not name.
/// Throws ConfigError when a variable and its _FILE form are both set, or the file is unreadable.
std::vector<std::string> arguments_from_environment(std::span<const EnvironmentOption> options,
                                                    std::span<const std::string> environment,
                                                    std::span<const std::string> given);

/// Names the variables that begin with OMS_ and belong to no option. They are reported and not
/// refused: Kubernetes itself sets OMS_SERVICE_HOST and its like beside a service called "oms".
std::vector<std::string> unknown_names(std::span<const EnvironmentOption> options,
                                       std::span<const std::string> environment);

/// Returns the content of a file without the newline at its end; throws ConfigError, naming whose
/// file it is, when it cannot be read.
std::string content_of_file(const std::string& path, const std::string& whose);

}  // namespace oms::runtime
