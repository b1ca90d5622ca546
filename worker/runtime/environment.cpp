#include "runtime/environment.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <optional>
#include <string_view>

#include "runtime/config.hpp"

namespace oms::runtime {
namespace {

std::optional<std::string> value_of(std::span<const std::string> environment, const std::string& name) {
    for (const auto& entry : environment)
        if (entry.size() > name.size() && entry[name.size()] == '=' && entry.starts_with(name))
            return entry.substr(name.size() + 1);
    return std::nullopt;
}

bool names(std::span<const std::string> given, const std::string& flag) {
    return std::any_of(given.begin(), given.end(), [&](const std::string& argument) {
        return argument == flag || argument.starts_with(flag + "=");
    });
}

}  // namespace

std::string content_of_file(const std::string& path, const std::string& whose) {
    std::ifstream file(path);
    if (!file) throw ConfigError("cannot read the file '" + path + "' of " + whose);
    std::string text((std::istreambuf_iterator<char>(file)), {});
    // Editors and secret stores end a file with a newline that is no part of the secret.
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
    return text;
}

std::vector<std::string> arguments_from_environment(std::span<const EnvironmentOption> options,
                                                    std::span<const std::string> environment,
                                                    std::span<const std::string> given) {
    std::vector<std::string> made;
    for (const auto& option : options) {
        const auto file_variable = option.variable + "_FILE";
        auto value = value_of(environment, option.variable);
        const auto path = value_of(environment, file_variable);
        if (value && path) throw ConfigError(option.variable + " and " + file_variable + " are both set");
        if (path) value = content_of_file(*path, file_variable);
        if (!value || value->empty() || names(given, option.flag)) continue;
        if (!option.repeatable) {
            made.push_back(option.flag + "=" + *value);
            continue;
        }
        for (std::string_view rest = *value; !rest.empty();) {
            const auto end = std::min(rest.find(option.separator), rest.size());
            if (end > 0) made.push_back(option.flag + "=" + std::string(rest.substr(0, end)));
            rest.remove_prefix(std::min(end + 1, rest.size()));
        }
    }
    return made;
}

std::vector<std::string> unknown_names(std::span<const EnvironmentOption> options,
                                       std::span<const std::string> environment) {
    std::vector<std::string> unknown;
    for (const auto& entry : environment) {
        if (!entry.starts_with("OMS_")) continue;
        const auto name = entry.substr(0, entry.find('='));
        const bool known = std::any_of(options.begin(), options.end(), [&](const EnvironmentOption& option) {
            return name == option.variable || name == option.variable + "_FILE";
        });
        if (!known) unknown.push_back(name);
    }
    return unknown;
}

}  // namespace oms::runtime
