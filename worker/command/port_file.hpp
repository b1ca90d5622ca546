// Tells other processes where the embedded broker listens.
#pragma once

#include <string>

namespace oms::command {

/// Writes `addresses` to `path`, if there is one. The file appears whole: who waits for it never reads
/// half a line.
void write_port_file(const std::string& path, const std::string& addresses);

}  // namespace oms::command
