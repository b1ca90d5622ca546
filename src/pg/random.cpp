// Bits from the server's strong source, fetched in blocks: one call to it costs as much as inserting an index entry.
#include "pg/random.hpp"

#include <array>

#include "pg/postgres.hpp"

namespace oms::pg {

namespace {

constinit std::array<std::uint64_t, 64> block{};
constinit std::size_t left = 0;
constinit int filled_by = 0;  // the process that filled it: a forked copy must not hand out the same bits

}  // namespace

std::uint64_t random_bits() {
    if (left == 0 || filled_by != MyProcPid) {
        if (!pg_strong_random(block.data(), sizeof(block))) elog(ERROR, "the server has no random numbers to give");
        left = block.size();
        filled_by = MyProcPid;
    }
    return block[--left];
}

}  // namespace oms::pg
