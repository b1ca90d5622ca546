// Transactions whose loss in a crash would harm nobody need not wait for the disk.
//
// Whoever writes something of the kind does it through relaxed(). A transaction that wrote nothing else commits asynchronously; a single record of
// anything else in the write-ahead log, by whomever and wherever in the transaction, and it commits as it otherwise would.
#pragma once

#include "pg/postgres.hpp"

namespace oms::pg {

// Both bounds of what relaxed() runs.
bool relaxed_begins();
void relaxed_ends(bool began);

// `fn` says whether the loss of what it wrote would be harmless.
template <class Fn>
void relaxed(Fn&& fn) {
    bool began = relaxed_begins();
    bool harmless = fn();
    relaxed_ends(began && harmless);
}

// Called once, from _PG_init, behind everything else that watches transactions.
void install_relaxed_commit();

}  // namespace oms::pg
