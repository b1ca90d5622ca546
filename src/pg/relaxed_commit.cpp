// The server keeps, for each transaction, where its last record in the log ends: that tells whether anything was written in between.
#include "pg/relaxed_commit.hpp"

#include "pg/transaction.hpp"

namespace oms::pg {

namespace {

// Where the log ends if nothing but relaxed work was written in this transaction.
constinit XLogRecPtr relaxed_until = InvalidXLogRecPtr;

void relax() {
    if (XLogRecPtrIsInvalid(relaxed_until) || relaxed_until != XactLastRecEnd) return;
    if (synchronous_commit <= SYNCHRONOUS_COMMIT_OFF) return;
    (void)set_config_option("synchronous_commit", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
}

void forget(Ending) { relaxed_until = InvalidXLogRecPtr; }

}  // namespace

bool relaxed_begins() { return XLogRecPtrIsInvalid(XactLastRecEnd) || XactLastRecEnd == relaxed_until; }

void relaxed_ends(bool began) { relaxed_until = began ? XactLastRecEnd : InvalidXLogRecPtr; }

void install_relaxed_commit() { watch_transactions({.before_commit = relax, .ended = forget}); }

}  // namespace oms::pg
