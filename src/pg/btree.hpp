// A look at a btree without the machinery of a scan.
#pragma once

#include "pg/postgres.hpp"

namespace oms::pg {

// Says whether the index, which has one column, may have an entry with this value: false is certain, true is for a probe to find out.
// A scan would allocate 25 kB for what one descent tells.
bool index_may_contain(Relation index, Relation table, Datum value);

}  // namespace oms::pg
