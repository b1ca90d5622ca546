// Where this transaction saw rows of our tables last. The parts of one command look up the same few rows again and again, and an index costs them most.
//
// A place is a guess: by now another version may be there, or another row. Whoever goes to one asks the snapshot and compares the key; a row that
// passes both is the one that the index leads to, because the key is unique. Guesses end with the transaction, with any rollback to a savepoint and
// with any change to a relation: until then the locks that were taken keep the page where it is.
#pragma once

#include <cstdint>
#include <span>

#include "pg/postgres.hpp"

namespace oms::pg {

struct TableDefinition;

// What a row is remembered by; 0 for one whose key is of a type that is not looked into here.
using PlaceName = std::uint64_t;
PlaceName place_name(Oid relation, const TableDefinition& definition, std::span<const Datum> key);

void remember_place(PlaceName name, Oid relation, ItemPointerData tid);

// Puts the row with this key into the slot if it is where it was seen last, and `snapshot` shows it.
bool fetch_where_it_was(PlaceName name, Relation relation, const TableDefinition& definition,
                        std::span<const Datum> key, Snapshot snapshot, TupleTableSlot* slot);

void forget_places();

// Called once, from _PG_init.
void install_row_places();

}  // namespace oms::pg
