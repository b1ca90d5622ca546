// What may live on a stack frame that PostgreSQL can leave by siglongjmp: types without anything to destroy.
//
// The invariant: an error raised anywhere below skips the frames in between, no destructor runs, and nothing is lost by it.
// Why no guard objects: README.md beside this file.
#pragma once

#include <type_traits>

namespace oms::pg {

// A type whose frame may vanish without notice.
template <class T>
concept JumpSafe = std::is_trivially_destructible_v<T>;

}  // namespace oms::pg
