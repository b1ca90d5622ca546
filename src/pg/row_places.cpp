// A small table of guesses: a place that another one wants is given up.
#include "pg/row_places.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "pg/entry.hpp"
#include "pg/table.hpp"
#include "pg/transaction.hpp"

namespace oms::pg {

namespace {

// A batch of a hundred answers moves a dozen rows for each.
constexpr std::size_t places_max = 4'096;

struct Place {
    PlaceName name;
    std::uint64_t era;
    Oid relation;
    ItemPointerData tid;
};
constinit std::array<Place, places_max> places{};

// What was noted in an era that is over counts no more.
constinit std::uint64_t era = 1;

Place& place_for(PlaceName name) { return places[name % places_max]; }

constexpr std::uint64_t spread = 0x9E37'79B9'7F4A'7C15;
void mix(PlaceName& name, std::uint64_t value) {
    name = (name ^ value) * spread;
    name ^= name >> 29;
}

void mix_text(PlaceName& name, std::string_view text) {
    mix(name, text.size());
    while (!text.empty()) {
        std::uint64_t piece = 0;
        const std::size_t bytes = std::min(text.size(), sizeof piece);
        std::memcpy(&piece, text.data(), bytes);
        mix(name, piece);
        text.remove_prefix(bytes);
    }
}

struct Halves {
    std::uint64_t first, second;
};
Halves halves_of(Datum uuid) {
    Halves halves;
    std::memcpy(&halves, DatumGetUUIDP(uuid)->data, sizeof halves);
    return halves;
}

bool are_equal(Oid type, Datum one, Datum other) {
    switch (type) {
    case UUIDOID: return std::memcmp(DatumGetUUIDP(one)->data, DatumGetUUIDP(other)->data, UUID_LEN) == 0;
    case TEXTOID: return text_view(one) == text_view(other);
    case INT4OID: return DatumGetInt32(one) == DatumGetInt32(other);
    default: return DatumGetInt64(one) == DatumGetInt64(other);
    }
}

Oid type_of_key(const TableDefinition& definition, std::size_t i) {
    return definition.columns[static_cast<std::size_t>(definition.key[i])].type;
}

bool has_key(const TableDefinition& definition, std::span<const Datum> key, const TupleTableSlot* slot) {
    for (std::size_t i = 0; i < key.size(); ++i) {
        const int column = definition.key[i];
        if (slot->tts_isnull[column] || !are_equal(type_of_key(definition, i), slot->tts_values[column], key[i]))
            return false;
    }
    return true;
}

void transaction_ended(Ending) { forget_places(); }

void subtransaction_ended(Ending ending, SubtransactionNumber, SubtransactionNumber) {
    if (ending == Ending::rolled_back) forget_places();
}

}  // namespace

PlaceName place_name(Oid relation, const TableDefinition& definition, std::span<const Datum> key) {
    PlaceName name = 0;
    mix(name, relation);
    for (std::size_t i = 0; i < key.size(); ++i) {
        switch (type_of_key(definition, i)) {
        case UUIDOID: {
            const Halves halves = halves_of(key[i]);
            mix(name, halves.first);
            mix(name, halves.second);
            break;
        }
        case TEXTOID: mix_text(name, text_view(key[i])); break;
        case INT4OID: mix(name, static_cast<std::uint64_t>(DatumGetInt32(key[i]))); break;
        case INT8OID:
        case TIMESTAMPTZOID: mix(name, static_cast<std::uint64_t>(DatumGetInt64(key[i]))); break;
        default: return 0;
        }
    }
    return name;
}

void remember_place(PlaceName name, Oid relation, ItemPointerData tid) {
    if (name != 0) place_for(name) = {name, era, relation, tid};
}

bool fetch_where_it_was(PlaceName name, Relation relation, const TableDefinition& definition,
                        std::span<const Datum> key, Snapshot snapshot, TupleTableSlot* slot) {
    // Under SERIALIZABLE the server wants to know also of the index that was read.
    if (name == 0 || IsolationIsSerializable()) return false;
    Place place = place_for(name);
    // The name alone would do for a guess, but a page of another relation need not exist in this one.
    if (place.name != name || place.era != era || place.relation != RelationGetRelid(relation)) return false;
    if (!table_tuple_fetch_row_version(relation, &place.tid, snapshot, slot)) return false;
    slot_getallattrs(slot);
    if (has_key(definition, key, slot)) return true;
    ExecClearTuple(slot);
    return false;
}

void forget_places() { ++era; }

void install_row_places() {
    watch_transactions({.ended = transaction_ended, .subtransaction_ended = subtransaction_ended});
}

}  // namespace oms::pg
