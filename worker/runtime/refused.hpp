// Why a worker gives up.
#pragma once

#include <stdexcept>

namespace oms::runtime {

/// The database can be reached, but not in a way that the worker could ever work with. Ends the
/// process: trying again would not help.
class Refused : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

}  // namespace oms::runtime
